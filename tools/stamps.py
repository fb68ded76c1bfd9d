"""The stamp of an executed notebook: what it was made from, so that one can see whether it is still true."""

import ast
import hashlib
import importlib.metadata
import json
import platform
from pathlib import Path

from notebooks import ROOT, own_code

PACKAGES = ("torch", "torchvision", "numpy", "faiss-cpu", "scikit-learn", "umap-learn", "kornia", "matplotlib")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages whose results a chapter shows."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        found[package] = importlib.metadata.version(package)
    return found


def code_hash(notebook) -> str:
    """SHA-256 over a chapter's code cells, layout, comments and options aside."""
    digest = hashlib.sha256()
    for source in own_code(notebook):
        digest.update(_without_docstrings(source).encode())
    return digest.hexdigest()


def modules_hash(notebook, root: Path = ROOT) -> str:
    """SHA-256 over the modules of the library that a chapter imports, directly or not, without docstrings."""
    digest = hashlib.sha256()
    for path in sorted(imported_files(own_code(notebook), root)):
        digest.update(str(path.relative_to(root)).encode())
        digest.update(_without_docstrings(path.read_text()).encode())
    return digest.hexdigest()


def imported_files(sources: list[str], root: Path) -> set[Path]:
    """The files of retrieval_lib that these sources import, transitively."""
    found: set[Path] = set()
    pending = [name for source in sources for name in _imports(source)]
    while pending:
        path = _file_of(pending.pop(), root)
        if path is not None and path not in found:
            found.add(path)
            pending += _imports(path.read_text())
            parent = path.parent / "__init__.py"
            if parent != path and parent.is_file() and parent not in found:
                pending.append(".".join(parent.parent.relative_to(root).parts))
    return found


def _imports(source: str) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(_plain(source))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [node.module] + [f"{node.module}.{alias.name}" for alias in node.names]
    return [name for name in names if name.split(".")[0] == "retrieval_lib"]


def _file_of(module: str, root: Path) -> Path | None:
    path = root.joinpath(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def _plain(source: str) -> str:
    """The source with IPython's magic lines made comments, so that Python can parse it."""
    return "\n".join("#" + line if line.lstrip().startswith(("%", "!")) else line for line in source.splitlines())


def _without_docstrings(source: str) -> str:
    tree = ast.parse(_plain(source))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body = node.body[1:] or [ast.Pass()]
    return ast.dump(tree)


def records_hash(notebook, root: Path = ROOT) -> str:
    """SHA-256 over the recorded results and the checkpoints that a chapter's code names as strings."""
    named = {
        node.value
        for source in own_code(notebook)
        for node in ast.walk(ast.parse(_plain(source)))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    digest = hashlib.sha256()
    for folder in ("results", "checkpoints"):
        for path in sorted((root / folder).rglob("*")):
            if path.is_file() and named & {path.name, path.stem}:
                digest.update(str(path.relative_to(root)).encode())
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def stamp_of(notebook, profile: str, data: dict, root: Path = ROOT) -> dict:
    """Everything that a chapter's outputs depend on."""
    kept = {kind: {k: about[k] for k in ("name", "source", "content_hash")} for kind, about in data.items()}
    return {
        "profile": profile,
        "data": kept,
        "code": code_hash(notebook),
        "modules": modules_hash(notebook, root),
        "records": records_hash(notebook, root),
        "versions": versions(),
    }


def key_of(stamp: dict) -> str:
    """One hash for a stamp, without the time that the run took."""
    told = {k: v for k, v in stamp.items() if k != "seconds"}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
