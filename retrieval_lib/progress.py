"""Progress as one line of text with an estimate: updated in place, and removed at the end."""

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

T = TypeVar("T")


def format_seconds(seconds: float) -> str:
    """A duration in words: `42 s`, `3 min 05 s`, `2 h 10 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class ProgressLine:
    """One line on standard output, drawn over itself at most five times a second.

    Standard error and widgets stay unused: a notebook would store the one and load scripts for the other.

    Args:
        label: what is done.
        total: how many steps there are, if that is known.
        seconds_between: two drawings.
        earlier: steps that were done before this line began, as a resumed run has; they took none of its time.
    """

    def __init__(self, label: str, total: int | None = None, seconds_between: float = 0.2, earlier: int = 0):
        self.label, self.total, self.seconds_between, self.earlier = label, total, seconds_between, earlier
        self.started = time.monotonic()
        self._drawn = self.started  # what ends at once is never drawn
        self._width = 0

    def update(self, done: int, note: str = "") -> None:
        """Say that `done` of `total` steps are behind us; `note` is shown behind the estimate."""
        now = time.monotonic()
        if now - self._drawn < self.seconds_between:
            return
        self._drawn = now
        text = f"{self.label}: {done:,}"
        if self.total:
            text += f" of {self.total:,}"
            if done > self.earlier:
                each = (now - self.started) / (done - self.earlier)
                text += f", {format_seconds(each * (self.total - done))} left"
        if note:
            text += f" · {note}"
        self._write(text)

    def close(self) -> None:
        """Remove the line."""
        if self._width:
            self._write("")
            sys.stdout.write("\r")
            sys.stdout.flush()
            self._width = 0

    def _write(self, text: str) -> None:
        sys.stdout.write("\r" + text.ljust(self._width))
        sys.stdout.flush()
        self._width = len(text)


def progress(items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
    """Yield `items` and show how far we are, how long is left, and nothing once it is over."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    line = ProgressLine(label, total)
    try:
        for done, item in enumerate(items):
            line.update(done)
            yield item
    finally:
        line.close()
