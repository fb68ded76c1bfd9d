"""Every check has a notebook that turns it red, and one beside it that stays green."""

import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

import check
from checks.live_run import MIME, live_run_that_only_loaded
from checks.outputs import missing_alt_text, never_executed, stored_error, stored_stderr, too_few_compared
from checks.stale import stale_cells
from checks.text import book_only_import, directive_in_notebook, typed_result
from notebooks import from_source
from stamps import stamp_of


def code(source="1", outputs=(), count=1, **metadata):
    return new_code_cell(source, outputs=list(outputs), execution_count=count, metadata=metadata)


def book(*cells):
    return new_notebook(cells=list(cells))


def text(source):
    return book(new_markdown_cell(source))


def test_stored_error():
    error = new_output("error", ename="ZeroDivisionError", evalue="division by zero", traceback=[])
    assert stored_error(book(code(outputs=[error])))[0].what.startswith("stores the error ZeroDivisionError")
    assert stored_error(book(code(outputs=[new_output("stream", text="fine")]))) == []


def test_stored_stderr():
    assert stored_stderr(book(code(outputs=[new_output("stream", name="stderr", text="a warning")])))
    assert stored_stderr(book(code(outputs=[new_output("stream", name="stdout", text="a line")]))) == []


def test_never_executed():
    assert never_executed(book(code(count=None)))
    assert never_executed(book(code(count=3), code("", count=None))) == []


FIGURE = new_output("display_data", data={"image/png": "iVBORw0KGgo="})
GOOD = {
    "image": {"alt": "A line that rises from left to right and then flattens."},
    "figure": {"caption": "c", "name": "n"},
}


def test_missing_alt_text():
    assert missing_alt_text(book(code(outputs=[FIGURE], mystnb=GOOD))) == []
    assert len(missing_alt_text(book(code(outputs=[FIGURE])))) == 3  # alt, caption and name
    assert "shows none" in missing_alt_text(book(code(mystnb=GOOD)))[0].what
    short = GOOD | {"image": {"alt": "a figure"}}
    assert "'a figure'" in missing_alt_text(book(code(outputs=[FIGURE], mystnb=short)))[0].what
    assert missing_alt_text(text("![plot](plot.png)"))
    assert missing_alt_text(text("![A grid of nine faces, three of them in a blue frame](plot.png)")) == []


@pytest.mark.parametrize(
    "sentence",
    [
        "Our method reaches 0.73 on this set.",
        "That is 12% better.",
        "It took 34 s on a laptop.",
        "The search is 6.5 times faster.",
        "A query is 20× faster.",
        "An mAP of 0.5 is reached.",
        "We reach 0.73 [0.71, 0.75] here.",
        "| method | mAP |\n|---|---|\n| ours | 81.2 |",
    ],
)
def test_typed_result_is_found(sentence):
    assert typed_result(text("# Title\n\n" + sentence))


@pytest.mark.parametrize(
    "sentence",
    [
        "We take codes of 64 bits and images of 32 × 32 pixels.",
        "The temperature is $\\tau = 0.2$, as in $x = 0.73$.",
        "The paper reports 0.721 for 64 bits [4].",
        "Users report 0.721 and 0.716 [4, issue 3], or 0.65 [4; 7].",
        "| name | value |\n|---|---|\n| M | 8 |",
        "In 2016 they proposed it; see section 3.2.",
        "`learning_rate=0.001` is the default.",
        "Its 95 % interval is shown.",
        "A score lies between 0 and 1.",
    ],
)
def test_settings_formulas_and_sourced_numbers_pass(sentence):
    assert typed_result(text(sentence)) == []


@pytest.mark.parametrize(
    "source", [":::{note}\nx\n:::", "```{figure} x.png\n```", "see {ref}`there`", "{cite:p}`jang`", "(here)=\n# Title"]
)
def test_directive_in_notebook_is_found(source):
    assert directive_in_notebook(text(source))


def test_plain_markdown_passes():
    assert directive_in_notebook(text("```python\nx = {1: 2}\n```\n\n`{braces}` and $\\{a\\}$")) == []


def test_book_only_import():
    assert book_only_import(book(code("from myst_nb import glue")))
    assert book_only_import(book(code("import torch"))) == []


HISTORY = {
    "steps": 100, "seconds": 12.0, "initial": "random", "weights_before": "a", "weights_after": "b", "losses": [2.0, 1.0],
}  # fmt: skip


def live(source="train(model)", **changes):
    data = {MIME: HISTORY | changes}
    return book(code(source, [new_output("display_data", data=data)], tags=["live-run"]))


def test_a_live_run_that_trained_passes_and_other_cells_are_left_alone():
    assert live_run_that_only_loaded(live()) == []
    assert live_run_that_only_loaded(book(code("model.load_state_dict(weights)"))) == []


def test_a_live_run_that_only_loaded_weights_is_found():
    assert live_run_that_only_loaded(live(weights_after="a"))
    assert live_run_that_only_loaded(live(steps=0))
    assert live_run_that_only_loaded(live(losses=[1.0]))
    assert live_run_that_only_loaded(live("model.load_state_dict(weights)"))
    assert live_run_that_only_loaded(live("history = train(method, images, split, settings, state_path=saved)"))
    assert live_run_that_only_loaded(book(code("train(model)", tags=["live-run"])))


def test_too_few_compared():
    marked = [code("# NBVAL_CHECK_OUTPUT\n1") for _ in range(3)]
    assert too_few_compared(book(*marked[:2], code()))
    assert too_few_compared(book(*marked)) == []


SOURCE = '# %% [markdown]\n# # A toy\n\n# %%\nfrom retrieval_lib.toy import f\nrecorded = "a"\nf(1)\n'


@pytest.fixture
def project(tmp_path):
    """A project with one chapter that imports one module."""
    (tmp_path / "book" / "src").mkdir(parents=True)
    (tmp_path / "retrieval_lib").mkdir()
    (tmp_path / "book" / "src" / "toy.py").write_text(SOURCE)
    (tmp_path / "retrieval_lib" / "__init__.py").write_text("")
    (tmp_path / "retrieval_lib" / "toy.py").write_text('def f(x):\n    """Twice."""\n    return 2 * x\n')
    (tmp_path / "_config.yml").write_text("title: toy\n")
    return tmp_path


def executed(project) -> nbformat.NotebookNode:
    notebook = from_source("toy", project)
    data = {"general": {"name": "mnist", "source": "s", "content_hash": "h"}}
    notebook.metadata["retrieval"] = stamp_of(notebook, "book", data, project)
    return notebook


def test_stale_cells(project):
    notebook = executed(project)
    assert stale_cells(notebook, "toy", project) == []
    module = project / "retrieval_lib" / "toy.py"
    module.write_text('def f(x):\n    """Two times."""\n    return 2 * x  # a comment\n')
    assert stale_cells(notebook, "toy", project) == []  # words are not code
    module.write_text("def f(x):\n    return 3 * x\n")
    assert "other modules" in stale_cells(notebook, "toy", project)[0].what


def test_all_checks_run_on_the_committed_notebook(project, monkeypatch, capsys):
    """Whole runs of tools/check.py: a notebook that is missing, one that is well, one that is too large."""
    (project / "_toc.yml").write_text("format: jb-book\nroot: book/toy\n")
    marked = "\n".join(f"# %%\n# NBVAL_CHECK_OUTPUT\n{i}\n" for i in range(3))
    (project / "book" / "src" / "toy.py").write_text(f"{SOURCE}\n{marked}")
    monkeypatch.setattr(sys, "argv", ["check.py", "--root", str(project)])

    def run() -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            check.main()
        return ended.value.code, capsys.readouterr().out

    assert run() == (
        1,
        "book/toy.ipynb, cell 0: does not exist; run `make execute`.\n1 notebooks checked, 1 findings.\n",
    )
    notebook = executed(project)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.execution_count = 1
    path = project / "book" / "toy.ipynb"
    nbformat.write(notebook, path)
    assert run() == (0, "1 notebooks checked, 0 findings.\n")
    notebook.cells[-1].outputs = [new_output("stream", text="x" * check.LARGEST)]
    nbformat.write(notebook, path)
    code, told = run()
    assert code == 1 and "is 1.5 MB; draw smaller figures" in told
    notebook.cells[-1].outputs = [new_output("error", ename="KeyError", evalue="'x'", traceback=[])]
    nbformat.write(notebook, path)
    assert "cell 5: stores the error KeyError" in run()[1]


def test_stale_source_text_records_and_stamp(project):
    notebook = executed(project)
    (project / "results").mkdir()
    (project / "results" / "of-another-chapter.jsonl").write_text("{}\n")
    assert stale_cells(notebook, "toy", project) == []
    (project / "results" / "a.jsonl").write_text("{}\n")
    assert "other records" in stale_cells(notebook, "toy", project)[0].what
    (project / "book" / "src" / "toy.py").write_text(SOURCE.replace("f(1)", "f(2)"))
    assert any("differs from its source" in f.what for f in stale_cells(notebook, "toy", project))
    (project / "book" / "src" / "toy.py").write_text(SOURCE.replace("A toy", "A game"))
    assert any("other text" in f.what for f in stale_cells(notebook, "toy", project))
    (project / "book" / "src" / "toy.py").write_text(SOURCE.replace("from", "#| alt: A line that falls.\nfrom"))
    assert any("alternative texts" in f.what for f in stale_cells(notebook, "toy", project))
    del notebook.metadata["retrieval"]
    assert any("no stamp" in f.what for f in stale_cells(notebook, "toy", project))
