"""What the checks found, printed as it comes in one of four formats. Knows no check."""

from __future__ import annotations

import sys
from typing import NamedTuple

from kaltura_app_token.command.output.fields import to_json
from kaltura_app_token.command.output.run import colours
from kaltura_app_token.command.output.table import print_csv, terminal_width, wrap
from kaltura_app_token.command.output.text import printable
from kaltura_app_token.errors import KalturaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    Status = Literal["ok", "problem", "skipped"]

_STATUS_WIDTH = 7
_CHECK_WIDTH = 13
_NARROWEST = 20
_COLOURS = {"ok": "32", "problem": "31", "skipped": "33"}


class Check(NamedTuple):
    """One thing that was looked at: what was found, and what to do about it."""

    check: str
    status: Status
    found: str
    next: str | None = None


class Stop(Exception):
    """Nothing more can be checked; carries the exit code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Report:
    """The checks so far."""

    def __init__(self, output_format: str) -> None:
        self._format = output_format
        self._checks: list[Check] = []

    @property
    def has_problem(self) -> bool:
        return any(check.status == "problem" for check in self._checks)

    def ok(self, check: str, found: str) -> None:
        self._add(Check(check, "ok", found))

    def skipped(self, check: str, found: str, step: str | None = None) -> None:
        self._add(Check(check, "skipped", found, step))

    def problem(self, check: str, error: KalturaError | str, step: str | None = None) -> None:
        """What is wrong; an error's hint is the next step unless there is a better one."""
        if isinstance(error, KalturaError):
            self._add(Check(check, "problem", error.message, step or error.hint))
        else:
            self._add(Check(check, "problem", error, step))

    def _add(self, check: Check) -> None:
        self._checks.append(check)
        if self._format == "jsonl":
            print(to_json(check._asdict(), indent=None), flush=True)
        elif self._format == "table":
            _print(check)

    def end(self) -> None:
        """Prints the formats that are one document."""
        if self._format == "json":
            print(to_json([check._asdict() for check in self._checks]))
        elif self._format == "csv":
            print_csv(check._asdict() for check in self._checks)


def _print(check: Check) -> None:
    word = f"{check.status:{_STATUS_WIDTH}}"
    if colours(sys.stdout):
        word = f"\x1b[{_COLOURS[check.status]}m{word}\x1b[0m"
    begin = f"{check.check:{_CHECK_WIDTH}}  "
    width = terminal_width()
    indent = _STATUS_WIDTH + 2 + len(begin)
    room = sys.maxsize if width is None else max(width - indent, _NARROWEST)
    lines = wrap(printable(check.found), room)
    print(f"{word}  {begin}{lines[0]}")
    for line in lines[1:]:
        print(" " * indent + line)
    if check.next:
        for line in wrap(f"next: {printable(check.next)}", room):
            print(" " * indent + line)
    sys.stdout.flush()
