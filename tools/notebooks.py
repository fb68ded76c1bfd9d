"""From a hand-written percent script to a notebook: cells, their options, and the first cell that Colab needs.

A cell option is a comment at the top of a code cell:

    #| name: fig-angle
    #| caption: What the figure is.
    #| alt: What one sees in it. A long one goes on
    #|   in lines that are indented.
    #| tags: hide-input, live-run
"""

import hashlib
import re
from pathlib import Path

import jupytext
import nbformat
import yaml

ROOT = Path(__file__).resolve().parent.parent
OPTION = re.compile(r"^#\| ?(\s*)(?:(\w+):)?\s*(.*)$")
KNOWN_OPTIONS = ("name", "caption", "alt", "tags")
COLAB_TAG = "colab-set-up"


def chapters(root: Path = ROOT) -> list[str]:
    """The chapters' names in the order of the table of contents: those of its pages that have a source script."""
    toc = yaml.safe_load((root / "_toc.yml").read_text())
    pages = [toc["root"]]

    def collect(node) -> None:
        for part in node.get("parts", []):
            collect(part)
        for key in ("chapters", "sections"):
            for page in node.get(key, []):
                if "file" in page:
                    pages.append(page["file"])
                collect(page)

    collect(toc)
    names = [Path(page).stem for page in pages]
    return [name for name in names if (root / "book" / "src" / f"{name}.py").is_file()]


def repository(root: Path = ROOT) -> str | None:
    """owner/name of the published repository, from _config.yml; None until it is set."""
    config = yaml.safe_load((root / "_config.yml").read_text())
    url = (config.get("repository") or {}).get("url") or ""
    return "/".join(url.rstrip("/").split("/")[-2:]) if url else None


def from_source(name: str, root: Path = ROOT) -> nbformat.NotebookNode:
    """The notebook of a chapter, without outputs."""
    path = root / "book" / "src" / f"{name}.py"
    notebook = jupytext.reads(path.read_text(), fmt="py:percent")
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            _apply_options(cell, f"{path.name}, cell {number}")
    title = next(i for i, cell in enumerate(notebook.cells) if cell.cell_type == "markdown")
    notebook.cells.insert(title + 1, colab_cell(repository(root)))
    for number, cell in enumerate(notebook.cells):
        cell["id"] = hashlib.sha256(f"{name} {number}".encode()).hexdigest()[:8]
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def _apply_options(cell, where: str) -> None:
    """Move the `#|` lines at the top of a code cell into its metadata."""
    lines = cell.source.splitlines()
    options: dict[str, str] = {}
    last = None
    while lines and lines[0].startswith("#|"):
        indent, key, text = OPTION.match(lines.pop(0)).groups()
        if key and not indent:
            if key not in KNOWN_OPTIONS:
                raise ValueError(f"{where}: the option {key!r} is not known; use {', '.join(KNOWN_OPTIONS)}.")
            options[key], last = text, key
        elif last:
            options[last] += " " + (f"{key}: " if key else "") + text
        else:
            raise ValueError(f"{where}: the first option line has no name: {text!r}.")
    cell.source = "\n".join(lines).strip("\n")
    if "tags" in options:
        cell.metadata["tags"] = [tag.strip() for tag in options["tags"].split(",")]
    drawn = {}
    if "caption" in options or "name" in options:
        drawn["figure"] = {key: options[key] for key in ("caption", "name") if key in options}
    if "alt" in options:
        drawn["image"] = {"alt": options["alt"]}
    if drawn:
        cell.metadata["mystnb"] = drawn


def colab_cell(repository_name: str | None):
    """The first code cell, the same in every chapter: it prepares Colab, and does nothing anywhere else."""
    if repository_name:
        url = f"https://github.com/{repository_name}"
        folder = repository_name.split("/")[1]
        body = f'''import os
import subprocess
import sys

if "google.colab" in sys.modules and not os.path.isdir("/content/{folder}"):
    subprocess.run(["git", "clone", "--depth", "1", "{url}", "/content/{folder}"], check=True)
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "-e", "/content/{folder}"], check=True)
    sys.path.insert(0, "/content/{folder}")
    os.chdir("/content/{folder}/book")'''
    else:
        body = """import sys

if "google.colab" in sys.modules:
    raise RuntimeError(
        "This copy of the book does not say which repository it was published from. "
        "Its publisher can set it with: make repository NAME=owner/name"
    )"""
    cell = nbformat.v4.new_code_cell(body)
    cell.metadata["tags"] = [COLAB_TAG, "remove-cell"]
    return cell


def own_code(notebook) -> list[str]:
    """The sources of a chapter's code cells, without the cell for Colab."""
    return [
        cell.source
        for cell in notebook.cells
        if cell.cell_type == "code" and COLAB_TAG not in cell.metadata.get("tags", [])
    ]
