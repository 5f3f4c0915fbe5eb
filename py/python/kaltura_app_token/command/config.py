"""The subcommands `config ...`: which settings are in effect and where each comes from, and the
profiles of the file of the user's own. Secrets are masked, nothing is sent, and what is missing is
no error; what contradicts itself is one, as it is for every other command.
"""

from __future__ import annotations

from kaltura_app_token import _native
from kaltura_app_token._version import PROGRAM
from kaltura_app_token.command import account
from kaltura_app_token.command import arguments as types
from kaltura_app_token.command.account import Place
from kaltura_app_token.command.arguments import Command, Parser, looks_like_secret, read_secret
from kaltura_app_token.command.output.fields import MASK, to_json
from kaltura_app_token.command.output.run import note
from kaltura_app_token.command.output.table import print_csv, table, terminal_width
from kaltura_app_token.command.output.text import printable
from kaltura_app_token.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

_ACCOUNT = {
    "partnerId": "partner_id",
    "adminSecret": "admin_secret",
    "ks": "ks",
    "serviceUrl": "service_url",
}
_TOKEN = {"appTokenId": "app_token_id", "appToken": "app_token"}
_OTHERS = {
    "userId": "user_id",
    "sessionExpiry": "admin_session_duration",
    "adminPrivileges": "admin_privileges",
}


def _add_format(parser: Parser) -> None:
    parser.add_argument(
        "--format",
        choices=("table", "csv", "json", "jsonl"),
        default="table",
        help="default: table",
    )


def _add_show(parser: Parser) -> None:
    _add_format(parser)
    account.add_account(parser)


def _show(args: argparse.Namespace) -> int:
    found = account.places(args)
    rows: list[dict[str, object]] = [
        {"setting": setting, "value": value, "source": source}
        for setting, (value, source) in effective(found).items()
    ]
    settings = _native.Settings.resolve([place.settings for place in found], "show")
    chosen = account.account_place(found, settings)
    for warning in chosen.warnings if chosen else ():
        note(f"{PROGRAM}: warning: {warning}")
    for place in account.unused_places(found, settings):
        note(f"{PROGRAM}: note: the account in {place.name} is not used")
    _print(rows, "setting", args.format)
    return 0


def _print(rows: list[dict[str, object]], key: str, form: str) -> None:
    """Prints rows, as JSON by what stands under `key`."""
    if form == "json":
        print(to_json({str(row.pop(key)): row for row in rows}))
    elif form == "jsonl":
        for row in rows:
            print(to_json(row, indent=None))
    elif form == "csv":
        print_csv(rows)
    elif rows:
        shown = [["" if cell is None else str(cell) for cell in row.values()] for row in rows]
        for line in table([name.upper() for name in rows[0]], shown, terminal_width()):
            print(line)


def effective(found: list[Place]) -> dict[str, tuple[str | int | None, str | None]]:
    """Each setting's value, secrets masked, and the place that it is taken from.

    The account is taken from one place as a whole, and so is the token; the rest one by one.

    Raises:
        ConfigError: The places contradict each other.
    """
    settings = _native.Settings.resolve([place.settings for place in found], "show")
    chosen = account.account_place(found, settings)
    of_url = next((p for p in found if p.settings.source == settings.service_url_source), None)
    told = {name: _told(chosen, attribute) for name, attribute in _ACCOUNT.items()}
    told["serviceUrl"] = _told(of_url, "service_url")
    if chosen is not None:
        # A session tells whose it is.
        told["partnerId"] = _told(chosen._replace(settings=settings), "partner_id")
        if of_url is None:
            told["serviceUrl"] = (_native.normalize_service_url("us"), "the default")
    for name, attribute in _OTHERS.items():
        told[name] = _told(_first(found, attribute), attribute)
    token = _first(found, *_TOKEN.values())
    return told | {name: _told(token, attribute) for name, attribute in _TOKEN.items()}


def _first(found: list[Place], *attributes: str) -> Place | None:
    return next(
        (
            place
            for place in found
            if any(getattr(place.settings, attribute) is not None for attribute in attributes)
        ),
        None,
    )


def _told(place: Place | None, attribute: str) -> tuple[str | int | None, str | None]:
    value = None if place is None else getattr(place.settings, attribute)
    if place is None or value is None:
        return None, None
    if isinstance(value, _native.Secret) or (attribute == "service_url" and not _is_url(value)):
        return MASK, place.name
    if attribute == "app_token_id" and looks_like_secret(value):
        return MASK, place.name
    return value, place.name


def _is_url(text: str) -> bool:
    """Whether it can be used; what cannot may hold a password or a KS."""
    try:
        _native.normalize_service_url(text, True)
    except ConfigError:
        return False
    return True


def _add_path(parser: Parser) -> None:
    """It takes no options."""


def _path(_args: argparse.Namespace) -> int:
    from kaltura_app_token.command.profiles import profiles_path

    print(profiles_path())
    return 0


def _add_list(parser: Parser) -> None:
    _add_format(parser)


def _list(args: argparse.Namespace) -> int:
    from kaltura_app_token.command.profiles import SECRETS, all_profiles, profiles_path

    used = account.used_profile()
    rows: list[dict[str, object]] = []
    for name, profile in all_profiles().items():
        known = profile if isinstance(profile, dict) else {}
        url = known.get("service_url")
        rows.append(
            {
                "profile": printable(name),
                "partnerId": known.get("partner_id"),
                "serviceUrl": url if url is None or _is_url(str(url)) else MASK,
                "secrets": ", ".join(
                    secret for secret in SECRETS if secret in known or f"{secret}_file" in known
                )
                or None,
                "used": None if used is None or used[0] != name else used[1],
            }
        )
    if not rows:
        note(f"{PROGRAM}: note: there are no profiles in {profiles_path()}")
    _print(rows, "profile", args.format)
    return 0


_NUMBERS = {"partner_id": types.whole_number, "session_expiry": types.duration}
_TEXTS = ("service_url", "user_id", "admin_privileges", "app_token_id")
_MEANINGS = {
    "partner_id": ("ID", "the account"),
    "service_url": ("URL", "address of the API, or a region: us de eu sg ca ap"),
    "user_id": ("ID", "user of admin sessions"),
    "session_expiry": ("DURATION", "life of admin sessions: 3600, 30m, 12h"),
    "admin_privileges": ("TEXT", "privileges of admin sessions"),
    "app_token_id": ("ID", "the token to exchange"),
}
_FILES = {
    "admin_secret": "its admin secret",
    "ks": "an ADMIN session in place of the secret",
    "app_token": "the value of the token to exchange",
}


def _add_set(parser: Parser) -> None:
    parser.epilog = (
        "A secret is never given itself. A file that is named stays where it is and is read each\n"
        "time; - reads standard input, or asks on a terminal, and puts the secret into a file\n"
        "beside the profiles that nobody else can read."
    )
    parser.add_argument("name", metavar="NAME", help="the profile's name")
    for name, (metavar, meaning) in _MEANINGS.items():
        kind = types.token_id if name == "app_token_id" else _NUMBERS.get(name, str)
        parser.add_argument(f"--{_option(name)}", metavar=metavar, type=kind, help=meaning)
    for name, meaning in _FILES.items():
        parser.add_argument(
            f"--{_option(name)}-file",
            metavar="PATH",
            help=f"file with {meaning}; - is standard input",
        )


def _option(setting: str) -> str:
    return setting.replace("_", "-")


def _set(args: argparse.Namespace) -> int:
    import os

    from kaltura_app_token.command.profiles import check_name, default_profile, write_profile

    check_name(args.name)
    given = {name: getattr(args, name) for name in _MEANINGS if getattr(args, name) is not None}
    for name, value in given.items():
        if not value:
            raise ConfigError(
                f"--{_option(name)}: the value is {'empty' if value == '' else 0}",
                hint=f"to remove it: {PROGRAM} config unset {args.name} {name}",
            )
    if "service_url" in given:
        _native.normalize_service_url(given["service_url"], True)
    paths = {name: getattr(args, f"{name}_file") for name in _FILES}
    paths = {name: path for name, path in paths.items() if path is not None}
    if not given and not paths:
        raise ConfigError(
            "nothing is to be set", hint=f"give --partner-id ID, or see {PROGRAM} config set --help"
        )
    if list(paths.values()).count("-") > 1:
        raise ConfigError("standard input can hold only one secret: give a file for the others")
    secrets = {}
    for name, path in paths.items():
        secret = read_secret(f"--{_option(name)}-file", path)
        if path == "-":
            secrets[name] = secret
        else:
            given[f"{name}_file"] = os.path.abspath(path)
    written = write_profile(args.name, given, secrets)
    note(f"{PROGRAM}: wrote profile {args.name} to {' and '.join(written)}")
    if default_profile() != args.name:
        note(
            f"  hint: name it with --profile {args.name}, or once: {PROGRAM} config use {args.name}"
        )
    return 0


def _add_use(parser: Parser) -> None:
    parser.epilog = "KALTURA_PROFILE and an account in the environment come before it."
    parser.add_argument("name", metavar="NAME", nargs="?", help="the profile's name")
    parser.add_argument("--none", action="store_true", help="use none by default any more")


def _use(args: argparse.Namespace) -> int:
    from kaltura_app_token.command.profiles import choose

    if (args.name is None) != args.none:
        raise ConfigError(
            "either the name of a profile or --none is needed",
            hint=f"{PROGRAM} config list shows the profiles",
        )
    choose(args.name)
    note(f"{PROGRAM}: {'no profile' if args.none else f'profile {args.name}'} is used by default")
    return 0


def _add_unset(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="the profile's name")
    parser.add_argument(
        "settings",
        metavar="SETTING",
        nargs="*",
        help="such as user_id, as the file has it (otherwise the whole profile)",
    )


def _unset(args: argparse.Namespace) -> int:
    from kaltura_app_token.command.profiles import remove

    left = remove(args.name, args.settings)
    what = f"{', '.join(args.settings)} of " if args.settings else ""
    note(f"{PROGRAM}: removed {what}profile {args.name}")
    for path in left:
        note(f"{PROGRAM}: note: the file with its secret is left: {path}")
    return 0


SHOW = Command(_add_show, _show)
PATH = Command(_add_path, _path)
LIST = Command(_add_list, _list)
SET = Command(_add_set, _set)
USE = Command(_add_use, _use)
UNSET = Command(_add_unset, _unset)
