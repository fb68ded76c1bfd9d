"""Run every check over the committed notebooks; say what is wrong where, and what to do."""

import argparse
import sys
from functools import partial
from pathlib import Path

import nbformat
from checks.finding import Finding
from checks.live_run import live_run_that_only_loaded
from checks.outputs import missing_alt_text, never_executed, stored_error, stored_stderr, too_few_compared
from checks.stale import stale_cells
from checks.text import book_only_import, directive_in_notebook, typed_result
from notebooks import ROOT, chapters

CHECKS = (
    stored_error,
    stored_stderr,
    never_executed,
    missing_alt_text,
    too_few_compared,
    typed_result,
    directive_in_notebook,
    book_only_import,
    live_run_that_only_loaded,
)
LARGEST = 1_500_000


def findings(name: str, root: Path) -> list[Finding]:
    """All that is wrong with a chapter's committed notebook."""
    path = root / "book" / f"{name}.ipynb"
    if not path.is_file():
        return [Finding(0, "does not exist", "run `make execute`")]
    notebook = nbformat.read(path, as_version=4)
    found = [finding for check in (*CHECKS, partial(stale_cells, name=name, root=root)) for finding in check(notebook)]
    if path.stat().st_size > LARGEST:
        found.append(Finding(0, f"is {path.stat().st_size / 1e6:.1f} MB", "draw smaller figures; 1.5 MB is the limit"))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    root = parser.parse_args().root.resolve()
    names = chapters(root)
    wrong = [(name, finding) for name in names for finding in findings(name, root)]
    for name, finding in wrong:
        print(f"book/{name}.ipynb, cell {finding.cell}: {finding.what}; {finding.to_do}.")
    print(f"{len(names)} notebooks checked, {len(wrong)} findings.")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
