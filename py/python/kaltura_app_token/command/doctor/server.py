"""The checks of everything before the token: configuration, server, clock, account and what manages
tokens. Each leaves behind what the next ones need.
"""

from __future__ import annotations

import time
from contextlib import suppress

from kaltura_app_token import _native
from kaltura_app_token.command import account
from kaltura_app_token.command.doctor.report import Report, Stop
from kaltura_app_token.command.output.text import expiry_in_words, span
from kaltura_app_token.errors import ApiError, ConfigError, KalturaError, exit_code

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from kaltura_app_token.model import Session

_CLOCK_TOLERANCE = 60
# By the cause of an error: what it is called, and the option that helps.
_CAUSES = {
    "dns": ("the name cannot be looked up", None),
    "refused": ("nothing listens there", None),
    "timeout": ("nobody answered in time", None),
    "tls_trust": ("the certificate is not trusted", "--ca-file names the file of an authority"),
    "tls_protocol": ("what answers there speaks no TLS", None),
    "proxy": ("the proxy does not let through", "--proxy names another proxy"),
    "reset": ("the connection was closed at once", None),
}
_REGIONS = ("us", "de", "eu", "sg", "ca", "ap")


class ServerChecks:
    """The checks that need no token."""

    def __init__(self, args: argparse.Namespace, report: Report) -> None:
        self.args = args
        self.report = report
        self.places: list[account.Place] = []
        self._widget: Session | None = None

    def examine(self) -> _native.Client | None:
        """A client of the account, if there is a server that knows the account.

        Raises:
            Stop: Nothing more can be checked.
        """
        settings = self._configuration()
        self._service_url(settings)
        client, refusal = self._connect(settings)
        self._clock(settings)
        return client if self._partner(settings, refusal) else None

    def _configuration(self) -> _native.Settings:
        try:
            found = self.places = account.places(self.args)
            settings = _native.Settings.resolve([place.settings for place in found], "exchange")
        except ConfigError as error:
            self.report.problem("configuration", error)
            raise Stop(exit_code(error)) from None
        place = account.account_place(found, settings)
        name = place.name if place else ""
        unused = [other.name for other in account.unused_places(found, settings)]
        remark = f"; the account in {' and in '.join(unused)} is not used" if unused else ""
        self.report.ok("configuration", f"partner {settings.partner_id} from {name}{remark}")
        for warning in place.warnings if place else ():
            self.report.problem("configuration", warning)
        return settings

    def _service_url(self, settings: _native.Settings) -> None:
        written = settings.service_url
        try:
            url = _native.normalize_service_url(written or "us", self.args.allow_http)
        except ConfigError as error:
            self.report.problem("service URL", error)
            raise Stop(exit_code(error)) from None
        region = next(
            (name for name in _REGIONS if _native.normalize_service_url(name) == url), None
        )
        remarks = [f"region {region}"] if region else []
        if written is None:
            remarks.append("the default, as none is given")
        elif written != url and written.lower() != region:
            remarks.append(f"written as {written}")
        self.report.ok("service URL", url + (f" ({'; '.join(remarks)})" if remarks else ""))

    def _connect(self, settings: _native.Settings) -> tuple[_native.Client, ApiError | None]:
        """A client of a server that answers, and why it gave no widget session if it did not."""
        options = {} if self.args.max_retries is not None else {"max_retries": 0}
        try:
            client = account.connect(self.args, settings, **options)
            began = time.monotonic()
            refusal = None
            try:
                self._widget = client.start_widget_session()
            except ApiError as error:
                refusal = error
        except KalturaError as error:
            self.report.problem("connection", *_unreachable(error))
            for check in ("clock", "partner", "admin secret", "token"):
                self.report.skipped(check, "the server could not be asked")
            raise Stop(exit_code(error)) from None
        took = f"answered in {round((time.monotonic() - began) * 1000)} ms"
        if client.service_url.startswith("https:"):
            self.report.ok("connection", f"{took}, over TLS with a certificate that is trusted")
        elif _is_here(client.service_url):
            self.report.ok("connection", f"{took}, without TLS on this machine")
        else:
            self.report.problem(
                "connection",
                f"{took}, without TLS: credentials can be read on the way",
                "use an https address",
            )
        return client, refusal

    def _clock(self, settings: _native.Settings) -> None:
        ahead = None
        if self._widget is not None:
            # The answer with the widget session may come out of a cache, ten minutes old. A
            # question that this session may not ask is answered anew, with the server's time.
            asking = _native.Settings(
                ks=self._widget.ks,
                partner_id=settings.partner_id,
                service_url=settings.service_url,
            )
            client = account.connect(self.args, asking, max_retries=0)
            with suppress(KalturaError):
                client.session_info()
            ahead = client.clock_difference
        if ahead is None:
            self.report.skipped("clock", "the server did not say its time")
        elif abs(ahead) <= _CLOCK_TOLERANCE:
            self.report.ok("clock", f"within {span(max(abs(ahead), 1))} of the server's")
        else:
            direction = "behind" if ahead > 0 else "ahead of"
            self.report.problem(
                "clock",
                f"this machine's clock is {span(abs(ahead))} {direction} the server's",
                "set it, best by NTP: sessions that are signed here expire too "
                + ("early" if ahead > 0 else "late"),
            )

    def _partner(self, settings: _native.Settings, refusal: ApiError | None) -> bool:
        if refusal is None:
            known = f"{settings.partner_id} is known here and gives widget sessions"
            self.report.ok("partner", known)
            return True
        step = None
        if refusal.hint_name in ("UnknownAccount", "AccountBlocked"):
            regions = ", ".join(_REGIONS)
            step = f"{refusal.hint}; the regions, for --service-url: {regions}"
        self.report.problem("partner", refusal, step)
        for check in ("admin secret", "token"):
            self.report.skipped(check, "the partner has to be right first")
        return False

    def admin(self) -> _native.Client | None:
        """A client that the server lets manage tokens."""
        found = self.places
        try:
            complete = _native.Settings.resolve([place.settings for place in found], "admin")
        except ConfigError as error:
            if all(place.settings.admin_secret is None for place in found):
                none = "none is given: exchanging needs none"
                self.report.skipped("admin secret", none)
            else:
                self.report.problem("admin secret", error)
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
        if self.args.admin_session == "started" and settings.ks is None:
            right = "the server gave a session for it, which it accepts"
        try:
            client = account.connect(self.args, settings)
            info = client.session_info()
        except KalturaError as error:
            step = error.hint
            if settings.ks is not None and settings.admin_secret is not None:
                # Nobody sees that a KS of the environment is taken for the secret beside it.
                instead = "the commands use it in place of the admin secret: leave it out"
                step = f"{instead}; or {step}" if step else instead
            self.report.problem(name, error, step)
            return None
        user = f", user {info.user_id}" if info.user_id else ""
        life = "" if info.expiry is None else f", {expires(info.expiry)}"
        self.report.ok(name, f"{right}{user}{life}")
        return client

    def _start_session(self, settings: _native.Settings) -> None:
        name = "session.start"
        try:
            client = account.connect(self.args, settings, admin_session="started")
            client.start_admin_session()
        except KalturaError as error:
            self.report.problem(name, error)
        else:
            sent = "the admin secret was sent to the server, which gave a session for it"
            self.report.ok(name, sent)


def expires(unix: int) -> str:
    """When something expires, or that it has."""
    when = expiry_in_words(unix, time.time())
    return f"expires {when}" if when.startswith("in ") else when


def _unreachable(error: KalturaError) -> tuple[str, str]:
    """What is wrong with a server that gives no answer of the API, and the next step."""
    if error.http_status is not None or not error.retryable:
        step = "check that the service URL is that of a Kaltura server"
    else:
        step = "check the service URL, the network and HTTPS_PROXY, then try again"
    what, option = _CAUSES.get(error.cause or "", (None, None))
    found = f"{what}: {error.message}" if what else error.message
    return found, "; ".join(filter(None, (error.hint or step, option)))


def _is_here(url: str) -> bool:
    """Whether plain http to it needs no allowing."""
    try:
        _native.normalize_service_url(url)
    except ConfigError:
        return False
    return True
