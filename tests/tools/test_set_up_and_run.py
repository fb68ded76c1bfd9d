"""Setting up the environment, and what `make test` does where there is no browser."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import run_tests  # noqa: E402


def set_up(environment):
    command = [sys.executable, ROOT / "tools" / "setup_env.py"]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def test_a_missing_venv_module_says_what_to_install(tmp_path):
    (tmp_path / "ensurepip.py").write_text("raise ImportError('not here')\n")
    done = set_up(os.environ | {"VENV": str(tmp_path / "venv"), "PYTHONPATH": str(tmp_path)})
    assert done.returncode == 1 and "apt install python3-venv" in done.stdout
    assert not (tmp_path / "venv").exists()


def test_a_folder_that_is_no_environment_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    done = set_up(os.environ | {"VENV": str(tmp_path)})
    assert done.returncode == 1 and "is no virtual environment; remove it, or name another folder" in done.stdout
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_failed_installation_shows_the_end_of_its_log(tmp_path):
    code = (
        "import os, sys; sys.path.insert(0, sys.argv[1]); os.environ['VENV'] = sys.argv[2]; import setup_env; "
        "setup_env.run('Installing', sys.executable, '-c', 'print(\"no such package\"); raise SystemExit(3)')"
    )
    done = subprocess.run([sys.executable, "-c", code, ROOT / "tools", tmp_path / "v"], capture_output=True, text=True)
    assert done.returncode == 1 and "no such package" in done.stdout and "Installing failed" in done.stdout


@pytest.fixture
def steps(monkeypatch):
    """The titles of the steps that `make test` runs, none of them run; those named in `failing` fail."""
    titles, failing = [], set()

    def step(title, *command, **environment):
        titles.append(title)
        steps.commands[title] = command
        return title not in failing

    steps = type("Steps", (), {"titles": titles, "failing": failing, "commands": {}})
    monkeypatch.setattr(run_tests, "step", step)
    monkeypatch.setattr(run_tests, "find_browser", lambda: "/usr/bin/a-browser")
    monkeypatch.setattr(sys, "argv", ["run_tests.py"])
    monkeypatch.delenv("CI", raising=False)
    return steps


def test_every_step_is_run(steps, monkeypatch, capsys):
    run_tests.main()
    assert steps.titles == [
        "Lint", "Tests", "Doctests", "Checks of the notebooks", "Notebooks, profile quick", "Strict cold build",
        "Browser tests",
    ]  # fmt: skip
    assert "All steps passed." in capsys.readouterr().out and "not slow" in " ".join(steps.commands["Tests"])
    assert {"--strict", "--cold"} <= set(steps.commands["Strict cold build"])
    monkeypatch.setattr(sys, "argv", ["run_tests.py", "--all"])
    run_tests.main()
    assert "slow" not in " ".join(steps.commands["Tests"])


@pytest.mark.parametrize("title", ["Lint", "Notebooks, profile quick", "Browser tests"])
def test_one_failed_step_fails_all_but_the_others_are_run(steps, title):
    steps.failing.add(title)
    with pytest.raises(SystemExit, match="Something FAILED"):
        run_tests.main()
    assert len(steps.titles) == 7


@pytest.mark.parametrize(("ci", "code"), [(None, 0), ("false", 0), ("true", 1)])
def test_without_a_browser_its_tests_are_said_not_to_run(steps, monkeypatch, capsys, ci, code):
    monkeypatch.setattr(run_tests, "find_browser", lambda: None)
    if ci:
        monkeypatch.setenv("CI", ci)
    with pytest.raises(SystemExit) as ended:
        run_tests.main()
    assert ended.value.code == code and "browser tests NOT RUN" in capsys.readouterr().out
    assert "Browser tests" not in steps.titles


@pytest.mark.parametrize(
    ("found", "root", "installs"), [(True, True, False), (False, False, False), (False, True, True)]
)
def test_a_browser_is_found_or_installed_by_root_only(monkeypatch, found, root, installs):
    have, commands = {"apt-get"} | ({"google-chrome"} if found else set()), []

    def apt(command, **_):
        commands.append(command[:2])
        have.add("chromium") if command[1] == "install" else None

    monkeypatch.setattr(run_tests.shutil, "which", lambda name: f"/usr/bin/{name}" if name in have else None)
    monkeypatch.setattr(run_tests.os, "geteuid", lambda: 0 if root else 1000)
    monkeypatch.setattr(run_tests.subprocess, "run", apt)
    expected = "/usr/bin/google-chrome" if found else "/usr/bin/chromium" if installs else None
    assert run_tests.find_browser() == expected
    assert commands == ([["apt-get", "update"], ["apt-get", "install"]] if installs else [])
