"""Stored outputs: no error, nothing on standard error, every cell executed, figures that say what one sees."""

import re

from checks.finding import Finding, code_cells, text_cells

FEWEST_WORDS = 8
FEWEST_COMPARED = 3


def stored_error(notebook) -> list[Finding]:
    """A cell whose output is an error: Jupyter Book would publish it without a word."""
    return [
        Finding(i, f"stores the error {output.ename}: {output.evalue}", "mend the cell and execute the chapter again")
        for i, cell in code_cells(notebook)
        for output in cell.outputs
        if output.output_type == "error"
    ]


def stored_stderr(notebook) -> list[Finding]:
    """A cell that wrote to standard error."""
    return [
        Finding(i, f"stores output on standard error: {output.text[:80]!r}", "remove the cause of the warning")
        for i, cell in code_cells(notebook)
        for output in cell.outputs
        if output.output_type == "stream" and output.name == "stderr"
    ]


def never_executed(notebook) -> list[Finding]:
    """A cell without an execution count."""
    return [
        Finding(i, "was never executed", "run `make execute`")
        for i, cell in code_cells(notebook)
        if cell.source.strip() and cell.execution_count is None
    ]


def missing_alt_text(notebook) -> list[Finding]:
    """A figure without number, caption, or an alternative text that says what one sees; and these without a figure."""
    found = []
    for i, cell in code_cells(notebook):
        drawn = cell.metadata.get("mystnb", {})
        if not any("image/png" in o.get("data", {}) or "image/svg+xml" in o.get("data", {}) for o in cell.outputs):
            if drawn.get("figure"):
                found.append(Finding(i, "names a figure and shows none", "draw it in the cell's last line"))
            continue
        alt = drawn.get("image", {}).get("alt", "")
        if len(alt.split()) < FEWEST_WORDS:
            found.append(
                Finding(i, f"has a figure with the alternative text {alt!r}", "say in `#| alt:` what one sees in it")
            )
        for key in ("caption", "name"):
            if not drawn.get("figure", {}).get(key):
                found.append(Finding(i, f"has a figure without a {key}", f"give it one in `#| {key}:`"))
    for i, text in text_cells(notebook):
        found += [
            Finding(i, f"has an image with the alternative text {alt!r}", "say between the brackets what one sees")
            for alt in re.findall(r"!\[([^\]]*)\]\(", text)
            if len(alt.split()) < FEWEST_WORDS
        ]
    return found


def too_few_compared(notebook) -> list[Finding]:
    """Fewer cells whose stored output nbval compares than a chapter must have."""
    marked = sum("# NBVAL_CHECK_OUTPUT" in cell.source for _, cell in code_cells(notebook))
    if marked >= FEWEST_COMPARED:
        return []
    return [Finding(0, f"compares {marked} outputs", f"mark {FEWEST_COMPARED} cells with # NBVAL_CHECK_OUTPUT")]
