"""Hand-written text: readable in every notebook viewer, and without results that no cell computed."""

import re

from checks.finding import Finding, code_cells, text_cells

DIRECTIVE = re.compile(
    r"^\s*(:{3,}|`{3,})\s*\{[\w:-]+\}|(?<!`)\{[a-z]+(:[a-z]+)?\}`[^`\n]+`|^\([\w:-]+\)=\s*$", re.MULTILINE
)
PLAIN_FENCE = re.compile(r"^```(?!\s*\{).*?^```", re.MULTILINE | re.DOTALL)
NOT_READ = re.compile(r"```.*?```|`[^`]*`|\$\$.*?\$\$|\$[^$]*\$|\]\([^)]*\)|<[^>]*>", re.DOTALL)
RESULT = re.compile(
    r"(?<![\w.,])0?\.\d{2,}(?![\w.])"  # a score such as 0.73
    r"|\b\d+(?:\.\d+)?\s?(?:%|percent\b|per cent\b)"  # a share
    r"|\b\d+(?:\.\d+)?\s?(?:ms|milliseconds?|seconds?|s|minutes?|min|hours?)\b"  # a measured time
    r"|\b\d+(?:\.\d+)?\s?(?:[×x](?!\s?\d)(?![\w×])|times\s+(?:as|faster|slower|more|less))"  # a ratio, not a size
    r"|\bmAP(?:@\d+)?\s+(?:of|is|=)\s+\d"
    r"|(?<=\|)[\s*_]*\d+\.\d+[\s*_]*(?=\|)"  # a table's cell
)
SOURCED = re.compile(r"\[\d+(?:[,;–-] ?(?:[a-z]+ )?\d+)*\]")  # [4], [4, 7], [4, issue 3]; an interval is no source


def typed_result(notebook) -> list[Finding]:
    """A number that looks like a result, typed into Markdown.

    Results are displayed by a cell from the values at hand. A published number may stand where its sentence names a
    reference in brackets; formulas, code and settings are not read.
    """
    found = []
    for i, text in text_cells(notebook):
        for sentence in re.split(r"(?<=[.?!:])\s+", NOT_READ.sub(" ", text.replace("95 % interval", "interval"))):
            match = RESULT.search(sentence)
            if match and not SOURCED.search(sentence):
                found.append(
                    Finding(
                        i, f"types the result {match.group().strip()!r}", "display it from a cell: notebook.result(f…)"
                    )
                )
    return found


def directive_in_notebook(notebook) -> list[Finding]:
    """A directive, role or target, which Colab and Jupyter show as raw text."""
    return [
        Finding(
            i, f"has the directive or role {match.group().strip()!r}", "write CommonMark; directives live in .md pages"
        )
        for i, text in text_cells(notebook)
        if (match := DIRECTIVE.search(PLAIN_FENCE.sub("", text)))
    ]


def book_only_import(notebook) -> list[Finding]:
    """An import that only the book's own builder has."""
    return [
        Finding(i, f"imports {match.group(1)}", "use only what requirements of the library bring")
        for i, cell in code_cells(notebook)
        if (match := re.search(r"^\s*(?:from|import)\s+(myst_nb|jupyter_book|sphinx)\b", cell.source, re.MULTILINE))
    ]
