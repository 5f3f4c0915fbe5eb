"""Functions of the program's (token sources, progress), each call on a Python thread of its own.

Below them is nothing but Python: they may take as long as they like, use this package again, and be
ended together with the interpreter. The native half starts them and waits for their reply.
"""

from __future__ import annotations

import signal
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    _Reply = Callable[[object, BaseException | None], object]

_HAS_MASKS = hasattr(signal, "pthread_sigmask")


class Aside:
    """A function whose calls are made aside."""

    def __init__(self, name: str, function: Callable[..., object]) -> None:
        self._name = name
        self._function = function
        # The thread that starts the calls is the library's own and blocks every signal. Programs
        # that the function starts would inherit that, and could not be ended.
        # Windows has no such masks.
        self._signals = signal.pthread_sigmask(signal.SIG_BLOCK, ()) if _HAS_MASKS else None

    def start(self, arguments: list[str], reply: _Reply) -> None:
        """Starts a call; it replies with what it returned or raised."""
        call = threading.Thread(
            target=self._call, args=(arguments, reply), name=self._name, daemon=True
        )
        try:
            call.start()
        except RuntimeError:
            # Once the interpreter ends some versions start no thread, and nobody waits for a reply.
            if threading.main_thread().is_alive():
                raise

    def _call(self, arguments: list[str], reply: _Reply) -> None:
        if self._signals is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._signals)
        try:
            result = self._function(*arguments)
        except BaseException as error:
            reply(None, error)
        else:
            reply(result, None)
