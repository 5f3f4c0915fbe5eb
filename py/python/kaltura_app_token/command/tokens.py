"""The subcommands `create`, `get`, `list`, `update` and `delete`: an account's tokens. Values come
out where a token is created, or asked for; --dry-run prints the request in place of sending it.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from contextlib import nullcontext

from kaltura_app_token import _native
from kaltura_app_token._version import PROGRAM
from kaltura_app_token.command import arguments as types
from kaltura_app_token.command import token_file
from kaltura_app_token.command.account import HASH_TYPES, add_account, add_network, admin_client
from kaltura_app_token.command.arguments import Command, Parser
from kaltura_app_token.command.connect import exchange, lint, warn_of_dropped
from kaltura_app_token.command.creation import Creation
from kaltura_app_token.command.output.fields import (
    Report,
    TokenReport,
    print_request,
    print_requests,
    print_token,
    print_tokens,
    session_fields,
    token_fields,
)
from kaltura_app_token.command.output.progress import with_progress
from kaltura_app_token.command.output.run import confirm, note
from kaltura_app_token.command.told import Account, distinct, each
from kaltura_app_token.errors import ConfigError, KalturaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from kaltura_app_token.command.output.fields import Fields
    from kaltura_app_token.model import AppToken


FORMATS = ("table", "csv", "json", "jsonl")


def add_output(parser: Parser, *, secrets: bool) -> None:
    group = parser.add_argument_group("output")
    either = group.add_mutually_exclusive_group()
    either.add_argument("--format", choices=FORMATS, default="table", help="default: table")
    either.add_argument("--quiet", action="store_true", help="print ids only")
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


def add_fields(
    parser: Parser,
    *,
    new: bool,
    needs_description: bool = False,
    instant: Callable[[str], int] = types.future,
    instants: str = "2030-01-31T12:00:00Z, unix seconds, or +30d",
) -> None:
    hash_type, session_type = ("default: SHA256", "default: USER; ") if new else ("", "")
    group = parser.add_argument_group("the token")
    found = ", by which it is found again" if needs_description else ""
    group.add_argument(
        "--description",
        metavar="TEXT",
        required=needs_description,
        help=f"what it is for{found}",
    )
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
        type=instant,
        help=f"when the token stops working: {instants}",
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
    from kaltura_app_token.command.account import same_account

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
    token_file.add_file(parser)
    add_output(parser, secrets=False)
    add_account(parser)
    add_network(parser)


def _create(args: argparse.Namespace) -> int:
    fields = asked_fields(args)
    if fields.get("session_type") == "UNSET":
        fields["session_type"] = None
    path = token_file.path_of(args)
    client = admin_client(args)
    lint(fields.get("session_privileges"), PROGRAM)
    if args.dry_run:
        print_request(client, "appToken.add", client.preview_add(**fields), args.format)
        return 0
    creating = creation(args, client, fields)
    place = None if path is None else token_file.Reserved(path, replaces=args.force)
    with place or nullcontext():
        token = creating.make(lambda: client.add_token(**fields))
        if place is not None:
            place.write(token)
    in_the_open = path is None
    if not args.start_session:
        _print_token(args, token, show_secrets=in_the_open)
        return 0
    try:
        session = exchange(client, token)
    except KalturaError:
        # The token is there all the same, and nobody could tell its value later.
        _print_token(args, token, show_secrets=in_the_open)
        raise
    warn_of_dropped(session, PROGRAM)
    if args.quiet:
        print(token.id)
    else:
        print_token(
            token_fields(token, show_secrets=in_the_open),
            args.format,
            session=session_fields(session),
        )
    return 0


def _add_get(parser: Parser) -> None:
    parser.add_argument("ids", metavar="ID", type=types.token_id, nargs="+", help="the tokens' ids")
    add_output(parser, secrets=True)
    add_account(parser)
    add_network(parser)


def _get(args: argparse.Namespace) -> int:
    ids = distinct(args.ids)
    client = admin_client(args)

    def read(token_id: str) -> AppToken:
        return client.get_token(token_id, response_profile=_without_value(args))

    if len(ids) == 1:
        _print_token(args, read(ids[0]), show_secrets=args.show_secrets)
        return 0
    return _each_token(args, ids, read, "is not shown")


def _each_token(
    args: argparse.Namespace,
    ids: list[str],
    do: Callable[[str], AppToken],
    not_done: str,
    maybe: str = "",
) -> int:
    """Does it for several tokens and prints each as it then is."""
    with TokenReport(args.format if not args.quiet else "none") as report:

        def do_and_print(token_id: str) -> None:
            token = do(token_id)
            if args.quiet:
                print(token.id, flush=True)
            report.add(token_fields(token, show_secrets=args.show_secrets))

        return each(ids, do_and_print, not_done, maybe)


def _without_value(args: argparse.Namespace) -> _native.ResponseProfile | None:
    """What is not going to be shown need not leave the server."""
    return None if args.show_secrets else _native.ResponseProfile.exclude("token")


_STATUSES = {"DISABLED": 1, "ACTIVE": 2, "DELETED": 3}


def some(text: str) -> str:
    """A text to look for, which an empty one is not: such as a script's variable that was never
    set.
    """
    if not text.strip():
        raise argparse.ArgumentTypeError("is empty")
    return text


def _add_list(parser: Parser) -> None:
    group = parser.add_argument_group("which tokens")
    group.add_argument(
        "--description",
        metavar="TEXT",
        type=some,
        help="whose description holds this text, in capitals or not",
    )
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
    group = parser.add_argument_group("order (otherwise: oldest first, as they come)")
    group.add_argument("--limit", metavar="NUMBER", type=types.whole_number, help="so many at most")
    either = group.add_mutually_exclusive_group()
    either.add_argument(
        "--newest-first", action="store_true", help="the same as --order-by=-createdAt"
    )
    either.add_argument(
        "--order-by",
        metavar="FIELD",
        choices=tuple(_ORDERS),
        help=f"{', '.join(_ORDERS)}, as --order-by=...",
    )
    group = parser.add_argument_group("one page in place of all tokens")
    group.add_argument("--page-size", metavar="NUMBER", type=types.count, help="1 to 500")
    group.add_argument("--page-index", metavar="NUMBER", type=types.count, help="from 1")
    add_output(parser, secrets=True)
    add_account(parser)
    add_network(parser)


_ORDERS = {
    "+createdAt": ("created_at", False),
    "-createdAt": ("created_at", True),
    "+updatedAt": ("updated_at", False),
    "-updatedAt": ("updated_at", True),
}
_STREAMED = ("csv", "jsonl")
_LARGEST_PAGE = 500


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
    if args.newest_first:
        args.order_by = "-createdAt"
    one_page = args.page_size is not None or args.page_index is not None
    if one_page:
        for option in ("description", "limit"):
            if getattr(args, option) is not None:
                raise ConfigError(
                    f"--{option} is for all tokens, and --page-size and --page-index give one page",
                    hint="give one of the two",
                )
    client = admin_client(args)
    if one_page:
        index = 1 if args.page_index is None else args.page_index
        page = client.list_tokens(
            page_size=_LARGEST_PAGE if args.page_size is None else args.page_size,
            page_index=index,
            order_by=args.order_by,
            with_secrets=args.show_secrets,
            **filters,
        )
        tokens: Iterator[AppToken] = iter(page.tokens)
        note(f"page {index}: {len(page.tokens)} of {page.total_count} tokens")
    else:
        tokens = _all_tokens(args, client, filters)
    count = 0

    def counted() -> Iterator[AppToken]:
        nonlocal count
        for token in tokens:
            count += 1
            yield token

    if args.quiet:
        for token in counted():
            print(token.id)
    else:
        rows: Iterator[Fields] = (
            token_fields(token, show_secrets=args.show_secrets) for token in counted()
        )
        print_tokens(rows, args.format)
    if not count and not one_page and sys.stderr.isatty():
        asked = args.description or any(value is not None for value in filters.values())
        note(f"{PROGRAM}: {'no token is like that' if asked else 'the account has no token'}")
    return 0


def _all_tokens(
    args: argparse.Namespace, client: _native.Client, filters: dict[str, Any]
) -> Iterator[AppToken]:
    """The tokens in the order that is asked for. All of them exactly once come oldest first alone,
    so another order is made here of all of them.
    """
    from itertools import islice

    few = _first_page(args, client, filters)
    if few is not None:
        return iter(few)
    walk: Iterator[AppToken] = client.tokens(with_secrets=args.show_secrets, **filters)
    if args.description is not None:
        text = args.description.casefold()
        walk = (token for token in walk if text in (token.description or "").casefold())
    streamed = args.order_by is None and (args.quiet or args.format in _STREAMED)
    if args.order_by is None:
        return with_progress(islice(walk, args.limit), "tokens", streamed=streamed)
    field, descending = _ORDERS[args.order_by]
    found = list(with_progress(walk, "tokens", streamed=False))
    if descending:
        # Also among those of one second the later ones are first.
        found.reverse()
    found.sort(key=lambda token: getattr(token, field) or 0, reverse=descending)
    return islice(iter(found), args.limit)


def _first_page(
    args: argparse.Namespace, client: _native.Client, filters: dict[str, Any]
) -> tuple[AppToken, ...] | None:
    """The first tokens in the order that is asked for, by one request, where that tells them."""
    if args.order_by is None or args.limit is None or args.limit > _LARGEST_PAGE:
        return None
    # These are looked for here, or asked for in portions.
    if any(
        given is not None
        for given in (args.description, args.hash_type, args.session_type, args.id)
    ):
        return None
    page = client.list_tokens(
        page_size=args.limit, order_by=args.order_by, with_secrets=args.show_secrets, **filters
    )
    # Some servers put less on a page than they are asked for.
    is_full = len(page.tokens) >= min(args.limit, page.total_count)
    return page.tokens if is_full else None


_CLEARABLE = {
    "sessionType": "session_type",
    "sessionDuration": "session_duration",
    "sessionPrivileges": "session_privileges",
    "sessionUserId": "session_user_id",
    "description": "description",
    "expiry": "expiry",
}


def _add_update(parser: Parser) -> None:
    parser.add_argument("ids", metavar="ID", type=types.token_id, nargs="+", help="the tokens' ids")
    parser.add_argument("--yes", action="store_true", help="do not ask before changing several")
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
    ids = distinct(args.ids)
    account = Account(args)
    client = account.client
    lint(fields.get("session_privileges"), PROGRAM)
    # What cannot be sent is refused before the first of them is changed.
    requests = [
        ("appToken.update", client.preview_update(token_id, clear=clear, **fields))
        for token_id in ids
    ]
    if args.dry_run:
        print_requests(client, requests, args.format)
        return 0
    if len(ids) > 1 and not args.yes:
        confirm(
            f"Change {len(ids)} tokens: {', '.join(ids)}?",
            "several tokens are to be changed",
            "add --yes to change them all",
        )
    account.tell()

    def update(token_id: str) -> AppToken:
        token = client.update_token(
            token_id, clear=clear, response_profile=_without_value(args), **fields
        )
        if "hash_type" in fields:
            note(
                f"{PROGRAM}: note: from now on the token is exchanged with {args.hash_type}: "
                f"{token.id}"
            )
        return token

    if len(ids) > 1:
        return _each_token(args, ids, update, "was not changed", "may be changed")
    _print_token(args, update(ids[0]), show_secrets=args.show_secrets)
    return 0


def _add_delete(parser: Parser) -> None:
    parser.add_argument("ids", metavar="ID", type=types.token_id, nargs="+", help="the tokens' ids")
    parser.add_argument("--yes", action="store_true", help="do not ask before deleting several")
    add_output(parser, secrets=False)
    _add_dry_run(parser)
    add_account(parser)
    add_network(parser)


def _delete(args: argparse.Namespace) -> int:
    ids = distinct(args.ids)
    account = Account(args)
    client = account.client
    if args.dry_run:
        requests = [("appToken.delete", [("format", "1"), ("id", token_id)]) for token_id in ids]
        print_requests(client, requests, args.format)
        return 0
    if len(ids) > 1 and not args.yes:
        confirm(
            f"Delete {len(ids)} tokens: {', '.join(ids)}?",
            "several tokens are to be deleted",
            "add --yes to delete them all",
        )
    account.tell()
    with gone_report(args, "deleted") as report:

        def delete(token_id: str) -> None:
            try:
                client.delete_token(token_id)
            except KalturaError as error:
                report.add({"id": token_id, "deleted": False, "error": error.message})
                raise
            report.add({"id": token_id, "deleted": True, "error": None})

        return each(ids, delete, "was not deleted", "may be deleted")


def gone_report(args: argparse.Namespace, word: str) -> Report:
    """A report of tokens that are gone: what is not is said on stderr, and in documents as well."""

    def lines(row: Fields) -> Iterator[str]:
        if row[word]:
            yield str(row["id"]) if args.quiet else f"{word}: {row['id']}"

    return Report(args.format, lines)


CREATE = Command(_add_create, _create)
LIST = Command(_add_list, _list)
GET = Command(_add_get, _get)
UPDATE = Command(_add_update, _update)
DELETE = Command(_add_delete, _delete)
