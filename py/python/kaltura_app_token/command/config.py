"""The subcommands `config show` and `config path`: which settings are in effect and where each
comes from. Secrets are masked, nothing is sent, and what is missing is no error; what contradicts
itself is one, as it is for every other command.
"""

from __future__ import annotations

from kaltura_app_token import _native
from kaltura_app_token._version import PROGRAM
from kaltura_app_token.command import account
from kaltura_app_token.command.account import Place
from kaltura_app_token.command.arguments import Command, Parser, looks_like_secret
from kaltura_app_token.command.output.fields import MASK, to_json
from kaltura_app_token.command.output.run import note
from kaltura_app_token.command.output.table import print_csv, table, terminal_width
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


def _add_show(parser: Parser) -> None:
    parser.add_argument(
        "--format",
        choices=("table", "csv", "json", "jsonl"),
        default="table",
        help="default: table",
    )
    account.add_account(parser)


def _show(args: argparse.Namespace) -> int:
    found = account.places(args)
    rows = [
        {"setting": setting, "value": value, "source": source}
        for setting, (value, source) in effective(found).items()
    ]
    settings = _native.Settings.resolve([place.settings for place in found], "show")
    chosen = account.account_place(found, settings)
    for warning in chosen.warnings if chosen else ():
        note(f"{PROGRAM}: warning: {warning}")
    for place in account.unused_places(found, settings):
        note(f"{PROGRAM}: note: the account in {place.name} is not used")
    if args.format == "json":
        print(to_json({str(row.pop("setting")): row for row in rows}))
    elif args.format == "jsonl":
        for row in rows:
            print(to_json(row, indent=None))
    elif args.format == "csv":
        print_csv(rows)
    else:
        shown = [["" if cell is None else str(cell) for cell in row.values()] for row in rows]
        for line in table(["SETTING", "VALUE", "SOURCE"], shown, terminal_width()):
            print(line)
    return 0


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


SHOW = Command(_add_show, _show)
PATH = Command(_add_path, _path)
