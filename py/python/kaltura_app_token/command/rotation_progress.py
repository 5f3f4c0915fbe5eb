"""How far rotations are, on stderr while they are under way. Knows ids and steps alone."""

from __future__ import annotations

import sys
import threading

from kaltura_app_token.command.output.run import note
from kaltura_app_token.command.output.text import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Progress:
    """Tells on stderr how far rotations are: on a terminal in one line that changes, elsewhere in
    one line for each that has ended, unless it is the only one.
    """

    def __init__(self, total: int, *, takes_stdout: bool) -> None:
        self._total = total
        # On one terminal the line would run into the tokens.
        self._is_line = sys.stderr.isatty() and not (takes_stdout and sys.stdout.isatty())
        self.steps: dict[str, str] = {}
        """The last step of each rotation, by the old token's id."""
        self._told: set[str] = set()
        self._shown = ""
        self._end = threading.Event()
        self._teller = threading.Thread(target=self._tell_now_and_then, daemon=True)

    def __enter__(self) -> Callable[[str, str], None]:
        """What to call with an old token's id and a step.

        It runs no Python code: an interrupt that came up in some would be lost to the native half.
        """
        self._teller.start()
        return self.steps.__setitem__

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._teller.join()
        self._tell()
        self._show("")

    def _tell_now_and_then(self) -> None:
        while not self._end.wait(_TELL_EVERY):
            self._tell()

    def _tell(self) -> None:
        steps = self.steps.copy()
        ended = [old_id for old_id, step in steps.items() if step in ENDED]
        if self._is_line:
            of_total = f" of {self._total}" if self._total else ""
            under_way = [f"; {old_id}: {steps[old_id]}" for old_id in steps if old_id not in ended]
            self._show(printable(f"{len(ended)}{of_total} done{''.join(under_way[:1])}"))
        elif self._total != 1:
            for old_id in ended:
                # What was undone is said with its reason, once for all that have the same.
                if old_id not in self._told and steps[old_id] == "finished":
                    note(f"{old_id}: {steps[old_id]}")
        self._told.update(ended)

    def _show(self, line: str) -> None:
        if line != self._shown:
            blank = " " * len(self._shown)
            print(f"\r{blank}\r{line}", end="", file=sys.stderr, flush=True)
            self._shown = line


_TELL_EVERY = 0.1
ENDED = ("finished", "undone")
