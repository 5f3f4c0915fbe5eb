"""What the two commands print: data on stdout in four formats, everything else on stderr; what they
ask; how they end. Secrets come out only where a caller passes them in as text; sends nothing.
"""

from __future__ import annotations

import os
import sys

from kaltura_app_token.errors import CancelledError, ConfigError, KalturaError, exit_code

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import TextIO, TypeVar

    from kaltura_app_token._native import AppToken, Client, Session

    T = TypeVar("T")

    Fields = dict[str, object]

MASK = "****"
_CLOSED_STDOUT = 141
_INTERRUPTED = 130
_INTERNAL = 70


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP, raised where Ctrl-C would be; only a command that creates something
    catches them. Its argument is the exit code.
    """


_at_end: list[Callable[[BaseException | None, int], int]] = []


def at_end(tell: Callable[[BaseException | None, int], int]) -> None:
    """Has `tell` called when the command ends, after all of its output was written or failed to be.

    It takes what cut the command short, if anything did, and the exit code, and answers the exit
    code to use.
    """
    _at_end.append(tell)


def run(program: str, work: Callable[[], int]) -> int:
    """Does a command's work and turns however it ends into an exit code, without a traceback."""
    for name, mode in (("stdin", "r"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # Closed by the caller (`2>&-`); print() would send what is meant for one to another.
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
    if sys.stdout is None:
        # A token made now would be lost with its value.
        fail(f"{program}: error: standard output is closed; nothing was done")
        return _CLOSED_STDOUT
    for name in ("stdout", "stderr"):
        # A description may hold what the terminal's encoding cannot show.
        reconfigure = getattr(getattr(sys, name), "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    cut_short: BaseException | None = None
    try:
        code = _work(program, work)
    except BaseException as error:
        cut_short, code = error, _explain(program, error)
        _abandon(sys.stdout)
    while _at_end:
        code = _at_end.pop()(cut_short, code)
    return code


def _work(program: str, work: Callable[[], int]) -> int:
    try:
        code = work()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except KalturaError as error:
        fail(f"{program}: error: {error.message}", error.hint)
        code = exit_code(error)
    sys.stdout.flush()
    return code


def _explain(program: str, error: BaseException) -> int:
    """Says what cut the command short, where that is worth a line; answers the exit code."""
    if isinstance(error, KeyboardInterrupt):
        return int(error.args[0]) if isinstance(error, Terminated) else _INTERRUPTED
    if isinstance(error, BrokenPipeError):
        return _CLOSED_STDOUT
    if isinstance(error, OSError):
        fail(f"{program}: error: {error.strerror or error}")
        return _INTERNAL
    if isinstance(error, UnicodeEncodeError):
        fail(f"{program}: error: an argument is not UTF-8 text")
        return 2
    # Only the place is named: the text of an error that nobody foresaw may quote a secret.
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}" if trace else ""
    fail(f"{program}: internal error: {type(error).__name__} in {place}")
    return _INTERNAL


def _abandon(stream: TextIO) -> None:
    """Writes what can still be written, and lets the rest go nowhere: the interpreter's last flush
    would end with a message and an exit code of its own.
    """
    import contextlib

    try:
        stream.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def note(text: str) -> None:
    """One line for the person at the terminal."""
    try:
        print(printable(text), file=sys.stderr)
    except OSError:
        # There is nowhere left to say it; the exit code still tells how the command ended.
        _abandon(sys.stderr)


def fail(text: str, hint: str | None = None) -> None:
    """An error's one line, and its hint where there is one."""
    note(text)
    if hint:
        note(f"  hint: {hint}")


def confirm(question: str, problem: str, hint: str) -> None:
    """Asks the person at the terminal to go on.

    Raises:
        ConfigError: There is nobody to ask; made of `problem` and `hint`.
        CancelledError: The answer is no.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise ConfigError(problem, hint=hint)
    print(f"{printable(question)} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise CancelledError("nothing was done")


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


def colours(stream: TextIO) -> bool:
    """Whether a stream is a terminal that shows colours, to somebody who wants them."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def printable(text: str) -> str:
    """The text with everything escaped that a terminal would obey instead of show.

    >>> printable("a\\x1b[2Jb")
    'a\\\\x1b[2Jb'
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def iso_time(unix: int | None) -> str | None:
    """Unix seconds as ISO 8601 in UTC; None for none, and for what no calendar holds.

    >>> iso_time(0)
    '1970-01-01T00:00:00Z'
    """
    if unix is None:
        return None
    import time

    try:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(unix))
    except (OverflowError, ValueError, OSError):
        return None


def token_fields(token: AppToken, *, show_secrets: bool) -> Fields:
    """A token's fields under the API's names, its value masked unless asked for."""
    value = token.token.reveal() if show_secrets and token.token is not None else MASK
    return {
        "id": token.id,
        "token": value,
        "partnerId": token.partner_id,
        "status": token.status,
        "sessionType": token.session_type,
        "sessionDuration": token.session_duration,
        "sessionPrivileges": token.session_privileges,
        "sessionUserId": token.session_user_id,
        "hashType": token.hash_type,
        "description": token.description,
        "expiry": token.expiry,
        "createdAt": token.created_at,
        "updatedAt": token.updated_at,
    }


def session_fields(session: Session) -> Fields:
    """A session's fields, its KS in the clear: it is what was asked for."""
    return {
        "ks": session.ks.reveal(),
        "sessionType": session.session_type,
        "userId": session.user_id,
        "expiry": session.expiry,
        "expiresAt": iso_time(session.expiry),
        "privileges": session.privileges,
        "droppedPrivileges": session.dropped_privileges,
    }


_SPANS = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))


def span(seconds: int) -> str:
    """A length of time in its two largest units.

    >>> span(93784)
    '1 day 2 hours'
    """
    parts = []
    for unit, length in _SPANS:
        number, seconds = divmod(seconds, length)
        if number:
            parts.append(f"{number} {unit}{'s' if number > 1 else ''}")
        elif parts:
            break
    return " ".join(parts[:2]) or "0 seconds"


def expiry_in_words(unix: int, now: float) -> str:
    """When an expiry is, seen from now.

    >>> expiry_in_words(3600, 0), expiry_in_words(0, 60)
    ('in 1 hour', 'expired 1 minute ago')
    """
    left = unix - int(now)
    return f"in {span(left)}" if left > 0 else f"expired {span(-left)} ago"


_TIMES = {"expiry": "expiresAt", "createdAt": "createdAtTime", "updatedAt": "updatedAtTime"}


def with_times(fields: Fields) -> Fields:
    """The fields of a token, and its times once more as ISO 8601."""
    times = {
        name: iso_time(value) if isinstance(value := fields[field], int) else None
        for field, name in _TIMES.items()
    }
    return fields | times


def to_json(value: object, *, indent: int | None = 2) -> str:
    """JSON in ASCII: valid in every encoding, and without anything a terminal would obey."""
    import json

    return json.dumps(value, indent=indent)


def print_tokens(tokens: Iterable[Fields], output_format: str) -> None:
    """Prints a list of tokens in one of the formats table, csv, json and jsonl."""
    if output_format == "json":
        print(to_json([with_times(fields) for fields in tokens]))
    elif output_format == "jsonl":
        for fields in tokens:
            print(to_json(with_times(fields), indent=None))
    elif output_format == "csv":
        print_csv(tokens)
    else:
        for line in _token_table(list(tokens), terminal_width()):
            print(line)


def print_token(fields: Fields, output_format: str, session: Fields | None = None) -> None:
    """Prints one token, and the session that was started from it."""
    if output_format in ("json", "jsonl"):
        document = with_times(fields)
        if session is not None:
            document["session"] = session
        print(to_json(document, indent=2 if output_format == "json" else None))
    elif output_format == "csv":
        print_csv([fields if session is None else fields | {"ks": session["ks"]}])
    else:
        for name, value in fields.items():
            text = _readable(name, value)
            if text is not None:
                print(f"{name}: {printable(text)}")
        if session is not None:
            print(f"session KS: {session['ks']}")
            print(f"session expiry: {_readable('expiry', session['expiry'])}")


def print_request(
    client: Client, action: str, parameters: Sequence[tuple[str, str]], output_format: str
) -> None:
    """Prints a request that would be sent with a session, which is masked."""
    service, verb = action.split(".")
    url = f"{client.service_url}/service/{service}/action/{verb}"
    fields = [*parameters, ("ks", MASK)]
    if output_format in ("json", "jsonl"):
        document = {"request": action, "url": url, "parameters": dict(fields)}
        print(to_json(document, indent=2 if output_format == "json" else None))
    elif output_format == "csv":
        print_csv({"name": name, "value": value} for name, value in fields)
    else:
        print(f"{action}: POST {printable(url)}")
        for name, value in fields:
            print(f"  {name}={printable(value)}")


_NAMES = {
    "sessionType": {0: "USER", 2: "ADMIN"},
    "status": {1: "DISABLED", 2: "ACTIVE", 3: "DELETED"},
}
_UNSET = {
    "sessionType": "unset (whoever exchanges the token chooses, ADMIN included)",
    "expiry": "never",
}


def _readable(name: str, value: object) -> str | None:
    """A field for people; None where there is nothing to say."""
    if value is None:
        return _UNSET.get(name)
    if name in _NAMES and isinstance(value, int):
        return _NAMES[name].get(value, str(value))
    if name in _TIMES and isinstance(value, int):
        if value == 0:
            # The guide's and the reference server's meaning of 0 differ.
            return "0 (never on some servers, expired on others)"
        time = iso_time(value)
        return f"{value} ({time})" if time else str(value)
    return str(value)


def print_csv(rows: Iterable[Mapping[str, object]]) -> None:
    """Prints rows as CSV under a line of names; the first row says which."""
    import csv

    writer = None
    for row in rows:
        if writer is None:
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(row)
        writer.writerow([_cell(value) for value in row.values()])


def _cell(value: object) -> object:
    """A spreadsheet runs a text as a formula that begins with one of these: the quote stops it."""
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r", "\n")):
        return "'" + value
    return value


_COLUMNS = {
    "ID": "id",
    "TOKEN": "token",
    "STATUS": "status",
    "TYPE": "sessionType",
    "HASH": "hashType",
    "EXPIRES": "expiry",
    "DESCRIPTION": "description",
    "PRIVILEGES": "sessionPrivileges",
    "USER": "sessionUserId",
}


def _token_table(tokens: list[Fields], width: int | None) -> Iterator[str]:
    if not tokens:
        return iter(())
    # A column that says the same of every token only takes room from the others.
    silent = {"token": (MASK,), "status": (2,), "sessionUserId": (None, "")}
    columns = {
        heading: field
        for heading, field in _COLUMNS.items()
        if any(token[field] not in silent.get(field, ()) for token in tokens)
    }
    rows = [[_short(field, token[field]) for field in columns.values()] for token in tokens]
    return table(list(columns), rows, width, whole=2 if "TOKEN" in columns else 1)


def _short(name: str, value: object) -> str:
    if name == "expiry":
        date = iso_time(value) if isinstance(value, int) else None
        return "never" if value is None else "0 (?)" if value == 0 else (date or str(value))[:10]
    if name == "sessionType" and value is None:
        return "any"
    return _readable(name, value) or ""


def terminal_width() -> int | None:
    """The columns of the terminal that stdout is; None when it is none and nothing is wrapped."""
    if not sys.stdout.isatty():
        return None
    import shutil

    return shutil.get_terminal_size().columns


def table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    width: int | None,
    *,
    whole: int = 1,
    gap: str = "  ",
    rule: str = "",
) -> Iterator[str]:
    """The lines of a table, its cells wrapped so that it fits the width.

    The first `whole` columns, of ids and secrets, are never wrapped: half of one would be copied.
    `rule` is drawn under the headings.
    """
    cells = [list(headings), *([printable(cell) for cell in row] for row in rows)]
    widths = [max(map(display_width, column)) for column in zip(*cells, strict=True)]
    if width is not None:
        widths = _fit(widths, width - len(gap) * (len(widths) - 1), whole)
    for number, row in enumerate(cells):
        wrapped = [wrap(cell, columns) for cell, columns in zip(row, widths, strict=True)]
        for at in range(max(map(len, wrapped))):
            line = [
                _pad(lines[at] if at < len(lines) else "", columns)
                for lines, columns in zip(wrapped, widths, strict=True)
            ]
            yield gap.join(line).rstrip()
        if number == 0 and rule:
            yield rule * (sum(widths) + len(gap) * (len(widths) - 1))


def _fit(widths: list[int], available: int, whole: int) -> list[int]:
    """Narrows the widest columns after the first `whole` until all fit; none below what can be
    read.
    """
    narrowest = 4
    fitted = list(widths)
    while sum(fitted) > available:
        widest = max(range(whole, len(fitted)), key=fitted.__getitem__, default=0)
        if widest < whole or fitted[widest] <= narrowest:
            break
        fitted[widest] -= 1
    return fitted


def wrap(text: str, width: int) -> list[str]:
    """The lines of a text in that many columns, broken after spaces and commas where it can be."""
    import re

    lines, line = [], ""
    for word in re.findall(r"[^ ,]*[ ,]|[^ ,]+", text):
        if line and display_width(line + word.rstrip()) > width:
            lines.append(line.rstrip())
            line = ""
        while display_width(word.rstrip()) > width:
            fits = 1
            while display_width(word[: fits + 1]) <= width:
                fits += 1
            lines.append(word[:fits])
            word = word[fits:]
        line += word
    return [*lines, line.rstrip()] if line or not lines else lines


def _pad(text: str, width: int) -> str:
    return text + " " * (width - display_width(text))


def display_width(text: str) -> int:
    """How many columns of a terminal a text takes: wide characters take two, accents none."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(
        0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text
    )
