"""The subcommand `doctor`: checks what an exchange and the management of tokens need, one thing
after the other, and says of each what is right, what is wrong and what to do. It changes nothing on
the server and asks no host but the configured one; sessions that it starts expire by themselves.
"""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import suppress
from typing import NamedTuple, cast

from kaltura_app_token import _native
from kaltura_app_token.command import account
from kaltura_app_token.command.arguments import Command, Parser
from kaltura_app_token.command.ks import lints
from kaltura_app_token.command.output.fields import to_json
from kaltura_app_token.command.output.run import colours
from kaltura_app_token.command.output.table import print_csv, terminal_width, wrap
from kaltura_app_token.command.output.text import expiry_in_words, printable, span
from kaltura_app_token.command.sessions import add_request
from kaltura_app_token.errors import (
    ApiError,
    ConfigError,
    InvalidTokenHash,
    KalturaError,
    exit_code,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    from kaltura_app_token.model import Session

    Status = Literal["ok", "problem", "skipped"]

_FINDINGS = 6
_CLOCK_TOLERANCE = 60
_ACTIVE = 2
_STATUS_WIDTH = 7
_NARROWEST = 20
_COLOURS = {"ok": "32", "problem": "31", "skipped": "33"}
_REGIONS = ("us", "de", "eu", "sg", "ca", "ap")


class Check(NamedTuple):
    """One thing that was looked at: what was found, and what to do about it."""

    check: str
    status: Status
    found: str
    next: str | None = None


class _Stop(Exception):
    """Nothing more can be checked; carries the exit code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def _add(parser: Parser) -> None:
    parser.epilog = "The exit code is 0 when all is well, 6 when something was found."
    account.add_token(parser)
    add_request(parser)
    parser.add_argument(
        "--send-secret",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="try session.start too, which sends the admin secret to the server",
    )
    group = parser.add_argument_group("output")
    group.add_argument(
        "--format",
        choices=("table", "csv", "json", "jsonl"),
        default="table",
        help="default: table",
    )
    account.add_account(parser)
    account.add_network(parser)


def _doctor(args: argparse.Namespace) -> int:
    doctor = _Doctor(args)
    try:
        doctor.examine()
    except _Stop as stop:
        code = stop.code
    else:
        code = _FINDINGS if any(check.status == "problem" for check in doctor.checks) else 0
    if args.format == "json":
        print(to_json([check._asdict() for check in doctor.checks]))
    elif args.format == "csv":
        print_csv(check._asdict() for check in doctor.checks)
    return code


class _Doctor:
    """The checks, each of which leaves behind what the next ones need."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.checks: list[Check] = []
        self.widget: Session | None = None

    def examine(self) -> None:
        found = self._configuration()
        settings = self._settings(found)
        self._service_url(settings)
        client, refusal = self._connect(settings)
        self._clock(settings)
        if self._partner(settings, refusal):
            self._token(found, client, self._admin(found))

    def _say(self, check: str, status: Status, found: str, step: str | None = None) -> None:
        self.checks.append(Check(check, status, found, step))
        if self.args.format == "jsonl":
            print(to_json(self.checks[-1]._asdict(), indent=None), flush=True)
        elif self.args.format == "table":
            _print(self.checks[-1])

    def _ok(self, check: str, found: str) -> None:
        self._say(check, "ok", found)

    def _problem(self, check: str, error: KalturaError | str, step: str | None = None) -> None:
        if isinstance(error, KalturaError):
            self._say(check, "problem", error.message, step or error.hint)
        else:
            self._say(check, "problem", error, step)

    def _configuration(self) -> list[account.Place]:
        try:
            return account.places(self.args)
        except ConfigError as error:
            self._problem("configuration", error)
            raise _Stop(exit_code(error)) from None

    def _settings(self, found: list[account.Place]) -> _native.Settings:
        try:
            settings = _native.Settings.resolve([place.settings for place in found], "exchange")
        except ConfigError as error:
            self._problem("configuration", error)
            raise _Stop(exit_code(error)) from None
        place = account.account_place(found, settings)
        name = place.name if place else ""
        unused = [other.name for other in account.unused_places(found, settings)]
        remark = f"; the account in {' and in '.join(unused)} is not used" if unused else ""
        self._ok("configuration", f"partner {settings.partner_id} from {name}{remark}")
        for warning in place.warnings if place else ():
            what, _, step = warning.rpartition(": ")
            self._problem("configuration", what, step)
        return settings

    def _service_url(self, settings: _native.Settings) -> None:
        written = settings.service_url
        try:
            url = _native.normalize_service_url(written or "us", self.args.allow_http)
        except ConfigError as error:
            self._problem("service URL", error)
            raise _Stop(exit_code(error)) from None
        region = next(
            (name for name in _REGIONS if _native.normalize_service_url(name) == url), None
        )
        remarks = [f"region {region}"] if region else []
        if written is None:
            remarks.append("the default, as none is given")
        elif written != url and written.lower() != region:
            remarks.append(f"written as {written}")
        self._ok("service URL", url + (f" ({'; '.join(remarks)})" if remarks else ""))

    def _connect(self, settings: _native.Settings) -> tuple[_native.Client, ApiError | None]:
        """A client of a server that answers, and why it gave no widget session if it did not."""
        options = {} if self.args.max_retries is not None else {"max_retries": 0}
        try:
            client = account.connect(self.args, settings, **options)
            began = time.monotonic()
            refusal = None
            try:
                self.widget = client.start_widget_session()
            except ApiError as error:
                refusal = error
        except KalturaError as error:
            self._problem("connection", error, error.hint or _step_to_connect(error))
            for check in ("clock", "partner", "admin secret", "token"):
                self._say(check, "skipped", "the server could not be asked")
            raise _Stop(exit_code(error)) from None
        took = f"answered in {round((time.monotonic() - began) * 1000)} ms"
        if client.service_url.startswith("https:"):
            self._ok("connection", f"{took}, over TLS with a certificate that is trusted")
        elif _is_here(client.service_url):
            self._ok("connection", f"{took}, without TLS on this machine")
        else:
            self._problem(
                "connection",
                f"{took}, without TLS: credentials can be read on the way",
                "use an https address",
            )
        return client, refusal

    def _clock(self, settings: _native.Settings) -> None:
        ahead = None
        if self.widget is not None:
            # The answer with the widget session may come out of a cache, ten minutes old. A
            # question that this session may not ask is answered anew, with the server's time.
            asking = _native.Settings(
                ks=self.widget.ks,
                partner_id=settings.partner_id,
                service_url=settings.service_url,
            )
            client = account.connect(self.args, asking, max_retries=0)
            with suppress(KalturaError):
                client.session_info()
            ahead = client.clock_difference
        if ahead is None:
            self._say("clock", "skipped", "the server did not say its time")
        elif abs(ahead) <= _CLOCK_TOLERANCE:
            self._ok("clock", f"within {span(max(abs(ahead), 1))} of the server's")
        else:
            direction = "behind" if ahead > 0 else "ahead of"
            self._problem(
                "clock",
                f"this machine's clock is {span(abs(ahead))} {direction} the server's",
                "set it, best by NTP: sessions that are signed here expire too "
                + ("early" if ahead > 0 else "late"),
            )

    def _partner(self, settings: _native.Settings, refusal: ApiError | None) -> bool:
        if refusal is None:
            self._ok("partner", f"{settings.partner_id} is known here and gives widget sessions")
            return True
        self._problem("partner", refusal)
        for check in ("admin secret", "token"):
            self._say(check, "skipped", "the partner has to be right first")
        return False

    def _admin(self, found: list[account.Place]) -> _native.Client | None:
        """A client that the server lets manage tokens."""
        try:
            complete = _native.Settings.resolve([place.settings for place in found], "admin")
        except ConfigError as error:
            if all(place.settings.admin_secret is None for place in found):
                self._say("admin secret", "skipped", "none is given: exchanging needs none")
            else:
                self._problem("admin secret", error)
            return None
        client = None
        if complete.ks is not None:
            client = self._ask("admin session", complete, "the KS that is given is accepted")
        if complete.admin_secret is not None:
            by_secret = account.without_session(complete)
            signed = "a session that is signed with it here is accepted"
            client = self._ask("admin secret", by_secret, signed) or client
            if self.args.send_secret:
                self._start_session(by_secret)
        return client

    def _ask(self, name: str, settings: _native.Settings, right: str) -> _native.Client | None:
        """A client with those settings' admin session, if the server accepts that."""
        try:
            client = account.connect(self.args, settings)
            info = client.session_info()
        except KalturaError as error:
            self._problem(name, error)
            return None
        user = f", user {info.user_id}" if info.user_id else ""
        life = "" if info.expiry is None else f", {_expires(info.expiry)}"
        self._ok(name, f"{right}{user}{life}")
        return client

    def _start_session(self, settings: _native.Settings) -> None:
        name = "session.start"
        try:
            client = account.connect(self.args, settings, admin_session="started")
            client.start_admin_session()
        except KalturaError as error:
            self._problem(name, error)
        else:
            self._ok(name, "the admin secret was sent to the server, which gave a session for it")

    def _token(
        self,
        found: list[account.Place],
        client: _native.Client,
        admin: _native.Client | None,
    ) -> None:
        try:
            token_id = account.token_id(self.args, found)
            value = token_id and account.token_value(self.args, found, token_id)
        except ConfigError as error:
            self._problem("token", error)
            return
        if not token_id:
            self._say(
                "token", "skipped", "none is named", "set KALTURA_APP_TOKEN_ID, or give its id"
            )
            return
        if admin is not None and not self._token_record(admin, token_id):
            return
        if not value:
            self._say(
                "token value",
                "skipped",
                f"that of {token_id} is not given",
                "set KALTURA_APP_TOKEN, or give --app-token-file",
            )
            return
        session = self._exchange(client, token_id, value[0])
        if session is not None:
            self._session(session)

    def _token_record(self, admin: _native.Client, token_id: str) -> bool:
        """Whether the token is there; what the account knows of it is said."""
        try:
            token = admin.get_token(
                token_id, response_profile=_native.ResponseProfile.exclude("token")
            )
        except KalturaError as error:
            self._problem("token", error)
            return False
        facts = [f"{token_id} is there", f"hash type {token.hash_type or 'SHA1'}"]
        if token.session_type is not None:
            facts.append(f"type {token.session_type}")
        expired = token.expiry is not None and 0 < token.expiry <= time.time()
        if token.expiry and not expired:
            facts.append(_expires(token.expiry))
        self._ok("token", ", ".join(facts))
        if expired:
            self._problem(
                "token",
                f"it {_expires(token.expiry or 0)}",
                f"kaltura-app-token update {token_id} --expiry +30d, or --clear expiry for never",
            )
        if token.status not in (_ACTIVE, None):
            self._problem("token", "it is disabled for good", "create a new one")
        if token.session_type is None:
            self._problem(
                "token",
                "it has no session type: whoever exchanges it can choose ADMIN",
                f"kaltura-app-token update {token_id} --session-type USER",
            )
        if token.session_duration == 0:
            self._problem(
                "token",
                "its session duration is 0: its sessions have expired when they start",
                f"kaltura-app-token update {token_id} --clear sessionDuration",
            )
        if token.expiry == 0:
            self._problem(
                "token",
                "its expiry is 0, which is never on some servers and expired on others",
                f"kaltura-app-token update {token_id} --clear expiry",
            )
        return True

    def _exchange(
        self, client: _native.Client, token_id: str, value: str | _native.Secret
    ) -> Session | None:
        wanted = self.args.hash_type
        try:
            session = self._start(client, token_id, value, wanted)
        except InvalidTokenHash as error:
            return self._other_hash_types(client, token_id, value, error)
        except KalturaError as error:
            self._problem("token value", error)
            return None
        self._ok("token value", f"right: exchanged for a session with hash type {wanted}")
        return session

    def _other_hash_types(
        self,
        client: _native.Client,
        token_id: str,
        value: str | _native.Secret,
        refusal: InvalidTokenHash,
    ) -> Session | None:
        wanted = self.args.hash_type
        for hash_type in account.HASH_TYPES:
            if hash_type == wanted:
                continue
            try:
                session = self._start(client, token_id, value, hash_type)
            except InvalidTokenHash:
                continue
            except KalturaError as error:
                self._problem("token value", error)
                return None
            self._problem(
                "token value",
                f"right, but the token's hash type is {hash_type}, not {wanted}",
                f"exchange it with --hash-type {hash_type}",
            )
            return session
        text = value if isinstance(value, str) else value.reveal()
        spaces = text != text.strip()
        self._problem(
            "token value",
            f"{refusal.message}: it is not the value of {token_id} under any hash type",
            "it begins or ends with a space: remove that"
            if spaces
            else "`get` with --show-secrets shows the right one to whoever has the admin secret",
        )
        return None

    def _start(
        self, client: _native.Client, token_id: str, value: str | _native.Secret, hash_type: str
    ) -> Session:
        args = self.args
        return client.start_session(
            token_id,
            value,
            hash_type=cast("_native._HashType", hash_type),
            user_id=args.user,
            session_type=args.type,
            duration=args.expiry,
            privileges=args.privileges,
        )

    def _session(self, session: Session) -> None:
        user = f", user {session.user_id}" if session.user_id else ""
        if session.expiry is None:
            self._ok("session", f"{session.session_type}{user}")
        elif session.expiry <= time.time():
            self._problem(
                "session",
                f"{session.session_type}{user}, {_expires(session.expiry)}: at its start",
                "look at the session duration and the expiry of the token, and at the clock",
            )
        else:
            life = _expires(session.expiry)
            self._ok("session", f"{session.session_type}{user}, {life}")
        for dropped in session.dropped_privileges:
            self._problem(
                "privileges",
                f"{dropped} was asked for and is not given",
                "put it on the token: the server drops what it reserves",
            )
        self._ok("privileges", session.privileges or "none")
        for lint in lints(session.privileges):
            self._problem("privileges", f"{lint.privilege}: {lint.message}")


def _step_to_connect(error: KalturaError) -> str:
    if error.http_status is not None or not error.retryable:
        return "check that the service URL is that of a Kaltura server"
    return "check the service URL, the network and HTTPS_PROXY, then try again"


def _expires(unix: int) -> str:
    when = expiry_in_words(unix, time.time())
    return f"expires {when}" if when.startswith("in ") else when


def _is_here(url: str) -> bool:
    """Whether plain http to it needs no allowing."""
    try:
        _native.normalize_service_url(url)
    except ConfigError:
        return False
    return True


def _print(check: Check) -> None:
    word = f"{check.status:{_STATUS_WIDTH}}"
    if colours(sys.stdout):
        word = f"\x1b[{_COLOURS[check.status]}m{word}\x1b[0m"
    begin = f"{check.check:13}  "
    width = terminal_width()
    indent = _STATUS_WIDTH + 2 + len(begin)
    room = sys.maxsize if width is None else max(width - indent, _NARROWEST)
    lines = wrap(printable(check.found), room)
    print(f"{word}  {begin}{lines[0]}")
    for line in lines[1:]:
        print(" " * indent + line)
    if check.next:
        for line in wrap(f"next: {printable(check.next)}", room):
            print(" " * indent + line)
    sys.stdout.flush()


COMMAND = Command(_add, _doctor)
