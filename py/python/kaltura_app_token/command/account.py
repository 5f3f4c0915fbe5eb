"""Whose tokens: the options that name an account and one of its tokens, and the other places that
settings come from, in their order. Which of them may be joined is the native half's to decide.
"""

from __future__ import annotations

import os
import re
import sys
from typing import NamedTuple

from kaltura_app_token import _native
from kaltura_app_token._version import PROGRAM
from kaltura_app_token.command import arguments as types
from kaltura_app_token.command import messages
from kaltura_app_token.command.arguments import add_secret, secret_option, variable
from kaltura_app_token.command.output.run import note
from kaltura_app_token.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Literal

    from kaltura_app_token.command.arguments import Parser

HASH_TYPES = ("MD5", "SHA1", "SHA256", "SHA512")


class Place(NamedTuple):
    """A place that settings come from: what to call it, what it says, whether the command line
    names that very place, and which profile it is.
    """

    name: str
    settings: _native.Settings
    warnings: list[str]
    asked_for: bool = False
    profile: str | None = None


def add_account(parser: Parser, *, secret: bool = True, session: bool = True) -> None:
    """Adds the options that name an account: with its secret, and with a session in its place."""
    group = parser.add_argument_group(
        "account (otherwise: the environment, a profile, config.json)"
    )
    group.add_argument(
        "--service-url", metavar="URL", help="address of the API, or a region: us de eu sg ca ap"
    )
    group.add_argument("--partner-id", metavar="ID", type=types.whole_number, help="the account")
    if secret:
        add_secret(
            group,
            "admin-secret",
            "KALTURA_ADMIN_SECRET",
            file="file with its admin secret; - is standard input",
            value="the admin secret itself",
        )
    if session:
        add_secret(
            group,
            "ks",
            "KALTURA_KS",
            file="file with an ADMIN session to use in place of the secret",
            value="that session itself",
        )
        group.add_argument("--user-id", metavar="ID", help="user of the admin session")
        group.add_argument(
            "--admin-session",
            choices=("signed", "signed-v1", "started"),
            default="signed",
            help="signed here (default), in the older form, or got from the server for the secret",
        )
    group.add_argument(
        "--profile",
        metavar="NAME",
        help="a profile of the file that `config path` names, in place of the environment "
        "(otherwise: KALTURA_PROFILE, or what `config use` chose)",
    )
    group.add_argument(
        "--config", metavar="PATH", help="a file as config.json, in place of the environment"
    )
    group.add_argument(
        "--trust-files",
        action="store_true",
        help="use files of settings and journals whoever can write to them (KALTURA_TRUST_FILES=1)",
    )


def add_network(parser: Parser) -> None:
    """Adds the options for how the server is reached."""
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


def add_token(parser: Parser) -> None:
    """Adds the options that name a token to exchange and its value."""
    parser.add_argument(
        "id",
        metavar="ID",
        nargs="?",
        type=types.token_id,
        help="the token's id (otherwise: KALTURA_APP_TOKEN_ID)",
    )
    parser.add_argument(
        "--app-token-id", metavar="ID", type=types.token_id, help="the same as an option"
    )
    add_token_value(parser)


def add_token_value(parser: Parser) -> None:
    """Adds the options for a token's value, and for how it is hashed."""
    add_secret(
        parser,
        "app-token",
        "KALTURA_APP_TOKEN",
        file="file with the token's value; - is standard input",
        value="the token's value itself",
    )
    parser.add_argument(
        "--hash-type",
        type=types.upper,
        choices=HASH_TYPES,
        default="SHA256",
        help="the token's (default: SHA256)",
    )


def places(args: argparse.Namespace) -> list[Place]:
    """Where settings come from, in the order in which they count: the options, and either what
    --profile or --config names or else environment, the profile in use and config.json.

    Raises:
        ConfigError: One of them cannot be read.
    """
    if args.trust_files:
        # For the native half alone: it is not for the program that `exec` starts.
        os.putenv("KALTURA_TRUST_FILES", "1")
    files = [
        getattr(args, name, None) for name in ("admin_secret_file", "ks_file", "app_token_file")
    ]
    if [*files, getattr(args, "session", None)].count("-") > 1:
        raise ConfigError("standard input can hold only one secret: give a file for the others")
    for option, named in (("--profile", args.profile), ("--config", args.config)):
        if named == "":
            raise ConfigError(
                f"{option}: the name is empty", hint="give a name, or leave the option out"
            )
    if args.profile is not None and args.config is not None:
        raise ConfigError(
            "--profile and --config are both given: each names an account",
            hint="leave out one of the two",
        )
    options = _options(args)
    if args.profile is not None:
        return [options, _profile(args.profile, asked_for=True)]
    if args.config is not None:
        return [options, _config_file(args.config, asked_for=True)]
    found = [options, Place("the environment", _native.Settings.from_env(), [])]
    if (name := variable("KALTURA_PROFILE")) is not None:
        found.append(_profile(name))
    for look in (_default_profile if name is None else None, _found_config_file):
        try:
            place = look() if look is not None else None
        except ConfigError:
            # Nobody asked for it, and many programs have a config.json: it matters to who needs it.
            if not _is_complete(found):
                raise
        else:
            found += [place] if place is not None else []
    return found


def used_profile() -> tuple[str, str] | None:
    """The profile that is read where none is asked for, and what chose it.

    Raises:
        ConfigError: The variable or the file of profiles cannot be used.
    """
    from kaltura_app_token.command.profiles import default_profile

    if (name := variable("KALTURA_PROFILE")) is not None:
        return name, "KALTURA_PROFILE"
    name = default_profile()
    return None if name is None else (name, "the default")


def _default_profile() -> Place | None:
    used = used_profile()
    return None if used is None else _profile(used[0], found=True)


def _found_config_file() -> Place | None:
    return _config_file("config.json") if os.path.exists("config.json") else None


def _is_complete(found: list[Place]) -> bool:
    """Whether these places name an account, and the server that it is on."""
    try:
        return _native.Settings.resolve(_all(found), "exchange").service_url is not None
    except ConfigError:
        # A contradiction is said by whoever joins them; without an account the file may name it.
        return any(place.settings.names_account() for place in found)


def _all(found: list[Place]) -> list[_native.Settings]:
    return [place.settings for place in found]


def _profile(name: str, *, asked_for: bool = False, found: bool = False) -> Place:
    from kaltura_app_token.command.profiles import read_profile

    settings, warnings = read_profile(name, found=found)
    return Place(f"profile {name}", settings, warnings, asked_for, name)


def _options(args: argparse.Namespace) -> Place:
    return Place(
        "the options",
        _native.Settings(
            partner_id=args.partner_id,
            admin_secret=secret_option(PROGRAM, args, "admin-secret", "KALTURA_ADMIN_SECRET"),
            ks=secret_option(PROGRAM, args, "ks", "KALTURA_KS"),
            service_url=args.service_url,
            user_id=getattr(args, "user_id", None),
        ),
        [],
    )


def _config_file(path: str, *, asked_for: bool = False) -> Place:
    settings = _native.Settings.from_config_file(path)
    return Place(path, settings, list(settings.warnings), asked_for)


def account_place(found: list[Place], settings: _native.Settings) -> Place | None:
    """The place that the account of these resolved settings is taken from."""
    return next(
        (
            place
            for place in found
            if place.settings.names_account() and place.settings.source == settings.source
        ),
        None,
    )


def unused_places(found: list[Place], settings: _native.Settings) -> list[Place]:
    """The places that name an account which is not that of these resolved settings."""
    chosen = account_place(found, settings)
    return [place for place in found if place.settings.names_account() and place is not chosen]


def resolve(found: list[Place], need: Literal["admin", "exchange"]) -> _native.Settings:
    """The settings in effect, after what is to be said of the place that they come from.

    Raises:
        ConfigError: Something that is needed is missing, or stands in two places.
    """
    settings = _resolved(found, "exchange")
    place = account_place(found, settings)
    if place is not None:
        if place.asked_for:
            url = _native.normalize_service_url(settings.service_url or "us", allow_http=True)
            note(
                f"{PROGRAM}: note: using partner {settings.partner_id} of {place.name}, in place "
                f"of the environment, at {url}"
            )
        for warning in place.warnings:
            note(f"{PROGRAM}: warning: {warning}")
        url = settings.service_url or _native.normalize_service_url("us")
        messages.tell(f"partner {settings.partner_id} of {place.name}, at {url}")
    if need == "exchange":
        return settings
    if settings.ks is not None and settings.admin_secret is not None and place is not None:
        note(
            f"{PROGRAM}: note: the session in {place.name} is used, "
            "and not the admin secret beside it"
        )
    secret = None
    if settings.ks is None and all(place.settings.admin_secret is None for place in found):
        secret = ask_secret(f"Admin secret of partner {settings.partner_id}")
    if secret is not None:
        return _with_credentials(settings, secret)
    return _resolved(found, need)


def _resolved(found: list[Place], need: Literal["admin", "exchange"]) -> _native.Settings:
    try:
        return _native.Settings.resolve(_all(found), need)
    except ConfigError as error:
        try:
            shown = _native.Settings.resolve(_all(found), "show")
        except ConfigError:
            # Something contradicts itself.
            raise error from None
        # A session that does not tell whose it is says so itself.
        if error.hint_name != "OneSource" and shown.ks is None:
            error.hint = _next_step(found, shown, error.hint)
        raise


def _next_step(found: list[Place], settings: _native.Settings, hint: str | None) -> str:
    """What to do where the partner id is missing, or else the credential."""
    no_partner = settings.partner_id is None
    option = "--partner-id ID" if no_partner else "--admin-secret-file PATH"
    place = account_place(found, settings)
    if place is None and found[1].asked_for and found[1].profile is not None:
        place, option = found[1], "--partner-id ID --admin-secret-file PATH"
    if place is None:
        looked = ", ".join(place.name for place in found[1:])
        here = os.path.join(os.getcwd(), "config.json")
        return (
            "set KALTURA_PARTNER_ID and KALTURA_ADMIN_SECRET, give --partner-id and "
            f"--admin-secret-file, or write a profile with `{PROGRAM} config set`; looked in "
            f"{looked}" + ("" if os.path.exists(here) else f" and for {here}")
        )
    if place.profile is not None:
        return f"{PROGRAM} config set {place.profile} {option}"
    # What is typed would be another account than the environment's.
    return f"give {option} too" if place is found[0] else hint or ""


def without_session(settings: _native.Settings) -> _native.Settings:
    """The same account by its admin secret alone, if it has one."""
    if settings.ks is None or settings.admin_secret is None:
        return settings
    return _with_credentials(settings, settings.admin_secret)


def _with_credentials(settings: _native.Settings, secret: str | _native.Secret) -> _native.Settings:
    return _native.Settings(
        partner_id=settings.partner_id,
        admin_secret=secret,
        service_url=settings.service_url,
        user_id=settings.user_id,
        admin_session_duration=settings.admin_session_duration,
        admin_privileges=settings.admin_privileges,
    )


def ask_secret(what: str) -> str | None:
    """What the person at the terminal types; None without one, and for nothing."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    return types.type_secret(what) or None


def connect(
    args: argparse.Namespace, settings: _native.Settings, **options: str | int
) -> _native.Client:
    """The client of these settings, reached as the options say; `options` come before those."""
    from kaltura_app_token.command import connect

    client = connect.open_client(
        settings,
        "--allow-http",
        **{
            "admin_session": getattr(args, "admin_session", "signed"),
            "allow_http": args.allow_http,
            "user_agent": args.user_agent,
            "total_timeout": args.timeout,
            "max_retries": args.max_retries,
            "proxy": args.proxy,
            "ca_file": args.ca_file,
            **options,
        },
    )
    if args.ca_file is not None and client.service_url.startswith("http:"):
        raise ConfigError(
            f"--ca-file: {client.service_url} has no TLS, so no certificate is looked at",
            hint="leave it out",
        )
    if args.proxy is not None and _is_here(client.service_url):
        note(f"{PROGRAM}: note: --proxy is not used: {client.service_url} is on this machine")
    return client


def _is_here(url: str) -> bool:
    """Whether a server is on this machine, where no proxy could reach it."""
    return url.partition("://")[2].startswith(("127.", "localhost:", "localhost/", "[::1]"))


def admin_client(args: argparse.Namespace) -> _native.Client:
    """The client that manages the account's tokens."""
    return connect(args, resolve(places(args), "admin"))


def token_id(args: argparse.Namespace, found: list[Place]) -> str | None:
    """The id of the token to exchange, from the options or the first place that names one.

    Raises:
        ConfigError: It is given twice, or is a secret in its place.
    """
    if args.id is not None and args.app_token_id is not None:
        raise ConfigError("the token's id is given twice: once is enough")
    given = args.id if args.id is not None else args.app_token_id
    if given is not None:
        return str(given)
    place = next(
        (
            place
            for place in found
            if place.settings.app_token_id is not None or place.settings.app_token is not None
        ),
        None,
    )
    if place is None or place.settings.app_token_id is None:
        return None
    if types.looks_like_secret(place.settings.app_token_id):
        raise ConfigError(
            f"the token's id in {place.name} looks like a secret; an id is such as 1_ab12cd34"
        )
    return place.settings.app_token_id


def token_value(
    args: argparse.Namespace, found: list[Place], token_id: str
) -> tuple[str | _native.Secret, str] | None:
    """The value of that token, and where it stands: the options, or beside the token's id.

    Raises:
        ConfigError: The options for it cannot be used.
    """
    value = secret_option(PROGRAM, args, "app-token", "KALTURA_APP_TOKEN")
    if value is not None:
        return value, "the options"
    named_here = args.id is not None or args.app_token_id is not None
    for name, settings, *_ in found:
        # Another place's value belongs to the id that stands beside it.
        fits = settings.app_token_id == token_id or (settings.app_token_id is None and named_here)
        if settings.app_token is not None and fits:
            return settings.app_token, name
    return None


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
    switches = [
        f"--{name}"
        for name in ("allow-http", "trust-files")
        if getattr(args, name.replace("-", "_"))
    ]
    return [*words, *switches]
