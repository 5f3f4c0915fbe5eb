"""The subcommands `session` and `exec`: a token is exchanged, and the session printed or handed to
another program. The program sees the session and none of the secrets that it was made with.
"""

from __future__ import annotations

import os
import sys

from kaltura_app_token import _native
from kaltura_app_token._version import PROGRAM
from kaltura_app_token.command import account
from kaltura_app_token.command import arguments as types
from kaltura_app_token.command.arguments import Command, Parser
from kaltura_app_token.command.connect import lint, warn_of_dropped
from kaltura_app_token.command.output.fields import session_fields, to_json
from kaltura_app_token.command.output.run import fail
from kaltura_app_token.command.output.text import printable
from kaltura_app_token.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from kaltura_app_token.model import Session

_NOT_FOUND = 127
_NOT_EXECUTABLE = 126


def add_request(parser: Parser) -> None:
    """Adds the options for what the session is to be."""
    group = parser.add_argument_group("the session")
    group.add_argument("--user", metavar="ID", help="its user, where the token does not fix one")
    group.add_argument(
        "--type",
        type=types.upper,
        choices=("USER", "ADMIN"),
        help="its type, where the token does not fix one",
    )
    group.add_argument(
        "--expiry", metavar="DURATION", type=types.duration, help="its life: 3600, 30m, 12h"
    )
    group.add_argument("--privileges", metavar="TEXT", help="what it may do beyond its token's")


def _start(args: argparse.Namespace) -> tuple[_native.Client, Session]:
    found = account.places(args)
    settings = account.resolve(found, "exchange")
    token_id = account.token_id(args, found)
    if token_id is None:
        raise ConfigError(
            "no token is named", hint=f"{args.usage_of_id}, or set KALTURA_APP_TOKEN_ID"
        )
    given = account.token_value(args, found, token_id)
    value = account.ask_secret(f"Value of token {token_id}") if given is None else given[0]
    if value is None:
        raise ConfigError(
            f"the value of token {token_id} is not given",
            hint="put it into a file for --app-token-file (- is standard input), or into "
            "KALTURA_APP_TOKEN",
        )
    client = account.connect(args, settings)
    lint(args.privileges, PROGRAM, at_session=True)
    session = client.start_session(
        token_id,
        value,
        hash_type=args.hash_type,
        user_id=args.user,
        session_type=args.type,
        duration=args.expiry,
        privileges=args.privileges,
    )
    warn_of_dropped(session, PROGRAM)
    return client, session


def _add_session(parser: Parser) -> None:
    parser.set_defaults(usage_of_id=f"{PROGRAM} session ID")
    account.add_token(parser)
    add_request(parser)
    group = parser.add_argument_group("output")
    group.add_argument(
        "--format", choices=("text", "json"), default="text", help="text is the KS alone"
    )
    account.add_account(parser)
    account.add_network(parser)


def _session(args: argparse.Namespace) -> int:
    _, session = _start(args)
    print(to_json(session_fields(session)) if args.format == "json" else session.ks.reveal())
    return 0


def _add_exec(parser: Parser) -> None:
    parser.usage = f"{parser.prog} [ID] [OPTIONS] -- PROGRAM [ARGUMENTS]"
    parser.epilog = (
        "The program's environment has KALTURA_KS, KALTURA_PARTNER_ID and KALTURA_SERVICE_URL,\n"
        "and neither the admin secret nor the token's value. It takes this process's place:\n"
        "signals and the exit code are its own."
    )
    parser.set_defaults(usage_of_id=f"{PROGRAM} exec ID -- PROGRAM")
    account.add_token(parser)
    add_request(parser)
    account.add_account(parser)
    account.add_network(parser)


def _exec(args: argparse.Namespace) -> int:
    if not args.program:
        raise ConfigError("no program is named", hint=f"{PROGRAM} exec [OPTIONS] -- PROGRAM ...")
    client, session = _start(args)
    environment = without_secrets(dict(os.environ))
    environment["KALTURA_KS"] = session.ks.reveal()
    environment["KALTURA_SERVICE_URL"] = client.service_url
    partner_id = client.partner_id if session.partner_id is None else session.partner_id
    if partner_id is not None:
        environment["KALTURA_PARTNER_ID"] = str(partner_id)
    client.close()
    return _become(args.program, environment)


def without_secrets(environment: dict[str, str]) -> dict[str, str]:
    """Takes out what a session is made with, under all names that it is read from."""
    read = ("KALTURA_ADMIN_SECRET", "KALTURA_KS", "KALTURA_APP_TOKEN")
    secrets = {"KALTURA_TOKEN", *read, *(f"{name}_FILE" for name in read)}
    if "TOKEN_ID" in environment:
        # Alone it is somebody else's.
        secrets.add("TOKEN")
    return {name: value for name, value in environment.items() if name not in secrets}


def _become(program: list[str], environment: dict[str, str]) -> int:
    import signal

    sys.stdout.flush()
    sys.stderr.flush()
    # Python ignores these, and what is ignored stays so in the program.
    ignored = [getattr(signal, name) for name in ("SIGPIPE", "SIGXFSZ") if hasattr(signal, name)]
    before = [signal.signal(number, signal.SIG_DFL) for number in ignored]
    try:
        os.execvpe(program[0], program, environment)  # noqa: S606
    except OSError as error:
        for number, handler in zip(ignored, before, strict=True):
            signal.signal(number, handler)
        fail(f"{PROGRAM}: error: {printable(program[0])}: {error.strerror}")
        missing = isinstance(error, (FileNotFoundError, NotADirectoryError))
        return _NOT_FOUND if missing else _NOT_EXECUTABLE


SESSION = Command(_add_session, _session)
EXEC = Command(_add_exec, _exec, runs_program=True)
