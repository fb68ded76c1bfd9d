"""What the README shows works: its code, its commands, its picture."""

import re

import pytest
from PIL import Image


@pytest.fixture
def readme(repository):
    return (repository / "README.md").read_text()


def test_the_code_for_own_images_runs(readme, tmp_path, monkeypatch, capsys):
    for c, name in enumerate(("cats", "dogs")):
        (tmp_path / "my_photos" / name).mkdir(parents=True)
        for i in range(12):
            Image.new("RGB", (80, 60), (200 * c, 10 * i, 90)).save(tmp_path / "my_photos" / name / f"{i}.jpg")
    (code,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    assert capsys.readouterr().out.startswith("1.0000 (mAP@22, divisor retrieved")


def test_its_commands_files_and_picture_exist(readme, repository):
    targets = set(re.findall(r"^([a-z-]+):", (repository / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z-]+)", readme))
    assert {"book", "test", "repository", "html"} <= named <= targets
    pictures = re.findall(r"!\[([^\]]+)\]\(([^)]+)\)", readme)
    assert pictures and all((repository / path).is_file() for _, path in pictures)
    for name in ("LICENSE", "LICENSE-TEXT", "CONTRIBUTING.md"):
        assert name in readme and (repository / name).is_file()
