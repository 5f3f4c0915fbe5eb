"""The subcommands `session` and `exec`: a token is exchanged, and the session printed or handed to
another program. The program sees the session and none of the secrets that it was made with.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import cast

from kaltura_app_token import _native
from kaltura_app_token._version import PROGRAM
from kaltura_app_token.command import account
from kaltura_app_token.command import arguments as types
from kaltura_app_token.command.arguments import Command, Parser
from kaltura_app_token.command.connect import lint, warn_of_dropped
from kaltura_app_token.command.output.fields import session_fields, to_json
from kaltura_app_token.command.output.run import fail, note
from kaltura_app_token.command.output.text import printable, span
from kaltura_app_token.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kaltura_app_token.model import Session

_NOT_FOUND = 127
_NOT_EXECUTABLE = 126
_TYPES = {"USER": 0, "ADMIN": 2}
_CLOCK_ROUNDING = 2


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
    add_duration(group, "its life: 3600, 30m, 12h; the token's at most")
    group.add_argument("--privileges", metavar="TEXT", help="what it may do beyond its token's")


def add_duration(group: argparse._ActionsContainer, told: str, default: int | None = None) -> None:
    """Adds the option for a session's life, whose older name is that of a token's instant."""
    group.add_argument("--duration", metavar="DURATION", type=_life, default=default, help=told)
    group.add_argument(
        "--expiry",
        metavar="DURATION",
        dest="duration",
        type=_life,
        default=argparse.SUPPRESS,
        help=argparse.SUPPRESS,
    )


def _life(text: str) -> int:
    seconds = types.duration(text)
    if seconds == 0:
        raise argparse.ArgumentTypeError("a session of no length has expired when it is made")
    return seconds


def start(
    client: _native.Client,
    args: argparse.Namespace,
    token_id: str,
    value: str | _native.Secret,
    hash_type: str,
) -> Session:
    """Exchanges a token for the session that the options of `add_request` ask for.

    Raises:
        KalturaError: The server refused it, or the session had expired when it started.
    """
    try:
        return client.start_session(
            token_id,
            value,
            hash_type=cast("_native._HashType", hash_type),
            user_id=args.user,
            session_type=args.type,
            duration=args.duration,
            privileges=args.privileges,
        )
    except ConfigError as error:
        if error.hint_name == "DeadAtBirth":
            error.hint = (
                "its session duration is unset, 0 or less, or its expiry has come: "
                f"{PROGRAM} update {token_id} --session-duration 1h"
            )
        raise


def overridden(
    args: argparse.Namespace, client: _native.Client, session: Session, began: float
) -> list[str]:
    """What the token fixes otherwise than was asked for, which it was at `began`."""
    told = []
    if args.user is not None and session.user_id not in (None, args.user):
        gives = f"user {session.user_id}" if session.user_id else "no user"
        told.append(f"--user is not heeded: the token gives {gives}")
    if args.type is not None and session.session_type not in (None, _TYPES[args.type]):
        told.append(f"--type is not heeded: the token gives {session.session_type}")
    if args.duration is not None and session.expiry is not None:
        # By the server's clock. What the exchange itself took is at the session's expense.
        life = session.expiry - int(began) - (client.clock_difference or 0)
        if life < args.duration - _CLOCK_ROUNDING:
            told.append(f"--duration is not heeded: the token gives {span(life)}")
    return told


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
    began = time.time()
    session = start(client, args, token_id, value, args.hash_type)
    for told in overridden(args, client, session, began):
        note(f"{PROGRAM}: warning: {told}")
    warn_of_dropped(session, PROGRAM)
    return client, session


def _add_session(parser: Parser) -> None:
    parser.set_defaults(usage_of_id=f"{PROGRAM} session ID")
    account.add_token(parser)
    add_request(parser)
    group = parser.add_argument_group("output")
    group.add_argument(
        "--format",
        choices=("text", "json", "env", "headers"),
        default="text",
        help="text is the KS alone; the others are below",
    )
    parser.epilog = (
        "The formats hold the KS in the clear:\n"
        "  text     the KS alone\n"
        "  json     the session's fields under the API's names\n"
        "  env      lines such as KALTURA_KS=..., with the account and the server, for eval and\n"
        "           for files of variables: no value has anything that would need quotes\n"
        "  headers  a JSON object of HTTP headers, Authorization: KS ..., for programs that ask a\n"
        "           command for headers; Kaltura's newer services take it, api_v3 takes ks in the\n"
        "           body instead"
    )
    account.add_account(parser)
    account.add_network(parser)


def _session(args: argparse.Namespace) -> int:
    client, session = _start(args)
    if args.format == "json":
        print(to_json(session_fields(session)))
    elif args.format == "headers":
        print(to_json({"Authorization": f"KS {session.ks.reveal()}"}, indent=None))
    elif args.format == "env":
        for name, value in _variables(client, session).items():
            print(f"{name}={_unquoted(value)}")
    else:
        print(session.ks.reveal())
    return 0


def _variables(client: _native.Client, session: Session) -> dict[str, str]:
    """What a program needs to use the session."""
    variables = {"KALTURA_KS": session.ks.reveal(), "KALTURA_SERVICE_URL": client.service_url}
    partner_id = client.partner_id if session.partner_id is None else session.partner_id
    if partner_id is not None:
        variables["KALTURA_PARTNER_ID"] = str(partner_id)
    return variables


def _unquoted(value: str) -> str:
    """The same for a URL or a KS, without what a shell would act on: a file of variables that
    another program reads may know no quotes.

    >>> _unquoted("http://[::1]:80/$(date);&'x/api_v3")
    'http://[::1]:80/%24%28date%29%3B%26%27x/api_v3'
    """
    from urllib.parse import quote

    return quote(value, safe="/:[]@%+=")


def _add_exec(parser: Parser) -> None:
    parser.usage = f"{parser.prog} [ID] [OPTIONS] -- PROGRAM [ARGUMENTS]"
    parser.epilog = (
        "The program's environment has KALTURA_KS, KALTURA_PARTNER_ID and KALTURA_SERVICE_URL,\n"
        "and neither the admin secret nor the token's value, nor a variable that names a file of\n"
        "theirs; CREDENTIALS_DIRECTORY stays, since its own credentials may lie there. It takes\n"
        "this process's place: signals and the exit code are its own (127 and 126 when it cannot\n"
        "be run). The KS can be read in /proc by processes of the same user."
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
    environment = without_secrets(dict(os.environ)) | _variables(client, session)
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
