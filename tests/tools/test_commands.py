"""The commands on a small book of two toy chapters, in a git clone of its own."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ("files.py", "progress.py", "profiles.py")

FIRST = """# %% [markdown]
# # First toy

# %%
#| tags: set-up, hide-input
from retrieval_lib.toy import double

print(double(4))

# %%
#| name: fig-toy
#| caption: A caption.
#| alt: A line that rises from the left
#|   to the right: straight.
1 + 1
"""
SECOND = "# %% [markdown]\n# # Second toy\n\n# %%\nimport sys\nsys.stdout.write('working 1\\rworking 2\\r         \\rdone\\n');\n"
MAIN = """import json, os, time
print("Decoding: 1\\rDecoding: 2\\r           \\rTo download: 170 MB")
if "TOY_READ" in os.environ:  # go on once somebody has read this
    left = time.monotonic() + 20
    while not os.path.exists(os.environ["TOY_READ"]):
        if time.monotonic() > left:
            raise SystemExit("the size was not told first")
        time.sleep(0.05)
print(json.dumps({"general": {"name": "mnist", "source": "toy", "content_hash": os.environ.get("TOY_HASH", "h"),
                              "count": 5}}))
"""


def run(folder, *command, **environment):
    """Run one of the project's tools as the Makefile does."""
    kept = os.environ | {"RETRIEVAL_PROFILE": "quick"} | environment
    kept.pop("PYTHONPATH", None)
    return subprocess.run(
        [sys.executable, *command, "--root", str(folder)], cwd=ROOT, env=kept, capture_output=True, text=True
    )


@pytest.fixture
def book(tmp_path):
    """A committed project with two chapters; only the first uses the library's module `toy`."""
    folder = tmp_path / "project"
    (folder / "book" / "src").mkdir(parents=True)
    (folder / "retrieval_lib").mkdir()
    for name in LIBRARY:
        shutil.copy(ROOT / "retrieval_lib" / name, folder / "retrieval_lib" / name)
    (folder / "retrieval_lib" / "__init__.py").write_text("")
    (folder / "retrieval_lib" / "toy.py").write_text('def double(x):\n    """Twice."""\n    return 2 * x\n')
    (folder / "retrieval_lib" / "__main__.py").write_text(MAIN)
    (folder / "book" / "src" / "first.py").write_text(FIRST)
    (folder / "book" / "src" / "second.py").write_text(SECOND)
    (folder / "_toc.yml").write_text(
        "format: jb-book\nroot: book/index\nparts:\n  - chapters:\n    - file: book/first\n    - file: book/second\n"
    )
    (folder / "book" / "index.md").write_text("# Toys\n")
    (folder / "_config.yml").write_text(
        "title: toys\nonly_build_toc_files: true\nexecute:\n  execute_notebooks: 'off'\n# repository: begin\n# repository: end\n"
    )
    (folder / ".gitignore").write_text("_build/\n__pycache__/\n")
    for command in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "toys"],
    ):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


def status(folder) -> str:
    return subprocess.run(["git", "status", "--porcelain"], cwd=folder, capture_output=True, text=True).stdout


def execute(folder, **environment):
    return run(folder, "tools/execute.py", "copies", **environment)


def executed(folder, name):
    return nbformat.read(folder / "_build" / "notebooks" / f"{name}.ipynb", as_version=4)


def test_chapters_are_executed_in_copies_and_only_when_something_changed(book):
    done = execute(book)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[1/2] first: done" in done.stdout and "[2/2] second: done" in done.stdout
    told = done.stdout.splitlines()
    assert told[0] == "To download: 170 MB" and told[1].startswith("Images (general): mnist, 5, toy")
    assert re.fullmatch(r"\[1/2\] first: about \d+ s, \d.* left in all", told[2])
    assert status(book) == ""

    first = executed(book, "first")
    code = [cell for cell in first.cells if cell.cell_type == "code"]
    assert code[0].metadata["tags"] == ["colab-set-up", "remove-cell"] and code[0].outputs == []
    assert code[1].metadata["tags"] == ["set-up", "hide-input"] and code[1].outputs[0].text == "8\n"
    assert code[2].metadata["mystnb"] == {
        "figure": {"name": "fig-toy", "caption": "A caption."},
        "image": {"alt": "A line that rises from the left to the right: straight."},
    }
    assert code[2].source == "1 + 1"
    stamp = first.metadata["retrieval"]
    assert stamp["profile"] == "quick" and stamp["data"]["general"]["source"] == "toy" and stamp["seconds"] > 0
    assert executed(book, "second").cells[-1].outputs[0].text == "done\n"  # progress lines are not kept

    again = execute(book)
    assert "[1/2] first: unchanged" in again.stdout and "[2/2] second: unchanged" in again.stdout
    assert executed(book, "first") == first, "an unchanged chapter is left as it is"

    toy = book / "retrieval_lib" / "toy.py"
    toy.write_text(toy.read_text().replace("Twice.", "Two times."))
    assert "first: unchanged" in execute(book).stdout
    toy.write_text("def double(x):\n    return x + x + 1\n")
    (book / "results").mkdir()
    (book / "results" / "of-somebody-else.jsonl").write_text("{}")
    changed = execute(book).stdout
    assert "first: done" in changed and "second: unchanged" in changed
    assert "done" in execute(book, TOY_HASH="other data").stdout


def test_sizes_of_downloads_are_told_before_anything_is_downloaded(book, tmp_path):
    read = tmp_path / "read"
    environment = os.environ | {"RETRIEVAL_PROFILE": "quick", "TOY_READ": str(read)}
    command = [sys.executable, "tools/execute.py", "copies", "--root", str(book)]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout.readline() == "To download: 170 MB\n"
        read.write_text("")
        assert "[2/2] second: done" in running.stdout.read()
    assert running.returncode == 0


def test_changed_text_is_taken_over_without_a_run(book):
    execute(book)
    source = book / "book" / "src" / "second.py"
    source.write_text(source.read_text().replace("Second toy", "A better title"))
    done = execute(book)
    assert "second: unchanged" in done.stdout
    notebook = executed(book, "second")
    assert "A better title" in notebook.cells[0].source and notebook.cells[-1].outputs[0].text == "done\n"


@pytest.mark.parametrize(
    ("line", "told"),
    [("1 / 0", "ZeroDivisionError"), ("import sys; print('careful', file=sys.stderr)", "standard error")],
)
def test_a_failing_cell_ends_the_run_and_keeps_nothing(book, line, told):
    (book / "book" / "src" / "first.py").write_text(f"# %% [markdown]\n# # First\n\n# %%\n{line}\n")
    done = execute(book)
    assert done.returncode != 0 and told in done.stdout + done.stderr
    assert not (book / "_build" / "notebooks" / "first.ipynb").exists()


def test_committed_outputs_are_refused_on_embedded_images(book):
    done = run(book, "tools/execute.py", "committed", RETRIEVAL_PROFILE="book")
    assert done.returncode != 0 and "CIFAR-10 and LFW" in done.stderr and status(book) == ""


def test_an_unknown_option_or_chapter_is_named(book):
    (book / "book" / "src" / "second.py").write_text("# %% [markdown]\n# # Second\n\n# %%\n#| captoin: x\n1\n")
    done = execute(book)
    assert done.returncode != 0 and "captoin" in done.stderr
    other = run(book, "tools/execute.py", "copies", "--only", "third")
    assert "third" in other.stderr and "first, second" in other.stderr


def test_pages_are_built_from_the_copies_and_a_stored_error_is_refused(book):
    execute(book)
    done = run(book, "tools/build.py", "executed", "--strict", "--cold")
    assert done.returncode == 0, done.stdout + done.stderr
    page = Path(done.stdout.strip().split(": ")[-1])
    assert page.name == "index.html" and page.is_file() and status(book) == ""
    assert "done" in (page.parent / "book" / "second.html").read_text()

    path = book / "_build" / "notebooks" / "second.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[-1].outputs = [nbformat.v4.new_output("error", ename="KeyError", evalue="'x'", traceback=[])]
    nbformat.write(notebook, path)
    refused = run(book, "tools/build.py", "executed")
    assert refused.returncode != 0 and "KeyError" in refused.stderr


def test_a_warning_fails_the_strict_build_only(book):
    execute(book)
    (book / "book" / "index.md").write_text("# Toys\n\n[nowhere](missing.md#place)\n")
    assert run(book, "tools/build.py", "executed", "--cold").returncode == 0
    assert run(book, "tools/build.py", "executed", "--strict", "--cold").returncode != 0


def test_the_repository_is_set_in_one_place(book):
    sys.path.insert(0, str(ROOT / "tools"))
    from notebooks import colab_cell, from_source, repository
    from set_repository import set_repository

    assert repository(book) is None and "make repository" in colab_cell(None).source
    notebook = from_source("first", book)
    notebook.cells[-1].outputs = [nbformat.v4.new_output("stream", text="kept")]
    notebook.metadata["retrieval"] = {"code": "kept"}
    nbformat.write(notebook, book / "book" / "first.ipynb")

    set_repository("octocat/retrieval", book)
    set_repository("octocat/retrieval", book)  # twice is the same as once
    assert repository(book) == "octocat/retrieval"
    assert "colab.research.google.com" in (book / "_config.yml").read_text()
    after = nbformat.read(book / "book" / "first.ipynb", as_version=4)
    assert "github.com/octocat/retrieval" in after.cells[1].source
    assert after.cells[-1].outputs[0].text == "kept" and after.metadata["retrieval"] == {"code": "kept"}
    for wrong in ("", "octocat", "a/b/c", "octo cat/x", "https://github.com/a/b"):
        with pytest.raises(ValueError, match="owner/name"):
            set_repository(wrong, book)


def test_colab_links_appear_with_the_books_own_configuration_and_are_absent_before(book):
    sys.path.insert(0, str(ROOT / "tools"))
    from set_repository import set_repository

    shutil.copy(ROOT / "_config.yml", book / "_config.yml")
    shutil.copytree(ROOT / "book" / "_static", book / "book" / "_static")
    execute(book)
    links = []
    for name in (None, "octocat/retrieval"):
        if name:
            set_repository(name, book)
        done = run(book, "tools/build.py", "executed", "--cold")
        assert done.returncode == 0, done.stdout + done.stderr
        page = book / "_build" / "executed" / "_build" / "html" / "book" / "first.html"
        links.append(re.findall(r'href="(https://colab[^"]*)"', page.read_text()))
    assert links == [[], ["https://colab.research.google.com/github/octocat/retrieval/blob/main/book/first.ipynb"]]


def test_make_alone_lists_the_commands():
    done = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True)
    named = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("make ")}
    assert named >= {"book", "test", "test-all", "html", "execute", "record", "verify", "lab", "clean"}


def test_no_fitting_python_is_told(tmp_path):
    done = subprocess.run(["make", "setup", "PYTHON="], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode != 0 and "3.11, 3.12 or 3.13" in done.stdout


def test_the_ranges_are_where_they_belong():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    assert lines[0] == "-c constraints.txt"
    wanted = {"jupyter-book", "torch", "torchvision", "matplotlib", "seaborn", "umap-learn", "faiss-cpu", "nbval"}
    assert wanted <= {line.split(">")[0] for line in lines}
    assert "<" not in (ROOT / "pyproject.toml").read_text().split("dependencies = [")[1].split("]")[0]


def test_stamps_are_json(book):
    execute(book)
    assert json.loads(json.dumps(executed(book, "first").metadata["retrieval"]))["versions"]["python"]
