"""The library's commands: `python -m retrieval_lib data | record | verify | paper`."""

import argparse
import difflib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from retrieval_lib.data import ImageSet, Split, describe_downloads, load, load_lists, make_split, prepare, protocol_for
from retrieval_lib.data.lists import LISTS
from retrieval_lib.experiments import paper_dhd, paper_gpq, paper_spq
from retrieval_lib.experiments.catalogue import GRIDS
from retrieval_lib.experiments.listing import list_grids
from retrieval_lib.experiments.record import record_grid
from retrieval_lib.experiments.values import Value
from retrieval_lib.experiments.verify import verify
from retrieval_lib.training import TrainingDiverged

PAPER_SETS = ("cifar10",)  # data sets whose split is that of the papers on GPQ and SPQ
STOPPED = 130  # the exit code of a program that was stopped with Ctrl-C


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    told = _parser().parse_args(arguments)
    try:
        return told.run(told)
    except KeyboardInterrupt:
        print("\nStopped. What was done is kept; the same command goes on from here.")
        return STOPPED
    except (ValueError, OSError, TrainingDiverged) as error:
        print(f"python -m retrieval_lib {told.command}: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m retrieval_lib", description="Commands of the retrieval library.")
    commands = parser.add_subparsers(dest="command", required=True)

    data = commands.add_parser("data", help="fetch and decode the book's images, sizes told first")
    data.add_argument("--json", action="store_true", help="end with one line of JSON that describes them")
    data.set_defaults(run=_data)

    record = commands.add_parser(
        "record",
        help="run a recorded experiment; without a name, list them",
        description="Run the cells of an experiment that are not recorded yet, and add each to results/NAME.jsonl. "
        "It can be stopped with Ctrl-C at any time, and goes on when it is called again. "
        "The environment variable RETRIEVAL_PROFILE says how much is run (quick, book or full).",
    )
    record.add_argument("name", nargs="?", help="the experiment; leave it out to list all, with the time they take")
    record.set_defaults(run=_record)

    check = commands.add_parser(
        "verify",
        help="evaluate the shipped checkpoints again, and re-run a cell of each recorded experiment",
        description="Evaluate every shipped checkpoint again, and run one cell of each recorded experiment from the "
        "data: the one that took the least time. A training whose weights are kept takes hours, and runs only with "
        "--cell or --all. The exit code is 1 where a value differs by more than it may: for trained cells by more than "
        "the repeatability limit of the recorded seeds, t * s * sqrt(2), which 95 % of the differences of two single "
        "runs stay below (s: standard deviation over the seeds; t: Student's quantile), else by more than half a unit "
        "of the third decimal.",
    )
    check.add_argument("--grid", metavar="NAME", help="only this experiment")
    which = check.add_mutually_exclusive_group()
    which.add_argument(
        "--cell", metavar="LABEL", help="run this cell (with --grid); a wrong label lists the right ones"
    )
    which.add_argument("--all", action="store_true", help="run every recorded cell")
    check.add_argument("--strict", action="store_true", help="exit code 1 also where something could not be verified")
    check.set_defaults(run=_verify)

    paper = commands.add_parser(
        "paper",
        help="train a method in its paper's setting on images of your own, on a GPU",
        description="Train a method with its published settings on lists of images (CSV files with the columns path and "
        "label, several labels separated by semicolons), or on a data set that this library knows; keep its weights, and "
        "judge the queries. It can be stopped with Ctrl-C; the same command goes on.",
    )
    methods = paper.add_subparsers(dest="method", required=True)
    dhd = methods.add_parser("dhd", help="deep hash distillation: AlexNet or ResNet-50, large images")
    _paper_arguments(dhd, paper_dhd.SIZE, bits=64, epochs=100, batch_size=128, k=1000)
    dhd.add_argument("--network", choices=paper_dhd.NETWORKS, default=paper_dhd.NETWORKS[0])
    dhd.add_argument("--random", action="store_true", help="start from random weights")
    dhd.set_defaults(run=_paper_dhd)
    gpq = methods.add_parser(
        "gpq",
        help="generalized product quantization: a VGG-like network, small images, few labels",
        description="The database images that are not in the list of training images are learned from without their "
        "labels.",
    )
    _paper_arguments(gpq, paper_gpq.SIZE, known=PAPER_SETS, bits=48, steps=3000, batch_size=500, k=None)
    gpq.add_argument("--start", type=Path, metavar="FILE", help="a checkpoint of the network (default: random weights)")
    gpq.set_defaults(run=_paper_gpq)
    spq = methods.add_parser(
        "spq",
        help="self-supervised product quantization: ResNet-18 for small images, no labels",
        description="The labels in the lists are only used to judge.",
    )
    _paper_arguments(spq, paper_spq.SIZE, known=PAPER_SETS, bits=32, epochs=2000, batch_size=256, k=1000)
    spq.set_defaults(run=_paper_spq)
    return parser


def _data(told: argparse.Namespace) -> int:
    for line in describe_downloads():
        print(f"To download, if its server can be reached: {line}")
    prepared = prepare()
    if told.json:
        print(json.dumps(prepared))
        return 0
    for kind, about in prepared.items():
        print(f"{kind}: {about['name']}, {about['count']:,} images, {about['source']}\n  {about['reason']}")
    return 0


def _record(told: argparse.Namespace) -> int:
    if told.name is None:
        list_grids(GRIDS.values())
        return 0
    if told.name not in GRIDS:
        near = difflib.get_close_matches(told.name, GRIDS, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"there is no experiment {told.name!r}; there are: {', '.join(GRIDS)}.{hint}")
    done = record_grid(GRIDS[told.name])
    print(f"{told.name}: {done} cells were recorded." if done else f"{told.name}: nothing was left to record.")
    return 0


def _verify(told: argparse.Namespace) -> int:
    if told.cell is not None and told.grid is None:
        raise ValueError("--cell needs --grid, the experiment that the cell is of.")
    report = verify(GRIDS, told.grid, told.cell, told.all)
    if not (report.agreed or report.failed or report.unverified):
        print("Nothing is recorded yet, so there is nothing to verify.")
        return 1 if told.strict else 0
    print(
        f"{report.agreed} runs and checkpoints agree with their records, {len(report.failed)} differ, "
        f"{len(report.unverified)} could not be verified here."
    )
    for line in (*report.failed, *report.unverified):
        print(f"- {line}")
    return 1 if report.failed or (told.strict and report.unverified) else 0


def _paper_arguments(
    parser: argparse.ArgumentParser, size: int, known: Sequence[str] = (), **numbers: int | None
) -> None:
    """What all papers' settings are told: images, lists, the file to write, and the numbers with their defaults."""
    if known:
        parser.add_argument("--dataset", choices=known, help="the paper's split of this data set, instead of lists")
    else:
        parser.set_defaults(dataset=None)
    parser.add_argument("--images", type=Path, help="the folder that the paths are relative to")
    for name in LISTS:
        parser.add_argument(f"--{name}", type=Path, metavar="CSV", help=f"the list of {name} images")
    parser.add_argument("--size", type=_at_least(1), help=f"pixels that images are brought to (default {size})")
    parser.set_defaults(own_size=size)
    for name, default in {**numbers, "seed": 0}.items():
        told = "all" if default is None else default
        smallest = 0 if name == "seed" else 1
        parser.add_argument(
            f"--{name.replace('_', '-')}", type=_at_least(smallest), default=default, help=f"default {told}"
        )
    parser.add_argument("--weights", required=True, type=_weights, help="the file to write, ending in .safetensors")


def _at_least(smallest: int):
    """What reads an argument: a whole number that is not smaller."""

    def number(text: str) -> int:
        if int(text) < smallest:
            raise argparse.ArgumentTypeError(f"{text} is too small; give at least {smallest}")
        return int(text)

    return number


def _weights(text: str) -> Path:
    if not text.endswith(".safetensors"):
        raise argparse.ArgumentTypeError(f"{text} does not end in .safetensors")
    return Path(text)


def _paper_dhd(told: argparse.Namespace) -> int:
    images, split = _images_and_split(told, "supervised")
    values = paper_dhd.train_paper_dhd(
        images, split, told.weights, network=told.network, bits=told.bits, epochs=told.epochs,
        batch_size=told.batch_size, k=told.k, seed=told.seed, pretrained=not told.random,
    )  # fmt: skip
    return _tell(values, told.weights)


def _paper_gpq(told: argparse.Namespace) -> int:
    images, split = _images_and_split(told, "semi-supervised")
    values = paper_gpq.train_paper_gpq(
        images, split, told.weights, bits=told.bits, steps=told.steps, batch_size=told.batch_size, k=told.k,
        seed=told.seed, start=told.start,
    )  # fmt: skip
    return _tell(values, told.weights)


def _paper_spq(told: argparse.Namespace) -> int:
    images, split = _images_and_split(told, "supervised")
    values = paper_spq.train_paper_spq(
        images, split, told.weights, bits=told.bits, epochs=told.epochs, batch_size=told.batch_size, k=told.k,
        seed=told.seed,
    )  # fmt: skip
    return _tell(values, told.weights)


def _images_and_split(told: argparse.Namespace, task: str) -> tuple[ImageSet, Split]:
    """The images and the split that the arguments name: a known data set's, or those of three lists.

    Raises:
        ValueError: both are named, or neither; else as `load_lists`.
        OSError: as `load` and `load_lists`.
    """
    lists = {name: getattr(told, name) for name in LISTS}
    named = [name for name, value in {"images": told.images, **lists}.items() if value is not None]
    if told.dataset is not None:
        named += ["size"] if told.size is not None else []
        if named:
            raise ValueError(f"--dataset has a split of its own; leave --{' and --'.join(named)} out.")
        images = load(told.dataset)
        return images, make_split(images, protocol_for(images, task, "full"))
    if len(named) < 1 + len(LISTS):
        missing = [name for name in ("images", *LISTS) if name not in named]
        raise ValueError(f"--{' and --'.join(missing)} {'is' if len(missing) == 1 else 'are'} missing; see --help.")
    return load_lists(told.images, lists, told.size or told.own_size, learn_from_database=task == "semi-supervised")


def _tell(values: list[Value], weights: Path) -> int:
    for value in values:
        print(f"{value.name}: {value.value:.4f}")
    print(f"The weights are in {weights}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
