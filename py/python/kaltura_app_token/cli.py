"""The command `kaltura-app-token`: one subcommand for each thing to do with tokens and sessions.

Each is a function that adds its options and one that does the work, joined in `COMMANDS`. What
costs time to load is loaded by the subcommand that needs it; how Kaltura is spoken to is the
client's to know.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator
    from typing import Any

    from kaltura_app_token import _native
    from kaltura_app_token._arguments import Parser
    from kaltura_app_token._output import Fields

PROGRAM = "kaltura-app-token"


def main(argv: list[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    from kaltura_app_token._output import run

    arguments = sys.argv[1:] if argv is None else list(argv)
    return run(PROGRAM, lambda: _dispatch(arguments))


def _dispatch(arguments: list[str]) -> int:
    if not arguments:
        print(_overview(), file=sys.stderr)
        return 2
    name, rest = arguments[0], arguments[1:]
    if name in ("-h", "--help"):
        print(_overview())
        return 0
    if name == "--version":
        from kaltura_app_token._version import VERSION

        print(f"{PROGRAM} {VERSION}")
        return 0
    if name not in COMMANDS:
        from kaltura_app_token._output import fail, printable

        if name.startswith("-"):
            problem = f"unknown option: {printable(name.split('=', 1)[0])}"
            hint = (
                f"options follow a command: {', '.join(COMMANDS)}; "
                "the flags of the old script are those of kaltura_app_token_manager.py"
            )
        else:
            problem = f"unknown command: {name}"
            hint = f"the commands are {', '.join(COMMANDS)}"
        fail(f"{PROGRAM}: error: {problem}", hint)
        return 2
    summary, add_options, work = COMMANDS[name]
    if add_options is None:
        return work(rest)

    from kaltura_app_token._arguments import Parser, parse

    parser = Parser(
        PROGRAM, prog=f"{PROGRAM} {name}", description=f"{summary}.", allow_abbrev=False
    )
    _refuse_secrets(rest)
    add_options(parser)
    return work(parse(parser, rest))


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {summary}" for name, (summary, _, _) in COMMANDS.items()]
    return "\n".join(
        [
            f"usage: {PROGRAM} COMMAND [OPTIONS]",
            "",
            "Kaltura application tokens and the sessions that are started from them.",
            "",
            "commands:",
            *lines,
            "",
            "options:",
            "  -h, --help  show this, or with a command its options",
            "  --version   show the version",
            "",
            "The account is taken from the options, from the environment (KALTURA_PARTNER_ID,",
            "KALTURA_ADMIN_SECRET, KALTURA_SERVICE_URL) or from config.json in the working",
            "directory. Try it without an account: kaltura-app-token demo",
        ]
    )


_SECRET_OPTIONS = {
    "--admin-secret": "put it into a file for --admin-secret-file, or into KALTURA_ADMIN_SECRET",
    "--secret": "put it into a file for --admin-secret-file, or into KALTURA_ADMIN_SECRET",
    "--ks": "put it into a file for --ks-file, or into KALTURA_KS",
    "--app-token": "put it into a file for --app-token-file, or into KALTURA_APP_TOKEN",
    "--token": "put it into a file for --app-token-file, or into KALTURA_APP_TOKEN",
}


def _refuse_secrets(arguments: list[str]) -> None:
    """There is no option for a secret's value: every process of the machine can read it there."""
    for argument in arguments:
        option = argument.split("=", 1)[0]
        if option in _SECRET_OPTIONS:
            from kaltura_app_token.errors import ConfigError

            raise ConfigError(
                f"{option}: a secret on the command line can be read by everybody on this machine",
                hint=_SECRET_OPTIONS[option],
            )


def _add_account(parser: Parser) -> None:
    from kaltura_app_token import _arguments as types

    group = parser.add_argument_group("account (otherwise: the environment, config.json)")
    group.add_argument(
        "--service-url", metavar="URL", help="address of the API, or a region: us de eu sg ca ap"
    )
    group.add_argument("--partner-id", metavar="ID", type=types.whole_number, help="the account")
    group.add_argument(
        "--admin-secret-file",
        metavar="PATH",
        help="file with its admin secret; - is standard input",
    )
    group.add_argument(
        "--ks-file", metavar="PATH", help="file with an ADMIN session to use in place of the secret"
    )
    group.add_argument("--config", metavar="PATH", help="a file as config.json")
    group.add_argument("--user-id", metavar="ID", help="user of the admin session")
    group.add_argument(
        "--admin-session",
        choices=("signed", "signed-v1", "started"),
        default="signed",
        help="signed here (default), in the older form, or got from the server for the secret",
    )
    group = parser.add_argument_group("network")
    group.add_argument("--allow-http", action="store_true", help="allow an address without TLS")
    group.add_argument("--user-agent", metavar="TEXT", help="what to call ourselves")
    group.add_argument(
        "--timeout", metavar="SECONDS", type=types.seconds, help="for each call as a whole"
    )
    group.add_argument(
        "--max-retries", metavar="NUMBER", type=types.count, help="after failures that may pass"
    )
    group.add_argument("--proxy", metavar="URL", help="in place of HTTPS_PROXY")
    group.add_argument(
        "--ca-file",
        metavar="PATH",
        help="certificate authorities to trust in place of the system's",
    )


def _sources(args: argparse.Namespace) -> list[_native.Settings]:
    """The sources of the account, the first winning: options, environment, config.json.

    A file that is named by --config is an option, and comes before the environment.
    """
    from kaltura_app_token import _native
    from kaltura_app_token._arguments import read_secret
    from kaltura_app_token.errors import ConfigError

    files = (args.admin_secret_file, args.ks_file, getattr(args, "app_token_file", None))
    if files.count("-") > 1:
        raise ConfigError("standard input can hold only one secret: give a file for the others")
    secret = args.admin_secret_file and read_secret("--admin-secret-file", args.admin_secret_file)
    ks = args.ks_file and read_secret("--ks-file", args.ks_file)
    sources = [
        _native.Settings(
            partner_id=args.partner_id,
            admin_secret=secret,
            ks=ks,
            service_url=args.service_url,
            user_id=args.user_id,
        )
    ]
    if args.config is not None:
        sources.append(_native.Settings.from_config_file(args.config))
    sources.append(_native.Settings.from_env())
    if args.config is None and os.path.exists("config.json"):
        try:
            sources.append(_native.Settings.from_config_file("config.json"))
        except ConfigError:
            # Many programs have a file of that name; it matters only when nothing else is given.
            if not any(_names_account(settings) for settings in sources):
                raise
    return sources


def _names_account(settings: _native.Settings) -> bool:
    account = (settings.partner_id, settings.admin_secret, settings.ks, settings.service_url)
    return any(value is not None for value in account)


def _client(args: argparse.Namespace, settings: _native.Settings) -> _native.Client:
    from kaltura_app_token._connect import connect

    return connect(
        settings,
        PROGRAM,
        "--allow-http",
        admin_session=args.admin_session,
        allow_http=args.allow_http,
        user_agent=args.user_agent,
        total_timeout=args.timeout,
        max_retries=args.max_retries,
        proxy=args.proxy,
        ca_file=args.ca_file,
    )


def _admin_client(args: argparse.Namespace) -> _native.Client:
    from kaltura_app_token import _native

    return _client(args, _native.Settings.resolve(_sources(args), "admin"))


def _add_output(parser: Parser, *, secrets: bool) -> None:
    group = parser.add_argument_group("output")
    group.add_argument(
        "--format",
        choices=("table", "csv", "json", "jsonl"),
        default="table",
        help="default: table",
    )
    group.add_argument("--quiet", action="store_true", help="print ids only")
    if secrets:
        group.add_argument(
            "--show-secrets", action="store_true", help="print the values of tokens, not ****"
        )


def _print_token(args: argparse.Namespace, token: _native.AppToken, *, show_secrets: bool) -> None:
    from kaltura_app_token._output import print_token, token_fields

    if args.quiet:
        print(token.id)
    else:
        print_token(token_fields(token, show_secrets=show_secrets), args.format)


_PRESETS = {
    # The common sets of the AppTokens guide, section 7.3.
    "read-only-playback": "sview:*,enableentitlement,privacycontext:{}",
    "upload": "edit:*,sview:*",
    "single-entry-playback": "sview:{},setrole:PLAYBACK_BASE_ROLE,actionslimit:10",
    "analytics-tagged": "sview:*,list:*,appId:{}",
}

_HASH_TYPES = ("MD5", "SHA1", "SHA256", "SHA512")


def _privilege(text: str) -> str:
    import argparse

    if "," in text:
        raise argparse.ArgumentTypeError(
            "a privilege cannot hold a comma: give the option again for another one"
        )
    return text


def _preset(text: str) -> str:
    import argparse

    name, colon, value = text.partition(":")
    form = _PRESETS.get(name)
    if form is None:
        raise argparse.ArgumentTypeError(f"not one of {', '.join(_PRESETS)}")
    if ("{}" in form) != bool(value) or (colon and not value):
        needs = f"needs a value: {name}:VALUE" if "{}" in form else "takes no value"
        raise argparse.ArgumentTypeError(f"{name} {needs}")
    return form.format(_privilege(value))


def _add_fields(parser: Parser, *, new: bool) -> None:
    from kaltura_app_token import _arguments as types

    hash_type, session_type = ("default: SHA256", "default: USER; ") if new else ("", "")
    group = parser.add_argument_group("the token")
    group.add_argument("--description", metavar="TEXT", help="what it is for")
    group.add_argument("--privileges", metavar="TEXT", help="as the API takes them: sview:*,list:*")
    group.add_argument(
        "--privilege",
        metavar="NAME[:VALUE]",
        type=_privilege,
        action="append",
        help="one privilege; can be given several times",
    )
    group.add_argument(
        "--preset",
        metavar="NAME[:VALUE]",
        type=_preset,
        help="a set of privileges: read-only-playback:CONTEXT, upload, "
        "single-entry-playback:ENTRY, analytics-tagged:APP",
    )
    group.add_argument("--session-user-id", metavar="ID", help="user of every session")
    group.add_argument("--hash-type", type=types.upper, choices=_HASH_TYPES, help=hash_type)
    group.add_argument(
        "--session-type",
        type=types.upper,
        choices=("USER", "ADMIN", "UNSET"),
        help=f"{session_type}unset lets whoever exchanges the token choose",
    )
    group.add_argument(
        "--session-duration",
        metavar="DURATION",
        type=types.duration,
        help="longest life of a session: 3600, 30m, 12h, 7d",
    )
    group.add_argument(
        "--expiry",
        metavar="TIME",
        type=types.future,
        help="when the token stops working: 2030-01-31T12:00:00Z, unix seconds, or +30d",
    )


def _privileges(args: argparse.Namespace) -> str | None:
    parts = [args.preset, args.privileges, *(args.privilege or ())]
    given = [part for part in parts if part is not None]
    return ",".join(given) if given else None


def _fields(args: argparse.Namespace) -> dict[str, Any]:
    """The fields that are given, under the names of `add_token` and `update_token`."""
    given = {
        "description": args.description,
        "session_privileges": _privileges(args),
        "session_user_id": args.session_user_id,
        "hash_type": args.hash_type,
        "session_type": args.session_type,
        "session_duration": args.session_duration,
        "expiry": args.expiry,
    }
    return {name: value for name, value in given.items() if value is not None}


def _add_create(parser: Parser) -> None:
    _add_fields(parser, new=True)
    parser.add_argument(
        "--start-session", action="store_true", help="start a session with the new token as well"
    )
    _add_output(parser, secrets=False)
    _add_account(parser)


def _create(args: argparse.Namespace) -> int:
    from kaltura_app_token._connect import exchange, lint, warn_of_dropped
    from kaltura_app_token._output import print_token, session_fields, token_fields
    from kaltura_app_token.errors import KalturaError

    fields = _fields(args)
    if fields.get("session_type") == "UNSET":
        fields["session_type"] = None
    client = _admin_client(args)
    lint(fields.get("session_privileges"), PROGRAM)
    token = client.add_token(**fields)
    if not args.start_session:
        _print_token(args, token, show_secrets=True)
        return 0
    try:
        session = exchange(client, token)
    except KalturaError:
        # The token is there all the same, and nobody could tell its value later.
        _print_token(args, token, show_secrets=True)
        raise
    warn_of_dropped(session, PROGRAM)
    if args.quiet:
        print(token.id)
    else:
        print_token(
            token_fields(token, show_secrets=True), args.format, session=session_fields(session)
        )
    return 0


def _add_get(parser: Parser) -> None:
    parser.add_argument("id", metavar="ID", help="the token's id")
    _add_output(parser, secrets=True)
    _add_account(parser)


def _get(args: argparse.Namespace) -> int:
    token = _admin_client(args).get_token(args.id, response_profile=_without_value(args))
    _print_token(args, token, show_secrets=args.show_secrets)
    return 0


def _without_value(args: argparse.Namespace) -> _native.ResponseProfile | None:
    """What is not going to be shown need not leave the server."""
    from kaltura_app_token import _native

    return None if args.show_secrets else _native.ResponseProfile.exclude("token")


_STATUSES = {"DISABLED": 1, "ACTIVE": 2, "DELETED": 3}


def _add_list(parser: Parser) -> None:
    from kaltura_app_token import _arguments as types

    group = parser.add_argument_group("which tokens")
    group.add_argument("--id", metavar="ID", action="append", help="can be given several times")
    group.add_argument(
        "--status",
        type=types.upper,
        choices=tuple(_STATUSES),
        action="append",
        help="can be given several times",
    )
    for name, meaning in (("created", "created"), ("updated", "last changed")):
        for word, when in (("after", "then or later"), ("before", "then or earlier")):
            group.add_argument(
                f"--{name}-{word}",
                metavar="TIME",
                type=types.past,
                help=f"{meaning} {when}: 2024-01-31T12:00:00Z, unix seconds, or 7d (ago)",
            )
    group.add_argument("--user", metavar="ID", help="whose sessions have this user")
    group.add_argument("--hash-type", type=types.upper, choices=_HASH_TYPES)
    group.add_argument("--session-type", type=types.upper, choices=("USER", "ADMIN"))
    group = parser.add_argument_group("one page in place of all tokens")
    group.add_argument("--page-size", metavar="NUMBER", type=types.count, help="1 to 500")
    group.add_argument("--page-index", metavar="NUMBER", type=types.count, help="from 1")
    group.add_argument(
        "--order-by",
        metavar="FIELD",
        choices=("+createdAt", "-createdAt", "+updatedAt", "-updatedAt"),
        help="order of the page: +createdAt, -createdAt, +updatedAt, -updatedAt, as --order-by=...",
    )
    _add_output(parser, secrets=True)
    _add_account(parser)


def _list(args: argparse.Namespace) -> int:
    from kaltura_app_token._output import note, print_tokens, token_fields
    from kaltura_app_token.errors import ConfigError

    filters = {
        "id_in": args.id,
        "status_in": args.status and [_STATUSES[name] for name in args.status],
        "created_at_greater_than_or_equal": args.created_after,
        "created_at_less_than_or_equal": args.created_before,
        "updated_at_greater_than_or_equal": args.updated_after,
        "updated_at_less_than_or_equal": args.updated_before,
        "session_user_id_equal": args.user,
        "hash_type_equal": args.hash_type,
        "session_type_equal": args.session_type,
    }
    one_page = args.page_size is not None or args.page_index is not None
    if args.order_by and not one_page:
        raise ConfigError(
            "--order-by: all tokens come oldest first", hint="add --page-size for one page in order"
        )
    client = _admin_client(args)
    tokens: Iterator[_native.AppToken]
    if one_page:
        index = 1 if args.page_index is None else args.page_index
        page = client.list_tokens(
            page_size=500 if args.page_size is None else args.page_size,
            page_index=index,
            order_by=args.order_by,
            with_secrets=args.show_secrets,
            **filters,
        )
        tokens = iter(page.tokens)
        note(f"page {index}: {len(page.tokens)} of {page.total_count} tokens")
    else:
        tokens = client.tokens(with_secrets=args.show_secrets, **filters)
    if args.quiet:
        for token in tokens:
            print(token.id)
    else:
        rows: Iterator[Fields] = (
            token_fields(token, show_secrets=args.show_secrets) for token in tokens
        )
        print_tokens(rows, args.format)
    return 0


_CLEARABLE = {
    "sessionType": "session_type",
    "sessionDuration": "session_duration",
    "sessionPrivileges": "session_privileges",
    "sessionUserId": "session_user_id",
    "description": "description",
    "expiry": "expiry",
}


def _add_update(parser: Parser) -> None:
    parser.add_argument("id", metavar="ID", help="the token's id")
    _add_fields(parser, new=False)
    parser.add_argument(
        "--clear",
        metavar="FIELD",
        choices=tuple(_CLEARABLE),
        action="append",
        default=[],
        help=f"unset a field; can be given several times: {', '.join(_CLEARABLE)}",
    )
    _add_output(parser, secrets=True)
    _add_account(parser)


def _update(args: argparse.Namespace) -> int:
    from kaltura_app_token._connect import lint
    from kaltura_app_token._output import note
    from kaltura_app_token.errors import ConfigError

    fields = _fields(args)
    clear = list(dict.fromkeys(args.clear))
    for name in clear:
        if _CLEARABLE[name] in fields:
            raise ConfigError(f"{name} is both set and cleared: give one of the two")
    if fields.get("session_type") == "UNSET":
        del fields["session_type"]
        clear.append("sessionType")
    client = _admin_client(args)
    lint(fields.get("session_privileges"), PROGRAM)
    token = client.update_token(
        args.id, clear=clear, response_profile=_without_value(args), **fields
    )
    if "hash_type" in fields:
        note(f"{PROGRAM}: note: from now on the token is exchanged with {args.hash_type}")
    _print_token(args, token, show_secrets=args.show_secrets)
    return 0


def _add_delete(parser: Parser) -> None:
    parser.add_argument("ids", metavar="ID", nargs="+", help="the tokens' ids")
    parser.add_argument("--yes", action="store_true", help="do not ask before deleting several")
    parser.add_argument("--quiet", action="store_true", help="print ids only")
    _add_account(parser)


def _delete(args: argparse.Namespace) -> int:
    from kaltura_app_token._output import fail, printable
    from kaltura_app_token.errors import ApiError, exit_code

    ids = list(dict.fromkeys(args.ids))
    client = _admin_client(args)
    if len(ids) > 1 and not args.yes:
        _confirm(f"Delete {len(ids)} tokens: {', '.join(ids)}?")
    code = 0
    for token_id in ids:
        try:
            client.delete_token(token_id)
        except ApiError as error:
            fail(f"{PROGRAM}: error: {token_id} was not deleted: {error.message}", error.hint)
            code = code or exit_code(error)
        else:
            print(token_id if args.quiet else f"deleted: {printable(token_id)}")
    return code


def _confirm(question: str) -> None:
    from kaltura_app_token._output import printable
    from kaltura_app_token.errors import CancelledError, ConfigError

    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise ConfigError("several tokens are to be deleted", hint="add --yes to delete them all")
    print(f"{printable(question)} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise CancelledError("nothing was deleted")


def _add_session(parser: Parser) -> None:
    from kaltura_app_token import _arguments as types

    parser.add_argument(
        "id", metavar="ID", nargs="?", help="the token's id (otherwise: KALTURA_APP_TOKEN_ID)"
    )
    parser.add_argument("--app-token-id", metavar="ID", help="the same as an option")
    parser.add_argument(
        "--app-token-file",
        metavar="PATH",
        help="file with the token's value; - is standard input (otherwise: KALTURA_APP_TOKEN, or "
        "you are asked for it)",
    )
    parser.add_argument(
        "--hash-type",
        type=types.upper,
        choices=_HASH_TYPES,
        default="SHA256",
        help="the token's (default: SHA256)",
    )
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
    group = parser.add_argument_group("output")
    group.add_argument(
        "--format", choices=("text", "json"), default="text", help="text is the KS alone"
    )
    _add_account(parser)


def _session(args: argparse.Namespace) -> int:
    from kaltura_app_token import _native
    from kaltura_app_token._connect import lint, warn_of_dropped
    from kaltura_app_token._output import session_fields, to_json

    settings = _native.Settings.resolve(_sources(args), "exchange")
    token_id, value = _token_to_exchange(args)
    client = _client(args, settings)
    lint(args.privileges, PROGRAM, at_session=True)
    session = client.start_session(
        token_id,
        value,
        hash_type=args.hash_type,
        user_id=args.user,
        session_type=args.type,
        expiry=args.expiry,
        privileges=args.privileges,
    )
    warn_of_dropped(session, PROGRAM)
    print(to_json(session_fields(session)) if args.format == "json" else session.ks.reveal())
    return 0


def _token_to_exchange(args: argparse.Namespace) -> tuple[str, str | _native.Secret]:
    """The token's id and value, from options, environment or the person at the terminal."""
    from kaltura_app_token import _native
    from kaltura_app_token._arguments import read_secret
    from kaltura_app_token.errors import ConfigError

    if args.id is not None and args.app_token_id is not None:
        raise ConfigError("the token's id is given twice: once is enough")
    environment = _native.Settings.from_env()
    given = args.id if args.id is not None else args.app_token_id
    token_id = given if given is not None else environment.app_token_id
    if token_id is None:
        raise ConfigError(
            "no token is named", hint=f"{PROGRAM} session ID, or set KALTURA_APP_TOKEN_ID"
        )
    if args.app_token_file is not None:
        return token_id, read_secret("--app-token-file", args.app_token_file)
    # The environment's value belongs to the id that stands beside it.
    if environment.app_token is not None and environment.app_token_id in (None, token_id):
        return token_id, environment.app_token
    if sys.stdin.isatty() and sys.stderr.isatty():
        import getpass

        from kaltura_app_token._output import printable

        try:
            value = getpass.getpass(f"Value of token {printable(token_id)}: ", stream=sys.stderr)
        except EOFError:
            value = ""
        if value:
            return token_id, value
    raise ConfigError(
        f"the value of token {token_id} is not given",
        hint="put it into a file for --app-token-file (- is standard input), or into "
        "KALTURA_APP_TOKEN",
    )


def _sandbox(arguments: list[str]) -> int:
    import signal

    from kaltura_app_token import _native

    # The sandbox handles Ctrl-C itself; Python's handler would make an interrupt of it as well.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _native.sandbox_main(arguments)


def _add_demo(parser: Parser) -> None:
    """It takes no options."""


def _demo(_args: argparse.Namespace) -> int:
    from kaltura_app_token._demo import demo

    return demo()


COMMANDS: dict[str, tuple[str, Callable[[Parser], None] | None, Callable[[Any], int]]] = {
    "create": ("Create a token and print it, its value included", _add_create, _create),
    "list": ("List the account's tokens", _add_list, _list),
    "get": ("Show one token", _add_get, _get),
    "update": ("Change fields of a token", _add_update, _update),
    "delete": ("Delete tokens", _add_delete, _delete),
    "session": ("Exchange a token for a session and print its KS", _add_session, _session),
    "sandbox": ("Run a local Kaltura", None, _sandbox),
    "demo": ("Show all of this on a local Kaltura", _add_demo, _demo),
}
"""Each one's summary, options and work; without options, the work takes the words themselves."""
