"""Build the pages: stage the book with committed or freshly executed notebooks, and run Jupyter Book on it."""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
from execute import executed_folder
from notebooks import ROOT, chapters
from tidy_pages import tidy_pages

STRICT = ("-W", "--keep-going", "-n")


def stage(which: str, root: Path) -> Path:
    """Copy what Jupyter Book reads into one folder under _build, with the chosen notebooks."""
    folder = root / "_build" / which
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("_config.yml", "_toc.yml"):
        _copy_if_changed(root / name, folder / name)
    names = chapters(root)
    notebooks = executed_folder(root) if which == "executed" else root / "book"
    wanted = set()
    for path in sorted((root / "book").rglob("*")):
        inside = path.relative_to(root)
        is_chapter = path.suffix == ".ipynb" and path.stem in names
        if path.is_file() and not is_chapter and not {"src", ".ipynb_checkpoints"} & set(inside.parts):
            wanted.add(folder / inside)
            _copy_if_changed(path, folder / inside)
    for name in names:
        path = notebooks / f"{name}.ipynb"
        if not path.is_file():
            command = "make book" if which == "executed" else "make execute"
            raise SystemExit(f"The chapter {name} was never executed; run `{command}`.")
        _refuse_errors(path)
        wanted.add(folder / "book" / path.name)
        _copy_if_changed(path, folder / "book" / path.name)
    for stale in set((folder / "book").rglob("*")) - wanted:
        if stale.is_file():
            stale.unlink()
    return folder


def _copy_if_changed(source: Path, target: Path) -> None:
    """Keep the time stamp of an unchanged file, so that the build leaves its page alone."""
    if target.is_file() and target.read_bytes() == source.read_bytes():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _refuse_errors(path: Path) -> None:
    """A stored error must not become a page; Jupyter Book itself would only show it."""
    for number, cell in enumerate(nbformat.read(path, as_version=4).cells):
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                raise SystemExit(f"{path.name}, cell {number} holds an error: {output.ename}: {output.evalue}")


def build(which: str, root: Path, strict: bool = False, cold: bool = False) -> Path:
    """Build and return the first page.

    Args:
        which: `committed` or `executed`: whose outputs the pages show.
        root: of the project.
        strict: warnings are errors, references without a target as well.
        cold: build every page anew; a warm build does not repeat the warnings of unchanged pages.
    """
    folder = stage(which, root)
    if cold:
        shutil.rmtree(folder / "_build", ignore_errors=True)
    command = [str(Path(sys.executable).parent / "jupyter-book"), "build", str(folder), *(STRICT if strict else ())]
    log = root / "_build" / f"{which}.log"
    with log.open("w") as file:
        done = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    if done.returncode:
        print("\n".join(log.read_text(errors="replace").splitlines()[-40:]))
        raise SystemExit(f"The book was not built; the whole log is {log}.")
    page = folder / "_build" / "html" / "index.html"
    if not page.is_file():
        raise SystemExit(f"Jupyter Book ended without a first page; its log is {log}.")
    tidy_pages(page.parent)
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", choices=("committed", "executed"))
    parser.add_argument("--strict", action="store_true", help="warnings are errors")
    parser.add_argument("--cold", action="store_true", help="build every page anew")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    page = build(arguments.which, arguments.root.resolve(), arguments.strict, arguments.cold)
    print(f"The book stands: {page}")


if __name__ == "__main__":
    main()
