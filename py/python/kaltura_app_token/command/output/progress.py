"""What a terminal shows while a command waits: one line on stderr, gone when there is something
else to say. Writes nothing where stderr is not a terminal.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TypeVar

    T = TypeVar("T")

_PROGRESS_AFTER = 0.5
_PROGRESS_EVERY = 0.1

_line = ""


def show(text: str) -> None:
    """Puts this into the place of what stands on the line."""
    global _line
    if not sys.stderr.isatty() or text == _line:
        return
    print(f"\r{text:{len(_line)}}", end="", file=sys.stderr, flush=True)
    _line = text


def erase() -> None:
    """Leaves the line empty."""
    global _line
    if _line:
        gone, _line = _line, ""
        print(f"\r{' ' * len(gone)}\r", end="", file=sys.stderr, flush=True)


def with_progress(items: Iterable[T], what: str, *, streamed: bool) -> Iterator[T]:
    """The items as they come, counted on a terminal's stderr once that takes long.

    Not where they are `streamed` to the same terminal and can be seen to come.
    """
    if not sys.stderr.isatty() or (streamed and sys.stdout.isatty()):
        yield from items
        return
    from time import monotonic

    next_at = monotonic() + _PROGRESS_AFTER
    try:
        for number, item in enumerate(items, 1):
            if monotonic() >= next_at:
                show(f"{number} {what} ...")
                next_at = monotonic() + _PROGRESS_EVERY
            yield item
    finally:
        erase()


class Waiting:
    """Tells of a call that takes longer than a second: who is waited for, and the attempt."""

    def __init__(self, host: str, attempts: int) -> None:
        self._host = host
        self._attempts = attempts
        self.attempt = 1

    def __call__(self, seconds: float | None) -> None:
        """Once in a while until the call ends, and with None when it does."""
        if seconds is None:
            self.attempt = 1
            erase()
            return
        attempt = ""
        if self.attempt > 1:
            attempt = f" (attempt {self.attempt} of {self._attempts})"
        show(f"waiting for {self._host}{attempt} ... {int(seconds)} s")
