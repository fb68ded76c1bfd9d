"""One thing that is wrong in a notebook."""

from typing import NamedTuple


class Finding(NamedTuple):
    """Which cell, what is wrong with it, and what to do."""

    cell: int
    what: str
    to_do: str


def code_cells(notebook):
    """(number, cell) of each code cell."""
    return [(i, cell) for i, cell in enumerate(notebook.cells) if cell.cell_type == "code"]


def text_cells(notebook):
    """(number, text without code) of each Markdown cell."""
    return [(i, cell.source) for i, cell in enumerate(notebook.cells) if cell.cell_type == "markdown"]
