"""What a terminal shows while a command waits. Writes nothing where stderr is not a terminal."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TypeVar

    T = TypeVar("T")


def with_progress(items: Iterable[T], what: str, *, streamed: bool) -> Iterator[T]:
    """The items as they come, counted on a terminal's stderr once that takes long.

    Not where they are `streamed` to the same terminal and can be seen to come.
    """
    if not sys.stderr.isatty() or (streamed and sys.stdout.isatty()):
        yield from items
        return
    from time import monotonic

    shown, next_at = "", monotonic() + _PROGRESS_AFTER
    try:
        for number, item in enumerate(items, 1):
            if monotonic() >= next_at:
                shown = f"{number} {what} ..."
                print(f"\r{shown}", end="", file=sys.stderr, flush=True)
                next_at = monotonic() + _PROGRESS_EVERY
            yield item
    finally:
        if shown:
            print(f"\r{' ' * len(shown)}\r", end="", file=sys.stderr, flush=True)


_PROGRESS_AFTER = 0.5
_PROGRESS_EVERY = 0.1
