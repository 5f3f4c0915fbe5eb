"""How a command ends and what it says on the way: exit codes without a traceback, notes and
questions on stderr. Prints no data and knows no command.
"""

from __future__ import annotations

import os
import sys

from kaltura_app_token.command.output.progress import erase
from kaltura_app_token.command.output.text import printable
from kaltura_app_token.errors import CancelledError, ConfigError, KalturaError, exit_code

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO


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
        erase()
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


def colours(stream: TextIO) -> bool:
    """Whether a stream is a terminal that shows colours, to somebody who wants them."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
