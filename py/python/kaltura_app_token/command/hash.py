"""The subcommand `hash`: the tokenHash of an exchange, for whoever makes it without a library, and
an explanation of the bytes it is made of. The explanation shows neither.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from kaltura_app_token import _native
from kaltura_app_token._version import PROGRAM
from kaltura_app_token.command.account import add_token_value, ask_secret
from kaltura_app_token.command.arguments import (
    Command,
    Parser,
    read_secret_as_is,
    secret_option,
    warn_of_argument,
)
from kaltura_app_token.command.ks import find_ks, ks_of_environment
from kaltura_app_token.command.output.run import note
from kaltura_app_token.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


class _Part(NamedTuple):
    """One of the two texts that are hashed: its name, where and how it stands, and the text."""

    name: str
    place: str
    as_it_stands: str
    text: str


def _add(parser: Parser) -> None:
    parser.epilog = (
        "The hash is that of the KS followed at once by the token's value, in lower-case hex.\n"
        "A widget KS comes from session.startWidgetSession with widgetId=_PARTNER."
    )
    parser.add_argument(
        "session",
        metavar="KS",
        nargs="?",
        help="the widget KS; - is standard input (otherwise: KALTURA_KS)",
    )
    parser.add_argument("--ks-file", metavar="PATH", help="file with the widget KS")
    add_token_value(parser)
    parser.add_argument(
        "--explain",
        action="store_true",
        help="say on stderr which bytes are hashed, and the same as a shell line",
    )


def _hash(args: argparse.Namespace) -> int:
    if [args.session, args.ks_file, args.app_token_file].count("-") > 1:
        raise ConfigError("standard input can hold only one secret: give a file for the other")
    ks, token = _ks(args), _token(args)
    digest = _native.token_hash(ks.text, token.text, args.hash_type)
    if args.explain:
        _explain(ks, token, args.hash_type)
    print(digest)
    return 0


def _ks(args: argparse.Namespace) -> _Part:
    if args.session is not None and args.ks_file is not None:
        raise ConfigError("the KS and --ks-file are both given: one is enough")
    if args.session == "-" or args.ks_file is not None:
        path = args.ks_file or "-"
        text = read_secret_as_is("KS", path)
        place = "standard input" if path == "-" else path
        return _Part("KS", place, text, find_ks(text))
    if args.session is not None:
        warn_of_argument(PROGRAM, "the KS", "--ks-file (- is standard input) or KALTURA_KS")
        return _Part("KS", "the command line", args.session, find_ks(args.session))
    found = ks_of_environment()
    if found is None:
        raise ConfigError("no KS is given", hint="put it into a file for --ks-file, or KALTURA_KS")
    text, place = found
    return _Part("KS", place, text, find_ks(text))


def _token(args: argparse.Namespace) -> _Part:
    if args.app_token_file is not None and args.app_token is None:
        path = args.app_token_file
        text = read_secret_as_is("--app-token-file", path)
        place = "standard input" if path == "-" else path
        return _Part("token", place, text, text.strip("\r\n"))
    value = secret_option(PROGRAM, args, "app-token", "KALTURA_APP_TOKEN")
    if value is not None:
        return _Part("token", "the command line", value, value)
    given = _native.Settings.from_env().app_token
    if given is not None:
        text = given.reveal()
        as_it_stands = next(
            (
                os.environ[name]
                for name in ("KALTURA_APP_TOKEN", "KALTURA_TOKEN", "TOKEN")
                if os.environ.get(name, "").strip() == text
            ),
            text,
        )
        return _Part("token", "the environment", as_it_stands, text)
    typed = ask_secret("The token's value")
    if typed is None:
        raise ConfigError(
            "the token's value is not given",
            hint="put it into a file for --app-token-file (- is standard input), or into "
            "KALTURA_APP_TOKEN",
        )
    return _Part("token", "the terminal", typed, typed)


def _explain(ks: _Part, token: _Part, hash_type: str) -> None:
    length = len((ks.text + token.text).encode())
    note(f"{hash_type} of these {length} bytes, the second at once after the first:")
    for part in (ks, token):
        text = part.text
        note(f"  {part.name}: {len(text.encode())} bytes from {part.place}")
        left_out = len(part.as_it_stands.encode()) - len(text.encode())
        if part.as_it_stands.rstrip("\r\n") != part.as_it_stands:
            note("    a line end follows it there, which is left out: with it the hash is wrong")
        elif left_out:
            note(f"    {left_out} bytes around it there are left out")
        if text != text.strip():
            note("    it begins or ends with a space, which is hashed: is that part of it?")
        if not text.isascii():
            note("    it holds more than ASCII, which neither a KS nor a token's value does")
    note("the same in a shell, with the two in variables (echo would add a line end):")
    tool = f"{hash_type.lower()}sum"
    note(f"""  printf %s "$KALTURA_KS$KALTURA_APP_TOKEN" | {tool} | cut -d ' ' -f 1""")


COMMAND = Command(_add, _hash)
