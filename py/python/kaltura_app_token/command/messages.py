"""What --verbose and --debug tell on stderr, and a terminal's line during a wait: which account is
used, and what happens within calls. Prints no data and has no credential: the core masks them.
"""

from __future__ import annotations

import sys

from kaltura_app_token._version import PROGRAM
from kaltura_app_token.command.output.progress import Waiting
from kaltura_app_token.command.output.run import note

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any

    from kaltura_app_token import Event
    from kaltura_app_token.command.arguments import Parser

_RETRIES = 3

_verbose = False
_debug = False


def add_options(parser: Parser) -> None:
    """Adds the options, which every subcommand has."""
    group = parser.add_argument_group("messages on stderr")
    group.add_argument(
        "--verbose",
        action="store_true",
        help="say which account is used, and what is tried again, fetched or renewed",
    )
    group.add_argument(
        "--debug", action="store_true", help="say each request as well, with its time"
    )


def begin(args: argparse.Namespace) -> None:
    """Has told from now on what the options ask for."""
    global _verbose, _debug
    _verbose, _debug = args.verbose or args.debug, args.debug
    if _debug:
        _tell_log()


def _tell_log() -> None:
    import logging

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            tell(record.getMessage())

    log = logging.getLogger("kaltura_app_token")
    log.setLevel(logging.DEBUG)
    log.addHandler(Handler())
    log.propagate = False


def tell(text: str) -> None:
    """One line for who asked for more."""
    if _verbose:
        note(f"{PROGRAM}: {text}")


def of_calls(service_url: str, max_retries: int | None) -> dict[str, Any]:
    """The options of a client whose calls are told of, where somebody is there to read it."""
    on_terminal = sys.stderr.isatty()
    if not (on_terminal or _verbose):
        return {}
    from kaltura_app_token import _native

    host = service_url.partition("://")[2].partition("/")[0]
    waiting = Waiting(host, 1 + (_RETRIES if max_retries is None else max_retries))
    if on_terminal:
        _native.tell_of_waits(waiting)

    def hear(event: Event) -> None:
        waiting.attempt = (event.attempts or 0) + 1 if event.name == "Retry" else 1
        # --debug has it from the log.
        if not _debug:
            tell(str(event))

    return {"on_event": hear}
