"""Command lines: a parser whose complaints are one line and name no value that may be a secret,
and the types of values that options take. Knows nothing of Kaltura's API and sends nothing.
"""

from __future__ import annotations

import argparse
import os
import re
import stat
import sys
import time
from collections.abc import Callable, Iterable
from typing import IO, Any, NamedTuple, NoReturn

from kaltura_app_token.command.output.run import note
from kaltura_app_token.command.output.text import printable
from kaltura_app_token.errors import ConfigError

# The largest integers that the API's fields and the native half take.
_MAX_INT32 = 2**31 - 1
_MAX_INT64 = 2**63 - 1

_UNIT_SECONDS = {
    spelling: seconds
    for seconds, spellings in (
        (1, "s sec secs second seconds"),
        (60, "m min mins minute minutes"),
        (3600, "h hr hrs hour hours"),
        (86400, "d day days"),
        (604800, "w week weeks"),
    )
    for spelling in spellings.split()
}


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` that complains in one line and one line of hint, and exits with 2.

    It repeats options and no values: any of them may be a secret in a place that is not its own.

    `program` is the name that stands before the complaint; for a subcommand `prog` is longer.
    """

    def __init__(
        self, program: str, *, prog: str, description: str, allow_abbrev: bool, epilog: str = ""
    ) -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            allow_abbrev=allow_abbrev,
            exit_on_error=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self.program = program
        self._words: list[str] = []

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        self._words = list(sys.argv[1:] if args is None else args)
        try:
            return super().parse_known_args(args, namespace)
        except argparse.ArgumentError as error:
            self.complain(str(error), self._meant_as_value(error.argument_name or ""))

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As `ArgumentParser.parse_args`; of what is left over only options are named in full."""
        found, rest = self.parse_known_args(args, namespace)
        options = [_parts(word)[0] for word in rest if word.startswith("-")]
        unknown = ["--..." if looks_like_secret(word) else printable(word) for word in options]
        if unknown:
            names = [name for action in actions_of(self) for name in action.option_strings]
            near = [name for word in unknown for name in similar(word, names)]
            meant = f"did you mean {' or '.join(dict.fromkeys(near))}?" if near else ""
            self.complain(f"unknown option: {', '.join(unknown)}", meant)
        if words := [shown(word) for word in rest]:
            self.complain(f"there is an argument too many: {' '.join(words)}")
        return found

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        # argparse repeats the value, in the form that the option's type gave it.
        if action.choices is not None and value not in action.choices:
            choices = ", ".join(map(str, action.choices))
            raise argparse.ArgumentError(action, f"invalid choice (choose from {choices})")

    def _meant_as_value(self, option: str) -> str:
        """The hint for an option that is followed by what looks like another one."""
        followed = zip(self._words, self._words[1:], strict=False)
        names = option.split("/")
        # argparse takes a number for a value, also below 0.
        if any(word in names and re.match(r"-\D", after) for word, after in followed):
            return "a value that starts with - is written --option=value"
        return ""

    def error(self, message: str) -> NoReturn:
        self.complain(message)

    def complain(self, message: str, hint: str = "") -> NoReturn:
        """Says what is wrong, and the hint before the one to the help; exits with 2."""
        for word in self._words:
            option, value = _parts(word)
            if value:
                message = message.replace(repr(value), "...")
            if value and option:
                message = message.replace(word, option)
        hints = [hint] if hint else []
        hint = "; ".join([*hints, f"see {self.prog} --help"])
        self.exit(2, f"{self.program}: error: {message}\n  hint: {hint}\n")


def actions_of(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """All options and arguments that a parser takes, which argparse tells in no other way."""
    return parser._actions


def similar(word: str, names: Iterable[str]) -> list[str]:
    """Those of the names that somebody may have meant who wrote this word."""
    from difflib import get_close_matches

    known = list(names)
    begun = [name for name in known if len(word.lstrip("-")) > 1 and name.startswith(word)]
    return begun[:3] or get_close_matches(word, known, 2)


_LONGEST_SHOWN = 16


def shown(word: str) -> str:
    """A word that has no place, for people; dots for one that may be a secret."""
    return printable(word) if len(word) <= _LONGEST_SHOWN else "..."


def _parts(word: str) -> tuple[str, str]:
    """The option that a word of a command line names, and the value that it holds.

    >>> _parts("--token=abc"), _parts("-tabc"), _parts("abc"), _parts("--token")
    (('--token', 'abc'), ('-t', 'abc'), ('', 'abc'), ('--token', ''))
    """
    if word.startswith("--"):
        option, _, value = word.partition("=")
        return option, value
    return (word[:2], word[2:].removeprefix("=")) if word.startswith("-") else ("", word)


def parse(parser: argparse.ArgumentParser, arguments: list[str]) -> argparse.Namespace:
    """Parses a command line by a parser that may be somebody else's."""
    return parser.parse_args(arguments)


class Command(NamedTuple):
    """A subcommand: what adds its options to a parser, and what does its work."""

    add_options: Callable[[Parser], None]
    work: Callable[[argparse.Namespace], int]
    runs_program: bool = False
    """Whether the words after `--` are another program's: they are then in `args.program`."""


_SECRET = re.compile(r"[0-9A-Za-z+/=_-]{32,}")


def looks_like_secret(text: str) -> bool:
    """Whether a text is no token's id, which is short, but may be its value or a KS."""
    return _SECRET.fullmatch(text.strip()) is not None


def token_id(text: str) -> str:
    """A token's id, unless it is a secret in its place."""
    if looks_like_secret(text):
        raise argparse.ArgumentTypeError("looks like a secret; an id is such as 1_ab12cd34")
    return text


def whole_number(text: str) -> int:
    """A number from 1 up, such as a partner id."""
    number = _integer(text)
    if number is None or not 0 < number <= _MAX_INT64:
        raise argparse.ArgumentTypeError("not a whole number above 0")
    return number


def count(text: str) -> int:
    """A number from 0 up."""
    number = _integer(text)
    if number is None or not 0 <= number <= _MAX_INT32:
        raise argparse.ArgumentTypeError("not a whole number from 0 up")
    return number


def port(text: str) -> int:
    """A TCP port; 0 stands for any."""
    number = _integer(text)
    if number is None or not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError("not a port from 0 to 65535")
    return number


def seconds(text: str) -> float:
    """A time to wait in seconds, with a fraction if need be."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= _MAX_INT32:
        raise argparse.ArgumentTypeError("not a number of seconds above 0")
    return number


def duration(text: str) -> int:
    """Seconds, or numbers with their units, such as s, m, h, d, w: the result is in seconds.

    >>> duration("90m"), duration("1h30m"), duration("30days")
    (5400, 5400, 2592000)
    """
    if re.fullmatch(r"\d{1,10}", text, re.ASCII):
        result = int(text)
    elif re.fullmatch(r"(\d{1,10}[a-z]+)+", text, re.ASCII):
        parts = re.findall(r"(\d+)([a-z]+)", text)
        if any(unit not in _UNIT_SECONDS for _, unit in parts):
            raise argparse.ArgumentTypeError(_NO_DURATION)
        result = sum(int(number) * _UNIT_SECONDS[unit] for number, unit in parts)
    else:
        raise argparse.ArgumentTypeError(_NO_DURATION)
    if result > _MAX_INT32:
        raise argparse.ArgumentTypeError("too long a duration")
    return result


_NO_DURATION = "not a duration such as 3600, 30m, 12h, 1h30m or 7d"


def future(text: str) -> int:
    """An instant in unix seconds: given so, as ISO 8601 with a zone, or as `+30d` from now."""
    if text.startswith("+"):
        return int(time.time()) + duration(text[1:])
    return _instant(text, "+30d (from now)")


def past(text: str) -> int:
    """An instant in unix seconds: given so, as ISO 8601 with a zone, or as `7d` before now."""
    if re.fullmatch(r"\d+[a-z].*", text, re.ASCII):
        return int(time.time()) - duration(text)
    return _instant(text, "7d (ago)")


def _instant(text: str, relative: str) -> int:
    number = _integer(text)
    if number is not None and abs(number) <= _MAX_INT64:
        return number
    from datetime import datetime

    # Before 3.11 Z is not understood. A day alone is its first moment, in UTC.
    written = re.sub(r"[zZ]$", "+00:00", text)
    if day := re.fullmatch(r"(\d{4}-\d\d-\d\d)(\+00:00)?", written, re.ASCII):
        written = f"{day[1]}T00:00:00+00:00"
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"not a time: give unix seconds, 2030-01-31, 2030-01-31T12:00:00Z or {relative}"
        ) from None
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError(
            "a time without a zone: write Z or an offset such as +02:00 at its end"
        )
    return int(moment.timestamp())


def _integer(text: str) -> int | None:
    # int() would also take underscores and other alphabets' digits.
    return int(text) if re.fullmatch(r"[+-]?\d{1,19}", text, re.ASCII) else None


def upper(text: str) -> str:
    """A name of the API, which spells them in capitals."""
    return text.upper()


def add_secret(
    parser: argparse._ActionsContainer, name: str, variable: str, *, file: str, value: str
) -> None:
    """Adds the two options for a secret, which `secret_option` reads; `file` and `value` are their
    helps, `variable` the one of the environment that does the same.
    """
    parser.add_argument(f"--{name}-file", metavar="PATH", help=file)
    parser.add_argument(
        f"--{name}", metavar="VALUE", help=f"{value}: better in a file, or in {variable}"
    )


def secret_option(program: str, args: argparse.Namespace, name: str, variable: str) -> str | None:
    """The secret that the options of `add_secret` give, if they do.

    Raises:
        ConfigError: Both are given, the value is empty, or the file does not hold a secret.
    """
    dest = name.replace("-", "_")
    path, value = getattr(args, f"{dest}_file", None), getattr(args, dest, None)
    if path is not None:
        if value is not None:
            raise ConfigError(f"--{name} and --{name}-file are both given: one is enough")
        return read_secret(f"--{name}-file", path)
    if value is None:
        return None
    if not value.strip():
        raise ConfigError(
            f"--{name}: the value is empty", hint="give a value, or leave the option out"
        )
    if os.fsencode(value).decode(errors="ignore") != value:
        raise ConfigError(f"--{name}: the value is not UTF-8")
    warn_of_argument(program, f"--{name}", f"--{name}-file (- is standard input) or {variable}")
    return str(value)


def warn_of_argument(program: str, what: str, instead: str) -> None:
    """Says that a secret stands where it should not, and where it should."""
    note(
        f"{program}: warning: {what}: a command line can be read by every user of this machine: "
        f"use {instead}"
    )


def variable(name: str) -> str | None:
    """What an environment variable says; None when it is unset or empty.

    Raises:
        ConfigError: It is not UTF-8.
    """
    try:
        # Undecodable bytes are in `os.environ` as what cannot be encoded.
        return os.fsencode(os.environ.get(name, "")).decode().strip() or None
    except UnicodeDecodeError:
        raise ConfigError(
            f"the environment variable {name} is not UTF-8",
            hint="set it again as plain text, or unset it",
        ) from None


def read_secret(option: str, path: str) -> str:
    """The one line of a file, or of standard input for `-`, without the line's end.

    Raises:
        ConfigError: The file cannot be read, is empty or holds several lines.
    """
    return read_secret_as_is(option, path).strip("\r\n")


def read_secret_as_is(option: str, path: str) -> str:
    """As `read_secret`, with whatever ends the line."""
    where = "standard input" if path == "-" else path
    if path == "-" and sys.stdin.isatty():
        # What is typed there is seen by whoever stands behind.
        return type_secret(f"Secret for {option}") or _refuse(option, "what was typed", "is empty")
    try:
        # Bytes: what is read must not depend on the locale, and line ends stay as they are.
        content = sys.stdin.buffer.read(_MAX_SECRET + 1) if path == "-" else _content(path)
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            _refuse(option, where, "is not UTF-8 text but UTF-16")
        # utf-8-sig: editors on Windows put a byte order mark first.
        text = content.decode("utf-8-sig")
    except TimeoutError:
        _refuse(option, where, f"is a pipe that nobody wrote into for {_PATIENCE} seconds")
    except OSError as error:
        raise ConfigError(
            f"{option}: {where} cannot be read: {error.strerror}",
            hint="give the path of a file that holds the secret alone, or - for standard input",
        ) from None
    except UnicodeDecodeError:
        _refuse(option, where, "is not UTF-8 text")
    secret = text.strip("\r\n")
    if not secret.strip():
        _refuse(option, where, "is empty")
    if "\0" in secret:
        _refuse(option, where, "holds a NUL character")
    if len(content) > _MAX_SECRET:
        _refuse(option, where, f"is larger than {_MAX_SECRET} bytes")
    if "\n" in secret or "\r" in secret:
        _refuse(option, where, "holds more than one line")
    return text


def _refuse(option: str, where: str, what: str) -> NoReturn:
    raise ConfigError(
        f"{option}: {where} {what}", hint="it must hold the secret alone, as UTF-8 text"
    ) from None


def _content(path: str) -> bytes:
    """What is in a file, no more of it than is needed to see that it is too long.

    A pipe is waited for: as long as it takes once there is somebody to write into it.

    Raises:
        TimeoutError: Nobody has come for that.
        OSError: It cannot be read.
    """
    # Opening would wait for the other end, for ever.
    with open(path, "rb", buffering=0, opener=_without_waiting) as file:
        content, ready = b"", False
        while len(content) <= _MAX_SECRET:
            chunk = file.read(_MAX_SECRET + 1 - len(content))
            if chunk is None:
                ready = _is_ready(file, None)
            elif chunk:
                content += chunk
            elif content or ready or not stat.S_ISFIFO(os.fstat(file.fileno()).st_mode):
                break
            elif not (ready := _is_ready(file, _PATIENCE)):
                raise TimeoutError
        return content


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _is_ready(file: IO[bytes], limit: float | None) -> bool:
    import select

    return bool(select.select([file], [], [], limit)[0])


def type_secret(what: str) -> str:
    """What the person at the terminal types unseen; nothing at the end of its input."""
    import getpass

    try:
        return getpass.getpass(f"{printable(what)}: ", stream=sys.stderr)
    except EOFError:
        return ""


_MAX_SECRET = 65536
_PATIENCE = 10
