"""Run the chapters: copies of them under _build for `make book`, or the committed ones for `make execute`."""

import argparse
import io
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from notebooks import ROOT, chapters, from_source
from pictures import smaller_png
from stamps import key_of, stamp_of

from retrieval_lib.files import write_whole
from retrieval_lib.progress import format_seconds

LARGEST = 1_500_000  # bytes a notebook
CELL_SECONDS = 3600
UNKNOWN_SECONDS = 45.0  # a chapter that never ran before


class ChapterFailed(Exception):
    """A chapter that cannot be kept; the message names the cell."""


def executed_folder(root: Path) -> Path:
    """Where the executed copies lie; the pages that are built from them lie elsewhere."""
    return root / "_build" / "notebooks"


def prepared_data(root: Path, environment: dict[str, str]) -> dict:
    """Fetch and decode the images, and say which they are. What the command tells is passed on while it runs."""
    command = [sys.executable, "-u", "-m", "retrieval_lib", "data", "--json"]
    found = ""
    with subprocess.Popen(command, cwd=root, env=environment, stdout=subprocess.PIPE) as running:
        for line in io.TextIOWrapper(running.stdout, encoding="utf-8", newline=""):  # a line ends with \n or with \r
            if line.startswith("{"):
                found = line
            elif line.endswith("\n") or sys.stdout.isatty():  # progress is for a terminal
                print(line, end="", flush=True)
    if running.returncode:
        raise SystemExit("The images could not be prepared; the lines above say why.")
    return json.loads(found)


def run(notebook, folder: Path, environment: dict[str, str]) -> None:
    """Execute a notebook in place.

    Raises:
        ChapterFailed: a cell raised an error or wrote to standard error.
    """
    client = NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        extra_arguments=["--IPKernelApp.log_level=40"],  # it warns of connections on this machine, on our screen
    )
    before = os.environ.copy()
    os.environ.update(environment)
    try:
        client.execute()
    except CellExecutionError as error:
        raise ChapterFailed(str(error)) from error
    finally:
        os.environ.clear()
        os.environ.update(before)
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            cell.metadata.pop("execution", None)
            cell.outputs = _tidied(cell.outputs, f"cell {number} ({cell.source.splitlines()[0][:60]!r})")
            for output in cell.outputs:
                if "image/png" in output.get("data", {}):
                    output.data["image/png"] = smaller_png(output.data["image/png"])


def _tidied(outputs: list, where: str) -> list:
    """Outputs with streams joined and progress lines removed; anything on standard error is a failure."""
    kept = []
    for output in outputs:
        if output.output_type != "stream":
            kept.append(output)
            continue
        if output.name == "stderr":
            raise ChapterFailed(f"{where} wrote to standard error, which the page would show:\n{output.text[:1500]}")
        if kept and kept[-1].output_type == "stream":
            kept[-1].text += output.text
        else:
            kept.append(output)
    for output in kept:
        if output.output_type == "stream":
            output.text = "".join(re.sub(r"^.*\r", "", line) for line in output.text.splitlines(keepends=True))
    return [output for output in kept if output.output_type != "stream" or output.text.strip()]


def kept_stamp(path: Path) -> dict | None:
    """The stamp of an executed notebook, None where there is none."""
    if not path.is_file():
        return None
    return nbformat.read(path, as_version=4).metadata.get("retrieval")


def execute(names: list[str], target: Path, root: Path, environment: dict[str, str], data: dict, again: bool) -> None:
    """Run those chapters whose outputs in `target` were made from something else, and write them there."""
    plans = []
    for name in names:
        notebook = from_source(name, root)
        stamp = stamp_of(notebook, environment["RETRIEVAL_PROFILE"], data, root)
        kept = kept_stamp(target / f"{name}.ipynb")
        last = kept or kept_stamp(root / "book" / f"{name}.ipynb") or {}
        fresh = kept is not None and key_of(dict(kept)) == key_of(stamp) and not again
        plans.append((name, notebook, stamp, float(last.get("seconds", UNKNOWN_SECONDS)), fresh))
    left = sum(seconds for *_, seconds, fresh in plans if not fresh)
    for number, (name, notebook, stamp, estimate, fresh) in enumerate(plans, start=1):
        position = f"[{number}/{len(plans)}] {name}"
        if fresh:
            print(f"{position}: unchanged", flush=True)
            _refresh_text(target / f"{name}.ipynb", notebook)
            continue
        print(f"{position}: about {format_seconds(estimate)}, {format_seconds(left)} left in all", flush=True)
        start = time.monotonic()
        try:
            run(notebook, root / "book", environment)
        except ChapterFailed as error:
            raise SystemExit(f"{position} failed; nothing of it was kept.\n{error}") from error
        seconds = time.monotonic() - start
        left -= estimate
        notebook.metadata["retrieval"] = stamp | {"seconds": round(seconds, 1)}
        _write(target / f"{name}.ipynb", notebook)
        print(f"{position}: done in {format_seconds(seconds)}", flush=True)


def _refresh_text(path: Path, notebook) -> None:
    """Bring a kept notebook's text up to date; its code has not changed, so its outputs stand."""
    kept = nbformat.read(path, as_version=4)
    outputs = [(c.outputs, c.execution_count) for c in kept.cells if c.cell_type == "code"]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = outputs.pop(0)
    notebook.metadata = kept.metadata  # the kernel's say on its language, too
    if nbformat.writes(kept) != nbformat.writes(notebook):
        _write(path, notebook)


def _write(path: Path, notebook) -> None:
    text = nbformat.writes(notebook) + "\n"
    if len(text.encode()) > LARGEST:
        raise SystemExit(f"{path.name} is {len(text) / 1e6:.1f} MB; a notebook has at most {LARGEST / 1e6} MB.")
    with write_whole(path) as partial:
        partial.write_text(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("copies", "committed"))
    parser.add_argument("--only", help="one chapter")
    parser.add_argument("--all", action="store_true", help="unchanged chapters as well")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    root = arguments.root.resolve()
    names = chapters(root)
    if arguments.only:
        if arguments.only not in names:
            raise SystemExit(f"There is no chapter {arguments.only!r}; there are {', '.join(names)}.")
        names = [arguments.only]
    environment = dict(os.environ)
    environment.setdefault("RETRIEVAL_PROFILE", "book")
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(root), environment.get("PYTHONPATH")]))
    data = prepared_data(root, environment)
    environment["RETRIEVAL_OFFLINE"] = "1"
    for kind, about in data.items():
        print(f"Images ({kind}): {about['name']}, {about['count']:,}, {about['source']}")
    if arguments.what == "committed":
        embedded = [about["name"] for about in data.values() if about["name"] in ("mnist", "orl")]
        if embedded or environment["RETRIEVAL_PROFILE"] != "book":
            raise SystemExit(
                "The committed outputs are those of the profile book on CIFAR-10 and LFW. Here they would be of "
                f"{', '.join(embedded) or 'another profile'}. `python -m retrieval_lib data` says how to get the images."
            )
        execute(names, root / "book", root, environment, data, arguments.all)
    else:
        execute(names, executed_folder(root), root, environment, data, arguments.all)


if __name__ == "__main__":
    main()
