"""The library's rooms: each imports only rooms before it, so that the way of an image can be read in one direction."""

import ast

import pytest

ORDER = (
    "files", "paths", "profiles", "progress",
    "data", "augmentation", "backbones", "hashing", "quantization", "index", "evaluation",
    "methods", "training", "experiments", "plots", "notebook", "__main__",
)  # fmt: skip


def imports_of(path):
    """Names of the modules of the library that a file imports, with the line."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}, line {node.lineno}: a relative import; write the whole name"
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def wrong_imports(library):
    """Imports of a room that stands later in the order; the package itself may only be asked for its version."""
    wrong = []
    for path in sorted(library.rglob("*.py")):
        room = path.relative_to(library).parts[0].removesuffix(".py")
        for module, line in imports_of(path):
            package, *inside = module.split(".")
            if package != library.name or room == "__init__" or inside == ["__version__"]:
                continue
            if not inside or ORDER.index(inside[0]) > ORDER.index(room):
                wrong.append(f"{path.relative_to(library)}, line {line}: imports {module}")
    return wrong


def test_rooms_import_only_rooms_before_them(repository):
    assert wrong_imports(repository / "retrieval_lib") == []


def test_every_room_has_its_place(repository):
    rooms = {p.name.removesuffix(".py") for p in (repository / "retrieval_lib").iterdir() if p.suffix in ("", ".py")}
    assert rooms - {"__init__", "__pycache__"} <= set(ORDER)


@pytest.mark.parametrize("line", ["from retrieval_lib.plots import style", "import retrieval_lib.evaluation.ties"])
def test_a_later_room_is_found(tmp_path, line):
    (tmp_path / "retrieval_lib" / "data").mkdir(parents=True)
    (tmp_path / "retrieval_lib" / "data" / "images.py").write_text(line + "\n")
    assert len(wrong_imports(tmp_path / "retrieval_lib")) == 1
    (tmp_path / "retrieval_lib" / "data" / "images.py").write_text("from retrieval_lib.files import write_whole\n")
    assert wrong_imports(tmp_path / "retrieval_lib") == []
