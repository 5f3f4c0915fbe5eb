"""The subcommands `create`, `get`, `list`, `update` and `delete`: an account's tokens. Values come
out where a token is created, or asked for; --dry-run prints the request in place of sending it.
"""

from __future__ import annotations

import argparse
import shlex

from kaltura_app_token import _native
from kaltura_app_token._version import PROGRAM
from kaltura_app_token.command import arguments as types
from kaltura_app_token.command.account import HASH_TYPES, add_account, add_network, admin_client
from kaltura_app_token.command.arguments import Command, Parser
from kaltura_app_token.command.connect import exchange, lint, warn_of_dropped
from kaltura_app_token.command.creation import Creation
from kaltura_app_token.command.output.fields import (
    print_request,
    print_token,
    print_tokens,
    session_fields,
    token_fields,
)
from kaltura_app_token.command.output.progress import with_progress
from kaltura_app_token.command.output.run import confirm, fail, note
from kaltura_app_token.command.output.text import printable
from kaltura_app_token.errors import ApiError, ConfigError, KalturaError, exit_code

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from kaltura_app_token.command.output.fields import Fields
    from kaltura_app_token.model import AppToken


def add_output(parser: Parser, *, secrets: bool) -> None:
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


def _add_dry_run(parser: Parser) -> None:
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print the request, secrets masked, in place of sending it",
    )


def _print_token(args: argparse.Namespace, token: AppToken, *, show_secrets: bool) -> None:
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


def _privilege(text: str) -> str:
    if "," in text:
        raise argparse.ArgumentTypeError(
            "a privilege cannot hold a comma: give the option again for another one"
        )
    return text


def _preset(text: str) -> str:
    name, colon, value = text.partition(":")
    form = _PRESETS.get(name)
    if form is None:
        raise argparse.ArgumentTypeError(f"not one of {', '.join(_PRESETS)}")
    if ("{}" in form) != bool(value) or (colon and not value):
        needs = f"needs a value: {name}:VALUE" if "{}" in form else "takes no value"
        raise argparse.ArgumentTypeError(f"{name} {needs}")
    return form.format(_privilege(value))


def add_fields(parser: Parser, *, new: bool) -> None:
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
    group.add_argument("--hash-type", type=types.upper, choices=HASH_TYPES, help=hash_type)
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


def asked_fields(args: argparse.Namespace) -> dict[str, Any]:
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


def creation(args: argparse.Namespace, client: _native.Client, fields: dict[str, Any]) -> Creation:
    """What tells of the token that is created with these fields, if its output cannot."""
    from kaltura_app_token.command.workflows import same_account

    return Creation(
        PROGRAM,
        client,
        fields,
        get=lambda token_id: shlex.join(
            [PROGRAM, "get", token_id, "--show-secrets", *same_account(args)]
        ),
        list_all=lambda: shlex.join([PROGRAM, "list", *same_account(args)]),
    )


def _add_create(parser: Parser) -> None:
    add_fields(parser, new=True)
    _add_dry_run(parser)
    parser.add_argument(
        "--start-session", action="store_true", help="start a session with the new token as well"
    )
    add_output(parser, secrets=False)
    add_account(parser)
    add_network(parser)


def _create(args: argparse.Namespace) -> int:
    fields = asked_fields(args)
    if fields.get("session_type") == "UNSET":
        fields["session_type"] = None
    client = admin_client(args)
    lint(fields.get("session_privileges"), PROGRAM)
    if args.dry_run:
        print_request(client, "appToken.add", client.preview_add(**fields), args.format)
        return 0
    token = creation(args, client, fields).make(lambda: client.add_token(**fields))
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
    parser.add_argument("id", metavar="ID", type=types.token_id, help="the token's id")
    add_output(parser, secrets=True)
    add_account(parser)
    add_network(parser)


def _get(args: argparse.Namespace) -> int:
    token = admin_client(args).get_token(args.id, response_profile=_without_value(args))
    _print_token(args, token, show_secrets=args.show_secrets)
    return 0


def _without_value(args: argparse.Namespace) -> _native.ResponseProfile | None:
    """What is not going to be shown need not leave the server."""
    return None if args.show_secrets else _native.ResponseProfile.exclude("token")


_STATUSES = {"DISABLED": 1, "ACTIVE": 2, "DELETED": 3}


def _add_list(parser: Parser) -> None:
    group = parser.add_argument_group("which tokens")
    group.add_argument(
        "--id",
        metavar="ID",
        type=types.token_id,
        action="append",
        help="can be given several times",
    )
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
    group.add_argument("--hash-type", type=types.upper, choices=HASH_TYPES)
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
    add_output(parser, secrets=True)
    add_account(parser)
    add_network(parser)


_STREAMED = ("csv", "jsonl")


def _list(args: argparse.Namespace) -> int:
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
    client = admin_client(args)
    tokens: Iterator[AppToken]
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
        tokens = with_progress(tokens, "tokens", streamed=args.quiet or args.format in _STREAMED)
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
    parser.add_argument("id", metavar="ID", type=types.token_id, help="the token's id")
    add_fields(parser, new=False)
    parser.add_argument(
        "--clear",
        metavar="FIELD",
        choices=tuple(_CLEARABLE),
        action="append",
        default=[],
        help=f"unset a field; can be given several times: {', '.join(_CLEARABLE)}",
    )
    _add_dry_run(parser)
    add_output(parser, secrets=True)
    add_account(parser)
    add_network(parser)


def _update(args: argparse.Namespace) -> int:
    fields = asked_fields(args)
    clear = list(dict.fromkeys(args.clear))
    for name in clear:
        if _CLEARABLE[name] in fields:
            raise ConfigError(f"{name} is both set and cleared: give one of the two")
    if fields.get("session_type") == "UNSET":
        del fields["session_type"]
        clear.append("sessionType")
    client = admin_client(args)
    lint(fields.get("session_privileges"), PROGRAM)
    if args.dry_run:
        parameters = client.preview_update(args.id, clear=clear, **fields)
        print_request(client, "appToken.update", parameters, args.format)
        return 0
    token = client.update_token(
        args.id, clear=clear, response_profile=_without_value(args), **fields
    )
    if "hash_type" in fields:
        note(f"{PROGRAM}: note: from now on the token is exchanged with {args.hash_type}")
    _print_token(args, token, show_secrets=args.show_secrets)
    return 0


def _add_delete(parser: Parser) -> None:
    parser.add_argument("ids", metavar="ID", type=types.token_id, nargs="+", help="the tokens' ids")
    parser.add_argument("--yes", action="store_true", help="do not ask before deleting several")
    parser.add_argument("--quiet", action="store_true", help="print ids only")
    _add_dry_run(parser)
    add_account(parser)
    add_network(parser)


def _delete(args: argparse.Namespace) -> int:
    ids = list(dict.fromkeys(args.ids))
    client = admin_client(args)
    if args.dry_run:
        for token_id in ids:
            parameters = [("format", "1"), ("id", token_id)]
            print_request(client, "appToken.delete", parameters, "table")
        return 0
    if len(ids) > 1 and not args.yes:
        confirm(
            f"Delete {len(ids)} tokens: {', '.join(ids)}?",
            "several tokens are to be deleted",
            "add --yes to delete them all",
        )
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


CREATE = Command(_add_create, _create)
LIST = Command(_add_list, _list)
GET = Command(_add_get, _get)
UPDATE = Command(_add_update, _update)
DELETE = Command(_add_delete, _delete)
