"""A notebook still belongs to its source script and to the library."""

import nbformat
from notebooks import COLAB_TAG, from_source, own_code
from stamps import code_hash, modules_hash, records_hash

from checks.finding import Finding


def stale_cells(notebook, name: str, root) -> list[Finding]:
    """Cells that are not those of the source, or outputs that were made with other code, modules or records."""
    wanted = from_source(name, root)
    found = []
    if own_code(notebook) != own_code(wanted):
        for i, (cell, source) in enumerate(zip(_own(notebook), own_code(wanted), strict=False)):
            if cell.source != source:
                found.append(Finding(i, "differs from its source script", "run `make execute`"))
                break
        else:
            found.append(Finding(0, "has other code cells than its source script", "run `make execute`"))
    if _options(notebook) != _options(wanted):
        what = "has other tags, captions or alternative texts than its source script"
        found.append(Finding(0, what, "run `make execute`"))
    if _texts(notebook) != _texts(wanted):
        found.append(Finding(0, "has other text than its source script", "run `make execute`"))
    stamp = notebook.metadata.get("retrieval")
    if stamp is None:
        return [*found, Finding(0, "has no stamp", "run `make execute`; notebooks are not executed by hand")]
    now = {
        "code": code_hash(wanted),
        "modules": modules_hash(wanted, root),
        "records": records_hash(wanted, root),
    }
    found += [
        Finding(0, f"was executed with other {key}", "run `make execute`") for key in now if stamp.get(key) != now[key]
    ]
    if stamp.get("profile") != "book":
        found.append(Finding(0, f"was executed in the profile {stamp.get('profile')}", "run `make execute`"))
    return found


def _own(notebook: nbformat.NotebookNode):
    return [c for c in notebook.cells if c.cell_type == "code" and COLAB_TAG not in c.metadata.get("tags", [])]


def _options(notebook) -> list[tuple]:
    """What the `#|` lines of the source say of each code cell."""
    return [(cell.metadata.get("tags", []), cell.metadata.get("mystnb", {})) for cell in _own(notebook)]


def _texts(notebook) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
