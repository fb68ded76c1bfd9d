"""The line of progress: its estimate counts what was done in its own time."""

import pytest

from retrieval_lib import progress
from retrieval_lib.progress import ProgressLine, format_seconds


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test turns."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_the_estimate_is_that_of_the_steps_done(clock, capsys):
    line = ProgressLine("Training", 100)
    clock[0] += 20
    line.update(20)
    assert "20 of 100, 1 min 20 s left" in capsys.readouterr().out


def test_steps_of_an_earlier_run_took_none_of_its_time(clock, capsys):
    line = ProgressLine("Training", 100, earlier=60)
    clock[0] += 1
    line.update(60)
    assert "left" not in capsys.readouterr().out, "nothing is known yet"
    clock[0] += 19
    line.update(70)
    assert "70 of 100, 1 min 00 s left" in capsys.readouterr().out


def test_durations_in_words():
    assert [format_seconds(s) for s in (42, 185, 7800)] == ["42 s", "3 min 05 s", "2 h 10 min"]


def test_what_is_closed_leaves_nothing_behind(clock, capsys):
    line = ProgressLine("Training", 10)
    clock[0] += 1
    line.update(5, "a note")
    line.close()
    assert capsys.readouterr().out.endswith("\r")
