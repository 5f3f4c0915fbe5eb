"""The subcommands `ensure`, `audit` and `revoke`: an account's tokens are kept few and in order. A
value comes out where `ensure` creates a token, or is asked for; judging is the native half's.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import shlex
import sys

from kaltura_app_token import _native
from kaltura_app_token._version import PROGRAM
from kaltura_app_token.command import arguments as types
from kaltura_app_token.command import tokens
from kaltura_app_token.command.account import HASH_TYPES, add_account, add_network, admin_client
from kaltura_app_token.command.arguments import Command, Parser
from kaltura_app_token.command.connect import lint
from kaltura_app_token.command.output.fields import print_token, print_tokens, to_json, token_fields
from kaltura_app_token.command.output.run import confirm, fail, note
from kaltura_app_token.command.output.table import display_width, print_csv, table, terminal_width
from kaltura_app_token.command.output.text import printable
from kaltura_app_token.errors import ConfigError, exit_code

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_FINDINGS = 6
_NOT_FOUND = 3
"""The exit code of the API's own answer about an unknown id."""


def same_account(args: argparse.Namespace) -> list[str]:
    """The options that bring another command to the same account: all that were given, without what
    is secret in them.
    """
    names = (
        *("service_url", "partner_id", "admin_secret_file", "ks_file", "user_id", "profile"),
        *("config", "user_agent", "timeout", "max_retries", "proxy", "ca_file"),
    )
    given = {name: getattr(args, name) for name in names}
    if args.proxy is not None:
        # A name and a password in front of the host are left out.
        given["proxy"] = re.sub(r"^([\w+.-]+://)?.*@", r"\1", args.proxy, flags=re.DOTALL)
    if args.admin_session != "signed":
        given["admin_session"] = args.admin_session
    words = [
        f"--{name.replace('_', '-')}={value}" for name, value in given.items() if value is not None
    ]
    return [*words, "--allow-http"] if args.allow_http else words


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
    tokens.add_fields(parser, new=True)
    for action in parser._actions:
        if action.dest == "description":
            action.required = True
            action.help = "what it is for, by which it is found again"
        elif action.dest == "expiry":
            action.type = _instant
            action.help = "when it stops working: 2030-01-31T12:00:00Z or unix seconds"
    tokens.add_output(parser, secrets=True)
    add_account(parser)
    add_network(parser)


def _ensure(args: argparse.Namespace) -> int:
    fields = tokens.asked_fields(args)
    if fields.get("session_type") == "UNSET":
        fields["session_type"] = None
    client = admin_client(args)
    lint(fields.get("session_privileges"), PROGRAM)
    creation = tokens.creation(args, client, fields)
    ensured = creation.make(lambda: _native.ensure(client, **fields))
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
    shown = token_fields(token, show_secrets=ensured.created or args.show_secrets)
    if args.format in ("json", "jsonl"):
        shown["created"] = ensured.created
    print_token(shown, args.format)
    return 0


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
    found = [
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
    elif args.format == "json":
        print(to_json(found))
    elif args.format == "jsonl":
        for row in found:
            print(to_json(row, indent=None))
    else:
        rows = [row | {"fix": shlex.join(row["fix"])} for row in found]
        if args.format == "csv":
            print_csv(rows)
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


def _some(text: str) -> str:
    if not text.strip():
        # A script's variable that was never set is no wish to revoke all tokens without one.
        raise argparse.ArgumentTypeError("is empty")
    return text


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
        "--description", metavar="TEXT", type=_some, help="with exactly this description"
    )
    group.add_argument("--user", metavar="ID", type=_some, help="whose sessions have this user")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument(
        "--dry-run", action="store_true", help="print the tokens, and revoke none of them"
    )
    parser.add_argument("--quiet", action="store_true", help="print ids only")
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
    client = admin_client(args)
    plan = _native.plan_revocation(client, ids=args.ids or None, **filters)
    for token_id in plan.missing:
        fail(f"{PROGRAM}: error: {token_id} was not revoked: the account has no such token")
    code = _NOT_FOUND if plan.missing else 0
    ids = [token.id for token in plan.tokens]
    if not ids:
        note(f"{PROGRAM}: there is no token to revoke")
        return code
    if args.dry_run and args.quiet:
        print(*ids, sep="\n")
        return code
    with contextlib.redirect_stdout(sys.stdout if args.dry_run else sys.stderr):
        print_tokens((token_fields(token, show_secrets=False) for token in plan.tokens), "table")
    if args.dry_run:
        return code
    if not args.yes:
        confirm(
            f"Revoke {_count(len(ids), 'token')}?",
            f"{_count(len(ids), 'token')} would be revoked",
            "add --yes to revoke without a question, or --dry-run to see what would be",
        )
    for at in range(0, len(ids), _AT_ONCE):
        for token_id, error in _native.revoke(client, ids[at : at + _AT_ONCE]).items():
            if error is None:
                print(token_id if args.quiet else f"revoked: {printable(token_id)}", flush=True)
            else:
                fail(f"{PROGRAM}: error: {token_id} was not revoked: {error.message}", error.hint)
                code = code or exit_code(error)
    return code


ENSURE = Command(_add_ensure, _ensure)
AUDIT = Command(_add_audit, _audit)
REVOKE = Command(_add_revoke, _revoke)
