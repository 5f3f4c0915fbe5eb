"""The subcommands `ensure`, `audit` and `revoke`: an account's tokens are kept few and in order. A
value comes out where `ensure` creates a token, or is asked for; judging is the native half's.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import sys

from kaltura_app_token import _native
from kaltura_app_token._version import PROGRAM
from kaltura_app_token.command import arguments as types
from kaltura_app_token.command import token_file, tokens
from kaltura_app_token.command.account import (
    HASH_TYPES,
    add_account,
    add_network,
    admin_client,
    same_account,
)
from kaltura_app_token.command.arguments import Command, Parser
from kaltura_app_token.command.connect import lint
from kaltura_app_token.command.output.fields import (
    print_documents,
    print_token,
    print_tokens,
    token_fields,
)
from kaltura_app_token.command.output.run import confirm, fail, note
from kaltura_app_token.command.output.table import display_width, table, terminal_width
from kaltura_app_token.command.output.text import printable
from kaltura_app_token.command.told import Account, distinct
from kaltura_app_token.errors import ConfigError, exit_code

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from kaltura_app_token.command.creation import Creation
    from kaltura_app_token.model import Ensured

_FINDINGS = 6
_NOT_FOUND = 3
"""The exit code of the API's own answer about an unknown id."""


def _instant(text: str) -> int:
    if text.startswith("+"):
        raise argparse.ArgumentTypeError(
            "a time from now is another one at each call, and the token would not be found again: "
            "give 2030-01-31T12:00:00Z or unix seconds"
        )
    return types.future(text)


def _add_ensure(parser: Parser) -> None:
    parser.epilog = (
        "The oldest token with this description, this user and exactly these properties is\n"
        "taken; a session duration that is not given matches any. The server has no lock: two\n"
        "calls at the same moment can both create a token. Both then settle on the older one\n"
        "and name the other."
    )
    tokens.add_fields(
        parser,
        new=True,
        needs_description=True,
        instant=_instant,
        instants="2030-01-31T12:00:00Z or unix seconds",
    )
    token_file.add_file(parser)
    tokens.add_output(parser, secrets=True)
    add_account(parser)
    add_network(parser)


def _ensure(args: argparse.Namespace) -> int:
    fields = tokens.asked_fields(args)
    if fields.get("session_type") == "UNSET":
        fields["session_type"] = None
    path = token_file.path_of(args)
    client = admin_client(args)
    lint(fields.get("session_privileges"), PROGRAM)
    creation = tokens.creation(args, client, fields)
    if path is None:
        ensured = creation.make(lambda: _native.ensure(client, **fields))
    else:
        ensured = _ensure_in_file(args, client, path, creation, fields)
    token = ensured.token
    note(f"{PROGRAM}: {'created' if ensured.created else 'found'} {token.id}")
    if ensured.duplicates:
        delete = [PROGRAM, "delete", *ensured.duplicates, *same_account(args)]
        fail(
            f"{PROGRAM}: warning: others are just like it: {', '.join(ensured.duplicates)}",
            f"if nobody uses them: {shlex.join(delete)}",
        )
    if args.quiet:
        print(token.id)
        return 0
    if args.show_secrets and not ensured.created:
        token = client.get_token(token.id)
    in_the_open = ensured.created and path is None
    shown = token_fields(token, show_secrets=in_the_open or args.show_secrets)
    if args.format != "table":
        shown["created"] = ensured.created
    print_token(shown, args.format)
    return 0


def _ensure_in_file(
    args: argparse.Namespace,
    client: _native.Client,
    path: str,
    creation: Creation,
    fields: dict[str, Any],
) -> Ensured:
    """The token, its value in the file; one that holds this very token already stays as it is.

    Raises:
        ConfigError: The file holds something else.
        OSError: It could not be written although a token was created, or holds another one.
    """
    held = None if args.force else token_file.held(path)
    if held is not None:
        known = token_file.is_there(client, held)
        if known is None:
            held = None
        elif known.description != args.description:
            raise token_file.still_needed(path, held)
    with token_file.Reserved(path, replaces=args.force or os.path.exists(path)) as place:
        ensured = creation.make(lambda: _native.ensure(client, **fields))
        token = ensured.token
        if held is not None and held.lower() != token.id.lower():
            refusal = token_file.still_needed(path, held)
            if ensured.created:
                raise OSError(None, refusal.message)
            raise refusal
        if not ensured.created:
            token = client.get_token(token.id)
        place.write(token)
    return ensured


_SEVERITIES = ("low", "medium", "high")


def _add_audit(parser: Parser) -> None:
    parser.epilog = (
        f"The exit code is {_FINDINGS} when something is found. In the commands that fix it,\n"
        "words in capitals are to be filled in. Duplicates are looked for among the tokens\n"
        "that pass the filters."
    )
    group = parser.add_argument_group("which tokens")
    group.add_argument(
        "--id",
        metavar="ID",
        type=types.token_id,
        action="append",
        help="can be given several times",
    )
    for word, when in (("after", "then or later"), ("before", "then or earlier")):
        group.add_argument(
            f"--created-{word}",
            metavar="TIME",
            type=types.past,
            help=f"created {when}: 2024-01-31T12:00:00Z, unix seconds, or 7d (ago)",
        )
    group.add_argument("--user", metavar="ID", help="whose sessions have this user")
    group.add_argument("--hash-type", type=types.upper, choices=HASH_TYPES)
    group.add_argument("--session-type", type=types.upper, choices=("USER", "ADMIN"))
    parser.add_argument(
        "--min-severity",
        choices=_SEVERITIES,
        default="low",
        help="leave out what matters less (default: low)",
    )
    tokens.add_output(parser, secrets=False)
    add_account(parser)
    add_network(parser)


def _audit(args: argparse.Namespace) -> int:
    audit = _native.audit(
        admin_client(args),
        id_in=args.id,
        created_at_greater_than_or_equal=args.created_after,
        created_at_less_than_or_equal=args.created_before,
        session_user_id_equal=args.user,
        hash_type_equal=args.hash_type,
        session_type_equal=args.session_type,
    )
    worth_it = _SEVERITIES[_SEVERITIES.index(args.min_severity) :]
    found: list[dict[str, Any]] = [
        {
            "severity": finding.severity,
            "id": finding.token_id,
            "rule": finding.rule,
            "reason": finding.reason,
            "fix": [*finding.fix, *same_account(args)],
        }
        for finding in audit.findings
        if finding.severity in worth_it
    ]
    note(f"{PROGRAM}: {_count(audit.tokens, 'token')}, {_count(len(found), 'finding')}")
    if args.quiet:
        for token_id in dict.fromkeys(row["id"] for row in found):
            print(token_id)
    elif args.format in ("json", "jsonl"):
        print_documents(found, args.format)
    else:
        rows: list[dict[str, Any]] = [row | {"fix": shlex.join(row["fix"])} for row in found]
        if args.format == "csv":
            print_documents(rows, args.format)
        else:
            for line in _findings(rows, terminal_width()):
                print(line)
    return _FINDINGS if found else 0


def _findings(rows: list[dict[str, Any]], width: int | None) -> Iterator[str]:
    """The findings as a table; where it does not fit, as paragraphs, whose commands stay whole."""
    if not rows:
        return
    lines = list(
        table([name.upper() for name in rows[0]], [list(row.values()) for row in rows], None)
    )
    if width is None or max(map(display_width, lines)) <= width:
        yield from lines
        return
    for row in rows:
        yield printable(f"{row['severity']}: {row['id']}: {row['rule']}")
        yield printable(f"  {row['reason']}")
        yield printable(f"  {row['fix']}")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _add_revoke(parser: Parser) -> None:
    parser.epilog = "The sessions that were started from a token end with it."
    parser.add_argument("ids", metavar="ID", type=types.token_id, nargs="*", help="the tokens' ids")
    group = parser.add_argument_group("a filter in place of ids: all that is given must hold")
    group.add_argument(
        "--created-before",
        metavar="TIME",
        type=types.past,
        help="created before then: 2024-01-31T12:00:00Z, unix seconds, or 90d (ago)",
    )
    group.add_argument(
        "--description", metavar="TEXT", type=tokens.some, help="with exactly this description"
    )
    group.add_argument(
        "--user", metavar="ID", type=tokens.some, help="whose sessions have this user"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument(
        "--dry-run", action="store_true", help="print the tokens, and revoke none of them"
    )
    tokens.add_output(parser, secrets=False)
    add_account(parser)
    add_network(parser)


_AT_ONCE = 20


def _revoke(args: argparse.Namespace) -> int:
    filters = {
        "created_before": args.created_before,
        "description": args.description,
        "user_id": args.user,
    }
    filtered = any(value is not None for value in filters.values())
    if bool(args.ids) == filtered:
        raise ConfigError(
            "give either ids or a filter",
            hint="the filter is made of --created-before, --description and --user",
        )
    ids = distinct(args.ids)
    account = Account(args)
    client = account.client
    plan = _native.plan_revocation(client, ids=ids or None, **filters)
    code = 0
    if plan.missing:
        code = _NOT_FOUND
        for token_id in plan.missing:
            fail(f"{PROGRAM}: error: {token_id} was not revoked: the account has no such token")
    ids = [token.id for token in plan.tokens]
    rows = (token_fields(token, show_secrets=False) for token in plan.tokens)
    if not ids:
        note(f"{PROGRAM}: there is no token to revoke")
    if args.dry_run:
        if args.quiet:
            for token_id in ids:
                print(token_id)
        else:
            print_tokens(rows, args.format)
        return code
    if ids:
        with contextlib.redirect_stdout(sys.stderr):
            print_tokens(rows, "table")
        if not args.yes:
            confirm(
                f"Revoke {_count(len(ids), 'token')}?",
                f"{_count(len(ids), 'token')} would be revoked",
                "add --yes to revoke without a question, or --dry-run to see what would be",
            )
        account.tell()
    with tokens.gone_report(args, "revoked") as report:
        for token_id in plan.missing:
            report.add({"id": token_id, "revoked": False, "error": "there is no such token"})
        for at in range(0, len(ids), _AT_ONCE):
            some = ids[at : at + _AT_ONCE]
            try:
                revoked = _native.revoke(client, some)
            except KeyboardInterrupt:
                note(f"{PROGRAM}: interrupted: {', '.join(some)} may be revoked")
                raise
            for token_id, error in revoked.items():
                why = None if error is None else error.message
                if error is not None:
                    fail(f"{PROGRAM}: error: {token_id} was not revoked: {why}", error.hint)
                    code = code or exit_code(error)
                report.add({"id": token_id, "revoked": error is None, "error": why})
    return code


ENSURE = Command(_add_ensure, _ensure)
AUDIT = Command(_add_audit, _audit)
REVOKE = Command(_add_revoke, _revoke)
