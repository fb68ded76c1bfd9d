"""`make test`: everything that must hold before a change is shown to a reader, one step after the other."""

import argparse
import os
import shutil
import subprocess
import sys
import time

from notebooks import ROOT, chapters

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_browser() -> str | None:
    """A Chromium; installed with apt where there is none and we may, else None."""
    found = next((shutil.which(name) for name in BROWSERS if shutil.which(name)), None)
    if found or os.geteuid() != 0 or not shutil.which("apt-get"):
        return found
    print("Installing Chromium for the browser tests …", flush=True)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update"], env=environment, **quiet)
    subprocess.run(["apt-get", "install", "-y", "--no-install-recommends", "chromium"], env=environment, **quiet)
    return shutil.which("chromium")


def step(title: str, *command: str, **environment: str) -> bool:
    """Run one step and say how it ended and how long it took."""
    print(f"\n== {title}", flush=True)
    start = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, env=os.environ | environment, stdin=subprocess.DEVNULL)
    ended = "passed" if done.returncode == 0 else "FAILED"
    print(f"== {title}: {ended}, {time.monotonic() - start:.0f} s", flush=True)
    return done.returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true", help="also the tests that take long")
    arguments = parser.parse_args()
    python, pytest = sys.executable, [sys.executable, "-m", "pytest", "-q"]
    quick = {"RETRIEVAL_PROFILE": "quick", "OMP_NUM_THREADS": "1"}
    side_by_side = ["-n", "2", "--dist", "loadscope"]
    marks = "not browser" if arguments.all else "not browser and not slow"
    notebooks = [f"book/{name}.ipynb" for name in chapters()]
    passed = [
        step("Lint", python, "-m", "ruff", "check", "."),
        step("Tests", *pytest, *side_by_side, "-m", marks, "tests", OMP_NUM_THREADS="1"),
        step("Doctests", *pytest, "--doctest-modules", "-p", "no:cacheprovider", "retrieval_lib", **quick),
        step("Checks of the notebooks", python, "tools/check.py"),
        step(
            "Notebooks, profile quick",
            *pytest, *side_by_side, "--nbval-lax", "--nbval-current-env",
            "--nbval-sanitize-with", "tests/nbval_sanitize.cfg", *notebooks, **quick,
        ),
        step("Strict cold build", python, "tools/build.py", "committed", "--strict", "--cold"),
    ]  # fmt: skip
    browser = find_browser()
    if browser:
        passed.append(step("Browser tests", *pytest, "-m", "browser", "tests/pages", BROWSER_PATH=browser))
    if not all(passed):
        sys.exit("\nSomething FAILED; look for the steps marked so above.")
    if not browser:
        print("\nAll other steps passed; browser tests NOT RUN: no Chromium was found (Debian: apt install chromium).")
        sys.exit(1 if os.environ.get("CI") == "true" else 0)
    print("\nAll steps passed.")


if __name__ == "__main__":
    main()
