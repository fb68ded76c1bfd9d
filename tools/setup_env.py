"""Set up the virtual environment, once for each state of the requirements. Uses the standard library only."""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEFINING = ("requirements.txt", "constraints.txt", "pyproject.toml")
STAMP = "retrieval-book-stamp"


def fingerprint() -> str:
    """What an environment is made from: the requirements, and the Python that runs it."""
    digest = hashlib.sha256(f"{sys.version_info[:2]} {ROOT}".encode())
    for name in DEFINING:
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def refuse(message: str) -> None:
    print(message)
    sys.exit(1)


def check_python() -> None:
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        refuse(
            f"This is Python {platform.python_version()}; the book needs 3.11, 3.12 or 3.13. "
            "Name another one: make book PYTHON=/path/to/python3.12"
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        refuse(
            "This Python has no working `venv` module. On Debian and Ubuntu: "
            f"apt install python3-venv (or python{version}-venv)."
        )


def tell_sizes() -> None:
    print("Setting up the environment: a download of about 4 GB (nearly all of it PyTorch), 6.6 GB on disk.")
    if sys.platform == "linux" and platform.machine() == "x86_64":
        print(
            "Without a GPU, PyTorch's own CPU packages are much smaller; where you can reach them:\n"
            "  PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make book"
        )


def run(what: str, *command: str) -> None:
    """Run a command, its output in a log; show how long it takes, and the end of the log where it fails."""
    log = Path(os.environ["VENV"] + ".log")
    start = time.monotonic()
    print(f"{what} …", flush=True)
    with log.open("w") as file:
        done = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    if done.returncode:
        print("\n".join(log.read_text(errors="replace").splitlines()[-25:]))
        refuse(f"{what} failed. The lines above are the end of {log}; run the command again once the cause is gone.")
    print(f"{what}: {time.monotonic() - start:.0f} s", flush=True)
    log.unlink()


def main() -> None:
    folder = Path(os.environ.setdefault("VENV", ".venv"))
    stamp = folder / STAMP
    if stamp.is_file() and stamp.read_text() == fingerprint():
        return
    check_python()
    if folder.exists() and not stamp.exists():
        if not (folder / "pyvenv.cfg").is_file():
            refuse(f"{folder} is no virtual environment; remove it, or name another folder: make book VENV=/path/to/it")
        print(f"{folder} is not complete; it is made anew.")
        shutil.rmtree(folder)
    tell_sizes()
    stamp.unlink(missing_ok=True)
    stamp_later = fingerprint()
    run("Making the environment", sys.executable, "-m", "venv", str(folder))
    python = str(folder / "bin" / "python")
    run("Installing the packages", python, "-m", "pip", "install", "-r", str(ROOT / "requirements.txt"))
    run("Installing the library", python, "-m", "pip", "install", "--no-deps", "--editable", str(ROOT))
    run("Trying the imports", python, "-c", "import torch, torchvision, faiss, retrieval_lib")
    stamp.write_text(stamp_later)


if __name__ == "__main__":
    main()
