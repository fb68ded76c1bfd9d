"""The library's commands: `python -m retrieval_lib data | record | verify | paper`."""

import argparse
import difflib
import json
import sys
from pathlib import Path

from retrieval_lib.data import describe_downloads, load_lists, prepare
from retrieval_lib.experiments import list_grids, record_grid, verify
from retrieval_lib.experiments.catalogue import GRIDS
from retrieval_lib.experiments.paper_dhd import NETWORKS, SIZE, train_paper_dhd

STOPPED = 130  # the exit code of a program that was stopped with Ctrl-C


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    told = _parser().parse_args(arguments)
    try:
        return told.run(told)
    except KeyboardInterrupt:
        print("\nStopped. What was done is kept; the same command goes on from here.")
        return STOPPED
    except (ValueError, OSError) as error:
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
        "data: the one that took the least time. The exit code is 1 where a value differs by more than the recorded "
        "spread: for trained cells half the width of the 95 %% t-interval of the mean over seeds, else half a unit of "
        "the third decimal.",
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
        description="Train DHD with the published settings on lists of images (CSV files with the columns path and "
        "label, several labels separated by semicolons), keep its weights, and judge the queries. It can be stopped "
        "with Ctrl-C; the same command goes on.",
    )
    paper.add_argument("method", choices=["dhd"])
    paper.add_argument("--images", required=True, type=Path, help="the folder that the paths are relative to")
    for name in ("train", "query", "database"):
        paper.add_argument(f"--{name}", required=True, type=Path, metavar="CSV", help=f"the list of {name} images")
    paper.add_argument("--network", choices=NETWORKS, default=NETWORKS[0])
    paper.add_argument("--random", action="store_true", help="start from random weights")
    paper.add_argument("--size", type=int, default=SIZE, help="pixels that images are brought to (default 224)")
    for name, default in (("bits", 64), ("epochs", 100), ("batch-size", 128), ("k", 1000), ("seed", 0)):
        paper.add_argument(f"--{name}", type=int, default=default, help=f"default {default}")
    paper.add_argument("--weights", type=Path, required=True, help="the file to write, ending in .safetensors")
    paper.set_defaults(run=_paper)
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


def _paper(told: argparse.Namespace) -> int:
    lists = {name: getattr(told, name) for name in ("train", "query", "database")}
    images, split = load_lists(told.images, lists, told.size)
    values = train_paper_dhd(
        images, split, told.weights, network=told.network, bits=told.bits, epochs=told.epochs,
        batch_size=told.batch_size, k=told.k, seed=told.seed, pretrained=not told.random,
    )  # fmt: skip
    for value in values:
        print(f"{value.name}: {value.value:.4f}")
    print(f"The weights are in {told.weights}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
