"""What ends a command from outside, where it has something to say first: Ctrl-C, SIGTERM, SIGHUP.
Knows no command.
"""

from __future__ import annotations

import contextlib
import signal
import time

from kaltura_app_token.command.output.run import Terminated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_SAME_PRESS_SECONDS = 0.3
"""A terminal's Ctrl-C that a wrapper passes on, and `timeout`, signal twice at once."""


class Signals:
    """From now until `give_back` the first signal raises KeyboardInterrupt or Terminated, and a
    later one ends the process at once, after the `last_words`.

    What the caller ignores stays ignored.
    """

    def __init__(self, last_words: Callable[[], None] | None = None) -> None:
        self._last_words = last_words
        self._signalled: float | None = None
        self._before: dict[int, signal._HANDLER] = {}
        # Only the main thread has signals.
        with contextlib.suppress(ValueError):
            # SIGHUP, where there is one: the terminal or the connection to it is closed.
            for number in (
                signal.SIGINT,
                signal.SIGTERM,
                getattr(signal, "SIGHUP", signal.SIGTERM),
            ):
                if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                    self._before[number] = signal.signal(number, self._signal)

    def give_back(self) -> None:
        """Leaves the signals to whoever had them before."""
        while self._before:
            signal.signal(*self._before.popitem())

    def _signal(self, number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._signalled is None:
            self._signalled = now
            raise KeyboardInterrupt if number == signal.SIGINT else Terminated(128 + number)
        if now - self._signalled > _SAME_PRESS_SECONDS:
            if self._last_words is not None:
                # The one that was interrupted may have been writing to the same stream.
                with contextlib.suppress(RuntimeError):
                    self._last_words()
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
