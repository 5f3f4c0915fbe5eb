"""The command with the old script's flags, `kaltura_app_token_manager.py`, and the script's
functions under their old names, with their arguments in the old order. Knows flags, `config.json`
and printed lines, nothing of the API.

It is extended as the script was: put a function of a privilege's name and value into
`PRIVILEGE_HANDLERS`, and a flag of the same name into the parser. An entry's place in the
dictionary is its place among the privileges.

    import sys
    import kaltura_app_token_manager as manager

    original_parser = manager.setup_parser

    def setup_parser():
        parser = original_parser()
        parser.add_argument("--appId", help="the application that analytics names")
        return parser

    manager.setup_parser = setup_parser
    manager.PRIVILEGE_HANDLERS["appId"] = manager.handle_privilege
    sys.exit(manager.main())
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from kaltura_app_token import _native
from kaltura_app_token.command.arguments import Parser, parse, token_id, variable
from kaltura_app_token.command.connect import connect, lint
from kaltura_app_token.command.creation import Creation
from kaltura_app_token.command.output.fields import MASK
from kaltura_app_token.command.output.run import fail, note, run
from kaltura_app_token.command.output.table import table, terminal_width, wrap
from kaltura_app_token.command.output.text import printable
from kaltura_app_token.errors import ConfigError, KalturaError, exit_code

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kaltura_app_token.model import AppToken

__all__ = [
    "PRIVILEGE_HANDLERS",
    "build_privileges",
    "create_app_token",
    "delete_app_token",
    "handle_privilege",
    "initialize_client",
    "list_app_tokens",
    "load_configuration",
    "main",
    "setup_parser",
    "start_admin_session",
    "start_app_token_session",
    "update_app_token",
    "wrap_text",
]

PROGRAM = "kaltura_app_token_manager.py"

_CONFIG = "config.json"


def handle_privilege(privilege_name: str, value: object) -> str:
    """A privilege with its value.

    >>> handle_privilege("sview", "1_a"), handle_privilege("list", True)
    ('sview:1_a', 'list:*')
    """
    return "list:*" if privilege_name == "list" else f"{privilege_name}:{value}"


def _bare(privilege_name: str, _value: object) -> str:
    # With a value the server stores these and ignores them.
    return privilege_name


PRIVILEGE_HANDLERS: dict[str, Callable[[str, Any], str] | str] = {
    "edit": handle_privilege,
    "sview": handle_privilege,
    "list": handle_privilege,
    "download": handle_privilege,
    "downloadasset": handle_privilege,
    "editplaylist": handle_privilege,
    "sviewplaylist": handle_privilege,
    "edituser": handle_privilege,
    "actionslimit": handle_privilege,
    "setrole": handle_privilege,
    "iprestrict": handle_privilege,
    "urirestrict": handle_privilege,
    "enableentitlement": _bare,
    "disableentitlement": _bare,
    "disableentitlementforentry": handle_privilege,
    "privacycontext": handle_privilege,
    "enablecategorymoderation": _bare,
    "reftime": handle_privilege,
    "preview": handle_privilege,
    "sessionid": handle_privilege,
}
"""What each privilege flag becomes, by a function or as the text that stands here, in the order in
which privileges are written."""

_PRIVILEGE_FLAGS: dict[str, tuple[str, str]] = {
    "edit": ("ENTRY", "entries that may be changed; * for all"),
    "sview": ("ENTRY", "entries that may be played; * for all"),
    "download": ("ENTRY", "entries that may be downloaded"),
    "downloadasset": ("ASSET", "assets that may be downloaded"),
    "editplaylist": ("PLAYLIST", "playlists whose entries may be changed"),
    "sviewplaylist": ("PLAYLIST", "playlists whose entries may be played"),
    "edituser": ("USER", "users that may be changed"),
    "actionslimit": ("NUMBER", "how many calls a session may make"),
    "setrole": ("ROLE", "the role that a session has"),
    "iprestrict": ("ADDRESS", "addresses that may use a session, joined with /"),
    "urirestrict": ("PATH", "paths that may be called, joined with |"),
    "enableentitlement": ("", "entitlement is enforced"),
    "disableentitlement": ("", "entitlement is not enforced"),
    "disableentitlementforentry": ("ENTRY", "entries without entitlement"),
    "privacycontext": ("CONTEXT", "the privacy context that entitlement is checked in"),
    "enablecategorymoderation": ("", "moderation of categories is enforced"),
    "reftime": ("TIME", "the time in unix seconds that schedules are checked against"),
    "preview": ("SIZE", "how much of an entry may be played"),
    "sessionid": ("TEXT", "the group of the session"),
}

_NEW_FLAGS = frozenset(("config", "show_secrets", "sandbox", "start_admin_session", "allow_http"))


class _Parser(Parser):
    """Takes unambiguous abbreviations, as the script did, of its old flags only."""

    def _get_option_tuples(self, option_string: str) -> Any:
        # New flags must be written out: otherwise each would break abbreviations in use.
        found = super()._get_option_tuples(option_string)
        return [match for match in found if match[0].dest not in _NEW_FLAGS]


def _given_id(text: str) -> str:
    # A script's variable that is unset: nothing is to be guessed from that.
    if not text.strip():
        raise argparse.ArgumentTypeError("the id is empty")
    return token_id(text)


def setup_parser() -> argparse.ArgumentParser:
    """The parser of the old flags; flags of further privileges can be added to it."""
    parser = _Parser(
        PROGRAM,
        prog=PROGRAM,
        description="Manage Kaltura app tokens: create, list, update, delete.",
        allow_abbrev=True,
        epilog="The account is read from config.json in the working directory, or else beside the "
        "script:\nsee config.template.json.",
    )
    actions = parser.add_argument_group("actions")
    actions.add_argument("--create", action="store_true", help="create an app token")
    actions.add_argument(
        "--list",
        action="store_true",
        help="list all app tokens, and nothing else; with --create: grant list:*",
    )
    actions.add_argument("--update", metavar="ID", type=_given_id, help="change an app token")
    actions.add_argument("--delete", metavar="ID", type=_given_id, help="delete an app token")
    details = parser.add_argument_group("details of an app token")
    details.add_argument("--description", metavar="TEXT", help="what the app token is for")
    details.add_argument(
        "--start_session",
        action="store_true",
        help="start a session with the app token after it was created or updated",
    )
    privileges = parser.add_argument_group(
        "privileges of an app token (each creates one, unless --update is given)"
    )
    for name, (value, meaning) in _PRIVILEGE_FLAGS.items():
        if not value:
            privileges.add_argument(f"--{name}", action="store_true", help=meaning)
        else:
            number = name in ("actionslimit", "reftime", "preview")
            privileges.add_argument(
                f"--{name}", metavar=value, type=int if number else str, help=meaning
            )
    other = parser.add_argument_group("other (not to be abbreviated)")
    other.add_argument(
        "--config", metavar="PATH", help="the configuration file (KALTURA_CONFIG does the same)"
    )
    other.add_argument(
        "--show_secrets",
        action="store_true",
        help="show the admin session and the values of app tokens (KALTURA_SHOW_SECRETS=1 too)",
    )
    other.add_argument(
        "--sandbox", action="store_true", help="act on a local Kaltura that lives for this run only"
    )
    other.add_argument(
        "--start_admin_session",
        action="store_true",
        help="get the admin session from the server, which sends it the admin secret",
    )
    other.add_argument("--allow_http", action="store_true", help="allow a service URL without TLS")
    return parser


def build_privileges(args: argparse.Namespace) -> str:
    """The privileges that the flags ask for, in the order of `PRIVILEGE_HANDLERS`.

    >>> build_privileges(argparse.Namespace(sview="*", edit="1_a", enableentitlement=True))
    'edit:1_a,sview:*,enableentitlement'
    """
    values = ((name, getattr(args, name, None)) for name in PRIVILEGE_HANDLERS)
    return ",".join(_privilege(name, value) for name, value in values if _is_given(value))


def _privilege(name: str, value: object) -> str:
    handler = PRIVILEGE_HANDLERS[name]
    return handler(name, value) if callable(handler) else handler


def _is_given(value: object) -> bool:
    # Not by truth: --actionslimit 0 and --description "" are given.
    return value is not None and value is not False


def load_configuration(path: str | None = None) -> _native.Settings:
    """Reads `config.json` from the working directory or else from that of the script, or the file
    that is named here or by `KALTURA_CONFIG`.

    Raises:
        ConfigError: It is not there, is not JSON, or lacks the account or its secret.
    """
    path = path or variable("KALTURA_CONFIG") or _found_config()
    return _native.Settings.resolve([_native.Settings.from_config_file(path)], "admin")


def _found_config() -> str:
    # Where Python itself looks for what is beside a script: behind symbolic links.
    beside = os.path.dirname(os.path.realpath(sys.argv[0]))
    if os.path.lexists(_CONFIG):
        return _CONFIG
    path = os.path.join(beside, _CONFIG)
    if os.path.lexists(path):
        # Not the one that whoever looks around would think of.
        note(f"{PROGRAM}: note: using {path}")
        return path
    raise ConfigError(
        f"Configuration file '{_CONFIG}' not found.",
        hint=f"looked in {' and in '.join(dict.fromkeys((_working_directory(), beside)))}: copy "
        "config.template.json to config.json there, chmod 600 it, and fill in PARTNER_ID, "
        "ADMIN_SECRET and KALTURA_SERVICE_URL",
    )


def _working_directory() -> str:
    try:
        return os.getcwd()
    except OSError:
        return "a working directory that is gone"


def initialize_client(
    config: _native.Settings, *, allow_http: bool = False, started: bool = False
) -> _native.Client:
    """The client of that account; `started` asks the server for its admin session.

    Raises:
        ConfigError: The settings cannot be used.
    """
    return connect(
        config,
        PROGRAM,
        "--allow_http",
        allow_http=allow_http,
        admin_session="started" if started else "signed",
    )


def start_admin_session(
    client: _native.Client,
    config: object = None,
    *,
    started: bool = False,
) -> str:
    """An admin session of the client's account, signed here or, with `started`, got from the
    server. The client needs none: `config` is what the script took, and is not looked at.

    Raises:
        KalturaError: The server did not give one.
    """
    session = client.start_admin_session() if started else client.sign_admin_session()
    return session.ks.reveal()


def create_app_token(client: _native.Client, privileges: str, description: str | None) -> AppToken:
    """Creates an app token of type USER with hash type SHA256.

    Raises:
        KalturaError: It was not created, or with `OutcomeUnknown` perhaps.
    """
    return client.add_token(description=description, session_privileges=privileges or None)


def list_app_tokens(client: _native.Client, *, with_secrets: bool = False) -> list[AppToken]:
    """All app tokens of the account, their values only if asked for.

    Raises:
        KalturaError: They could not all be read.
    """
    return list(client.tokens(with_secrets=with_secrets))


def update_app_token(
    client: _native.Client, app_token_id: str, privileges: str, description: str | None
) -> AppToken:
    """Changes what is given and not empty, and nothing else.

    Raises:
        KalturaError: It was not changed.
    """
    return client.update_token(
        app_token_id, description=description or None, session_privileges=privileges or None
    )


def delete_app_token(client: _native.Client, app_token_id: str) -> None:
    """Deletes an app token.

    Raises:
        KalturaError: It was not deleted.
    """
    client.delete_token(app_token_id)


def start_app_token_session(
    client: _native.Client,
    partner_id: int | None,
    app_token_id: str,
    app_token_value: str,
) -> str:
    """Exchanges an app token for a session of the client's account, which lives as long as the
    token allows; answers its KS. `partner_id` is what the script took, and is not looked at.

    Raises:
        KalturaError: The server refused it.
    """
    # The server takes SHA1 for a token that was created without a hash type.
    hash_type = cast("_native._HashType", client.get_token(app_token_id).hash_type or "SHA1")
    return client.start_session(app_token_id, app_token_value, hash_type=hash_type).ks.reveal()


def wrap_text(text: str, width: int) -> list[str]:
    """The lines of a text in that many columns.

    >>> wrap_text("sview:*,list:*", 10)
    ['sview:*,', 'list:*']
    """
    return wrap(text, width)


def main(argv: list[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    return run(PROGRAM, lambda: _main(arguments))


class _Failed(Exception):
    """A failure that was reported; carries the exit code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@contextmanager
def _saying(doing: str) -> Iterator[None]:
    """Reports a failure after the script's words for what was being done."""
    try:
        yield
    except KalturaError as error:
        fail(f"{doing}{error.message}", error.hint)
        raise _Failed(exit_code(error)) from None


def _main(arguments: list[str]) -> int:
    parser = setup_parser()
    if not arguments:
        parser.print_help(sys.stderr)
        return 1
    args = parse(parser, arguments)
    privileges = build_privileges(args)
    action = _action(parser, args)
    try:
        if args.sandbox:
            from kaltura_app_token.sandbox import Sandbox

            with Sandbox() as sandbox:
                config = _native.Settings(
                    partner_id=sandbox.partner_id,
                    admin_secret=sandbox.admin_secret,
                    service_url=sandbox.service_url,
                )
                return _act(action, args, privileges, config)
        with _saying(""):
            config = load_configuration(args.config)
        return _act(action, args, privileges, config)
    except _Failed as failed:
        return failed.code


def _action(parser: argparse.ArgumentParser, args: argparse.Namespace) -> str:
    """Which one action is done; a usage error when it is none, or when two would change something.

    As in the script a deletion and the list do nothing else, whatever else is given.
    """
    granted = [name for name in PRIVILEGE_HANDLERS if name != "list"]
    details = [
        f"--{name}"
        for name in ("description", *granted, "start_session")
        if _is_given(getattr(args, name, None))
    ]
    changes = [
        action
        for action, wanted in (
            ("create", args.create),
            ("update", args.update is not None),
            ("delete", args.delete is not None),
        )
        if wanted
    ]
    if len(changes) > 1:
        parser.error(f"two actions at once: --{changes[0]} and --{changes[1]}")
    if changes == ["delete"]:
        _ignore("delete", [*details, *(["--list"] if args.list else [])])
        return "delete"
    if args.list and changes != ["create"]:
        _ignore("list", [*(f"--{action}" for action in changes), *details])
        return "list"
    if changes == ["update"]:
        if details in ([], ["--description"]) and not args.description:
            parser.error("--update ID changes nothing: give --description TEXT or a privilege too")
        if args.description == "":
            # As the script did: this is mostly a variable that is unset.
            note(f"{PROGRAM}: note: --description is empty: the description is left as it is")
    if not changes and details in ([], ["--start_session"]):
        parser.error("no action is asked for: give --create, --list, --update ID or --delete ID")
    return changes[0] if changes else "create"


def _ignore(action: str, ignored: list[str]) -> None:
    if ignored:
        verb = "is" if len(ignored) == 1 else "are"
        note(f"{PROGRAM}: note: --{action} does nothing else: {', '.join(ignored)} {verb} ignored")


def _act(action: str, args: argparse.Namespace, privileges: str, config: _native.Settings) -> int:
    show_secrets = args.show_secrets or os.environ.get("KALTURA_SHOW_SECRETS") == "1"
    with _saying("Error: "):
        client = initialize_client(
            config, allow_http=args.allow_http, started=args.start_admin_session
        )
        if show_secrets:
            print(f"KS: {start_admin_session(client, started=args.start_admin_session)}")
    if action == "create":
        _create(client, args, privileges)
    elif action == "update":
        _update(client, args, privileges)
    elif action == "delete":
        note(f"{PROGRAM}: note: deleting from partner {client.partner_id} at {client.service_url}")
        with _saying(f"Error deleting App Token with ID {args.delete}: "):
            delete_app_token(client, args.delete)
        print(f"App Token with ID {printable(args.delete)} has been deleted.")
    else:
        with _saying("Failed to list App Tokens: "):
            tokens = list_app_tokens(client, with_secrets=show_secrets)
        _print_list(tokens, show_secrets=show_secrets)
    return 0


def _create(client: _native.Client, args: argparse.Namespace, privileges: str) -> None:
    lint(privileges, PROGRAM)
    if not args.list:
        note(f"{PROGRAM}: note: list:* is granted only when asked for: --create --list")
    listing = [PROGRAM, "--list"]
    if args.config is not None:
        listing.append(f"--config={args.config}")
    if args.allow_http:
        listing.append("--allow_http")
    creation = Creation(
        PROGRAM,
        client,
        {"description": args.description, "session_privileges": privileges},
        get=lambda _id: shlex.join([*listing, "--show_secrets"]),
        list_all=lambda: shlex.join(listing),
    )
    with _saying("Error creating new App Token: "):
        token = creation.make(lambda: create_app_token(client, privileges, args.description))
    print(f"Created New App Token ID: {token.id}")
    _print_details("App Token", token)
    if token.token is not None:
        # After the script's own lines, which other programs count.
        print(f"App Token Value: {token.token.reveal()}")
    if args.start_session:
        _print_session(client, token)


def _update(client: _native.Client, args: argparse.Namespace, privileges: str) -> None:
    lint(privileges, PROGRAM)
    if not args.description and not privileges:
        with _saying(f"Error updating App Token with ID {args.update}: "):
            token = client.get_token(args.update)
    else:
        if not privileges:
            note(f"{PROGRAM}: note: the privileges are left as they are")
        with _saying(f"Error updating App Token with ID {args.update}: "):
            token = update_app_token(client, args.update, privileges, args.description)
        print(f"Updated App Token ID: {token.id}")
        _print_details("Updated App Token", token)
    if args.start_session:
        _print_session(client, token)


def _print_details(what: str, token: AppToken) -> None:
    print(f"{what} Description: {printable(token.description or '')}")
    print(f"{what} Session Privileges: {printable(token.session_privileges or '')}")


def _print_session(client: _native.Client, token: AppToken) -> None:
    with _saying(f"Error starting a session with App Token with ID {token.id}: "):
        value = token.token or client.get_token(token.id).token
        revealed = value.reveal() if value is not None else ""
        ks = start_app_token_session(client, client.partner_id, token.id, revealed)
    print(f"App Token Session KS: {ks}")


def _print_list(tokens: list[AppToken], *, show_secrets: bool) -> None:
    if not tokens:
        print("No App Tokens found.")
        return
    rows = [
        [
            token.id,
            token.token.reveal() if show_secrets and token.token is not None else MASK,
            token.description or "",
            token.session_privileges or "",
        ]
        for token in tokens
    ]
    headings = ["App Token ID", "Value", "Description", "Session Privileges"]
    for line in table(headings, rows, terminal_width(), whole=2, gap=" | ", rule="-"):
        print(line)
