"""The subcommands `ks inspect`, `ks generate` and `ks end`. A KS is printed by `generate` alone; of
one that is given only what it says comes out.
"""

from __future__ import annotations

import argparse
import os
import re
import time
import urllib.parse

from kaltura_app_token import _native
from kaltura_app_token._version import PROGRAM
from kaltura_app_token.command import account
from kaltura_app_token.command import arguments as types
from kaltura_app_token.command.arguments import Command, Parser, read_secret, warn_of_argument
from kaltura_app_token.command.connect import lint
from kaltura_app_token.command.output.fields import print_request, to_json
from kaltura_app_token.command.output.run import confirm, note
from kaltura_app_token.command.output.text import expiry_in_words, iso_time, printable
from kaltura_app_token.command.sessions import add_duration
from kaltura_app_token.errors import ConfigError, InvalidSession, KalturaError, PermissionDenied

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kaltura_app_token.model import KsInfo, PrivilegeLint, SessionInfo

_FINDINGS = 6
_ENCRYPTED = 2
FORBIDDEN = "SERVICE_FORBIDDEN"
_DEFAULT_LIFE = 3600


def add_ks(parser: Parser) -> None:
    """Adds the argument that `given_ks` reads."""
    parser.add_argument(
        "session",
        metavar="KS",
        nargs="?",
        help="a KS, or a URL that holds one; better - for standard input (otherwise: KALTURA_KS)",
    )


def given_ks(args: argparse.Namespace) -> str:
    """The KS that the argument of `add_ks` stands for; said where nobody sees it on the command
    line.

    Raises:
        ConfigError: There is none.
    """
    if args.session == "-":
        return find_ks(read_secret("KS", "-"))
    if args.session is not None:
        warn_of_argument(PROGRAM, "the KS", "- and give it on standard input, or KALTURA_KS")
        return find_ks(args.session)
    found = ks_of_environment()
    if found is None:
        raise ConfigError(
            "no KS is given", hint="give - and the KS on standard input, or set KALTURA_KS"
        )
    ks, place = found
    note(f"{PROGRAM}: note: the KS is that of {place}")
    return find_ks(ks)


def ks_of_environment() -> tuple[str, str] | None:
    """The KS of the environment as it stands there, and the variable that it stands in."""
    value = _native.Settings.from_env().ks
    if value is None:
        return None
    as_it_stands = os.environ.get("KALTURA_KS", "")
    if as_it_stands.strip():
        return as_it_stands, "KALTURA_KS"
    named = os.environ.get("KALTURA_KS_FILE")
    return value.reveal(), "KALTURA_KS_FILE" if named else "the environment"


_IN_URL = re.compile(r"(?:^|[?&;#\[])ks\]?=([^&#;\s]+)|/ks/([^/?#\s]+)")


def find_ks(text: str) -> str:
    """The KS in a URL (`ks=...`, `.../ks/...`); a text that is no URL is taken to be one itself.

    >>> find_ks("https://example.com/p/1/ks/abc%3D%3D/x"), find_ks("?a=1&ks=abc"), find_ks("abc")
    ('abc==', 'abc', 'abc')
    """
    text = text.strip()
    found = _IN_URL.search(text)
    if found:
        return urllib.parse.unquote(found[1] or found[2])
    if "://" in text:
        raise ConfigError("the URL holds no KS", hint="it would be after ks= or /ks/")
    return text


def _add_inspect(parser: Parser) -> None:
    parser.epilog = (
        "Without the admin secret a KS of version 2 tells its account alone. The exit code is 6\n"
        "when the account's secret did not sign it, 3 when the server refuses it."
    )
    add_ks(parser)
    parser.add_argument(
        "--online", action="store_true", help="ask the server too (session.get), with the KS itself"
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    account.add_account(parser)
    account.add_network(parser)


def _inspect(args: argparse.Namespace) -> int:
    found = account.places(args)
    ks = given_ks(args)
    info, verified, remark = _read(ks, found)
    fields = _fields(info) | {"version": info.version, "verified": verified}
    online: dict[str, Any] | None = None
    refusal = None
    if args.online:
        online, refusal = _ask_server(args, found, ks, info)
    warnings = _warnings((online or {}).get("privileges") or info.privileges)
    if args.format == "json":
        told = fields | ({"online": online} if args.online else {})
        print(to_json(told | {"warnings": warnings}))
    else:
        print(f"version: {info.version}")
        print(f"verified: {remark}")
        _print_fields(fields)
        if online is not None:
            print(f"accepted by the server: {'yes' if online['accepted'] else 'no'}")
            _print_fields(online, "  ")
        for warning in warnings:
            note(f"{PROGRAM}: warning: privilege {warning['privilege']}: {warning['message']}")
    if refusal is not None:
        raise refusal
    return _FINDINGS if verified is False else 0


def _ask_server(
    args: argparse.Namespace, found: list[account.Place], ks: str, info: KsInfo
) -> tuple[dict[str, Any], KalturaError | None]:
    """Whether the server accepts the session and what it reads in it, or the refusal.

    It is asked with the session itself: asked with another, it reads ended ones as well.
    """
    settings, _ = _settings_for(found, info)
    own = _native.Settings(partner_id=settings.partner_id, ks=ks, service_url=settings.service_url)
    try:
        return {"accepted": True} | _fields(account.connect(args, own).session_info()), None
    except PermissionDenied as error:
        if error.code != FORBIDDEN:
            return {"accepted": False}, error
    except InvalidSession as error:
        return {"accepted": False}, error
    # It is good, but no ADMIN session: only such a one may ask what the server reads.
    try:
        admin = _native.Settings.resolve([place.settings for place in found], "admin")
    except ConfigError:
        return {"accepted": True}, None
    client = account.connect(args, account.without_session(admin))
    try:
        return {"accepted": True} | _fields(client.session_info(ks)), None
    except KalturaError as error:
        return {"accepted": True}, error


def _settings_for(found: list[account.Place], info: KsInfo) -> tuple[_native.Settings, str]:
    """The account whose session this is, and where that is said; without one, the session itself
    says whose it is.

    Raises:
        ConfigError: The account is another one, whose server has no business with the session.
    """
    if not any(place.settings.names_account() for place in found):
        of_itself = _native.Settings(partner_id=info.partner_id)
        found = [*found, account.Place("the session", of_itself, [])]
    settings = account.resolve(found, "exchange")
    if info.partner_id is not None and settings.partner_id != info.partner_id:
        raise ConfigError(
            f"the session is of partner {info.partner_id}, the account is {settings.partner_id}",
            hint="name the session's account and server: --partner-id and --service-url",
        )
    place = account.account_place(found, settings)
    return settings, place.name if place else "several places"


def _read(ks: str, found: list[account.Place]) -> tuple[KsInfo, bool | None, str]:
    """What can be told of a KS here, whether it is genuine if that can be told, and why."""
    info = _native.describe_ks(ks)
    holder = next((place for place in found if place.settings.admin_secret is not None), None)
    if holder is None or holder.settings.admin_secret is None:
        more = ", nor the rest, which is encrypted" if info.version == _ENCRYPTED else ""
        return info, None, f"cannot be told without the admin secret{more}"
    partner_id = holder.settings.partner_id
    if None not in (partner_id, info.partner_id) and partner_id != info.partner_id:
        remark = f"cannot be told: the secret of {holder.name} is that of partner {partner_id}"
        return info, None, remark
    try:
        opened = _native.open_ks(ks, holder.settings.admin_secret)
    except ConfigError:
        remark = f"no: the secret of {holder.name} did not sign it, or it was changed since"
        return info, False, remark
    return opened, True, f"yes, signed with the secret of {holder.name}"


def _fields(info: KsInfo | SessionInfo) -> dict[str, Any]:
    """What is known of a session under the API's names."""
    expiry = info.expiry
    token_id = _token_of(info.privileges)
    return {
        "partnerId": info.partner_id,
        "sessionType": info.session_type,
        "userId": info.user_id,
        "expiry": expiry,
        "expiresAt": iso_time(expiry),
        "expired": None if expiry is None else expiry <= time.time(),
        "privileges": info.privileges,
        "appTokenId": token_id,
    }


def _print_fields(fields: dict[str, Any], indent: str = "") -> None:
    for name in ("partnerId", "sessionType", "userId", "expiry", "privileges", "appTokenId"):
        value = fields.get(name)
        if value in (None, ""):
            continue
        if name == "sessionType":
            value = {0: "USER", 2: "ADMIN"}.get(value, value)
        elif name == "expiry":
            value = f"{value} ({fields['expiresAt']}, {expiry_in_words(value, time.time())})"
        print(f"{indent}{name}: {printable(str(value))}")


def _token_of(privileges: str | None) -> str | None:
    """The id of the token that a session was started from."""
    for item in (privileges or "").split(","):
        if item.startswith("apptoken:"):
            return item.removeprefix("apptoken:")
    return None


def _warnings(privileges: str | None) -> list[dict[str, str]]:
    return [
        {"rule": found.rule, "privilege": found.privilege, "message": found.message}
        for found in lints(privileges)
    ]


def lints(privileges: str | None) -> tuple[PrivilegeLint, ...]:
    """What will not work of a session's privileges, but for those that the exchange itself adds."""
    token_id = _token_of(privileges)
    added = (f"sessionid:{token_id}", f"apptoken:{token_id}")
    items = [item for item in (privileges or "").split(",") if item and item not in added]
    return _native.lint_privileges(",".join(items)) if items else ()


def _version(text: str) -> int:
    number = {"1": 1, "v1": 1, "2": 2, "v2": 2}.get(text.lower())
    if number is None:
        raise argparse.ArgumentTypeError("neither 1 nor 2")
    return number


def _add_generate(parser: Parser) -> None:
    group = parser.add_argument_group("the session")
    group.add_argument(
        "--version", metavar="1|2", type=_version, default=2, help="of the form (default: 2)"
    )
    group.add_argument(
        "--type",
        type=types.upper,
        choices=("USER", "ADMIN"),
        default="USER",
        help="default: USER",
    )
    group.add_argument("--user", metavar="ID", help="its user")
    add_duration(group, "its life: 3600, 30m, 12h (default: 1h)", default=_DEFAULT_LIFE)
    group.add_argument("--privileges", metavar="TEXT", default="", help="as sview:*,list:*")
    group = parser.add_argument_group("output")
    group.add_argument(
        "--format", choices=("text", "json"), default="text", help="text is the KS alone"
    )
    account.add_account(parser, session=False)


def _generate(args: argparse.Namespace) -> int:
    settings = account.resolve(account.places(args), "admin")
    if settings.admin_secret is None or settings.partner_id is None:
        raise ConfigError(
            "the admin secret is missing: a KS is signed with it",
            hint="put it into a file for --admin-secret-file, or into KALTURA_ADMIN_SECRET",
        )
    lint(args.privileges, PROGRAM)
    ks = _native.sign_ks(
        settings.admin_secret,
        partner_id=settings.partner_id,
        duration=args.duration,
        session_type=args.type,
        user_id=args.user,
        privileges=args.privileges,
        version=args.version,
    )
    if args.format == "json":
        told = _fields(_native.open_ks(ks, settings.admin_secret))
        print(to_json({"ks": ks.reveal(), "version": args.version} | told))
    else:
        print(ks.reveal())
    return 0


def _add_end(parser: Parser) -> None:
    parser.epilog = (
        "Ending a session that was started from a token ends every session of that token,\n"
        "later ones too: delete the token, or wait for the session to expire, in place of it."
    )
    add_ks(parser)
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print the request, secrets masked, in place of sending it",
    )
    account.add_account(parser, secret=False, session=False)
    account.add_network(parser)


def _end(args: argparse.Namespace) -> int:
    found = account.places(args)
    ks = given_ks(args)
    info, _, _ = _read(ks, found)
    settings, place = _settings_for(found, info)
    client = account.connect(args, settings)
    note(f"{PROGRAM}: account {client.partner_id} at {client.service_url} (from {place})")
    if args.dry_run:
        print_request(client, "session.end", [("format", "1")], "table")
        return 0
    note(f"{PROGRAM}: warning: {_what_ends(info)}")
    if not args.yes:
        confirm("End it?", "a session is to be ended", "add --yes to end it")
    client.end_session(ks)
    print("ended")
    return 0


def _what_ends(info: KsInfo) -> str:
    token_id = _token_of(info.privileges)
    if token_id is not None:
        return (
            f"the session was started from token {token_id}: ending it ends every session of that "
            "token, those started later too"
        )
    if info.privileges is not None:
        return "whoever uses this session is logged out"
    return (
        "if the session was started from a token, ending it ends every session of that token, "
        "those started later too"
    )


INSPECT = Command(_add_inspect, _inspect)
GENERATE = Command(_add_generate, _generate)
END = Command(_add_end, _end)
