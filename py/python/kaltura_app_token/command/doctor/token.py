"""The checks of the token: its record, its value, and the session that it gives, which is used for
a call. What the session's restrictions make of that call stands in `restrictions`.
"""

from __future__ import annotations

import time

from kaltura_app_token import _native
from kaltura_app_token._version import PROGRAM
from kaltura_app_token.command import account
from kaltura_app_token.command.doctor.report import Report
from kaltura_app_token.command.doctor.restrictions import Restrictions
from kaltura_app_token.command.doctor.server import expires
from kaltura_app_token.command.ks import FORBIDDEN, lints
from kaltura_app_token.command.sessions import overridden, start
from kaltura_app_token.errors import (
    ConfigError,
    InvalidTokenHash,
    KalturaError,
    PermissionDenied,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from kaltura_app_token.model import Session

_ACTIVE = 2


class TokenChecks:
    """The checks of one token, over a client of its account."""

    def __init__(
        self,
        args: argparse.Namespace,
        report: Report,
        places: list[account.Place],
        client: _native.Client,
    ) -> None:
        self.args = args
        self.report = report
        self.places = places
        self.client = client

    def examine(self, admin: _native.Client | None) -> None:
        """Looks at the token's record too where an admin's client is there."""
        try:
            token_id = account.token_id(self.args, self.places)
            value = token_id and account.token_value(self.args, self.places, token_id)
        except ConfigError as error:
            self.report.problem("token", error)
            return
        if not token_id:
            step = "set KALTURA_APP_TOKEN_ID, or give its id"
            self.report.skipped("token", "none is named", step)
            return
        if admin is not None and not self._record(admin, token_id, will_be_tried=bool(value)):
            return
        if not value:
            self.report.skipped(
                "token value",
                f"that of {token_id} is not given",
                "set KALTURA_APP_TOKEN, or give --app-token-file",
            )
            return
        session = self._exchange(token_id, value[0])
        if session is not None:
            self._session(session)
            self._use(token_id, session)
            self._privileges(session)

    def _record(self, admin: _native.Client, token_id: str, *, will_be_tried: bool) -> bool:
        """Whether the token is there; what the account knows of it is said."""
        try:
            token = admin.get_token(
                token_id, response_profile=_native.ResponseProfile.exclude("token")
            )
        except KalturaError as error:
            self.report.problem("token", error)
            return False
        facts = [f"{token_id} is there", f"hash type {token.hash_type or 'SHA1'}"]
        if token.session_type is not None:
            facts.append(f"type {token.session_type}")
        expired = token.expiry is not None and 0 < token.expiry <= time.time()
        if token.expiry and not expired:
            facts.append(expires(token.expiry))
        self.report.ok("token", ", ".join(facts))
        update = f"{PROGRAM} update {token_id}"
        if expired:
            self.report.problem(
                "token",
                f"it {expires(token.expiry or 0)}",
                f"{update} --expiry +30d, or --clear expiry for never",
            )
        if token.status not in (_ACTIVE, None):
            self.report.problem("token", "it is disabled for good", "create a new one")
        if token.session_type is None:
            self.report.problem(
                "token",
                "it has no session type: whoever exchanges it can choose ADMIN",
                f"{update} --session-type USER",
            )
        duration = token.session_duration
        # Without one, the exchange shows whether this server takes that for none at all.
        if (duration is None and not will_be_tried) or (duration is not None and duration <= 0):
            told = f"its session duration is {duration}: its sessions have expired when they start"
            if duration is None:
                told = "it has no session duration: on most servers its sessions are dead at birth"
            self.report.problem("token", told, f"{update} --session-duration 1h")
        if token.expiry == 0:
            self.report.problem(
                "token",
                "its expiry is 0, which is never on some servers and expired on others",
                f"{update} --clear expiry",
            )
        return True

    def _exchange(self, token_id: str, value: str | _native.Secret) -> Session | None:
        wanted = self.args.hash_type
        try:
            session = self._start(token_id, value, wanted)
        except InvalidTokenHash as error:
            return self._other_hash_types(token_id, value, error)
        except KalturaError as error:
            self._refused(token_id, value, error)
            return None
        self.report.ok("token value", f"right: exchanged for a session with hash type {wanted}")
        return session

    def _refused(self, token_id: str, value: str | _native.Secret, error: KalturaError) -> None:
        if error.hint_name != "DeadAtBirth":
            # Nothing was sent: it is the value, or what the session was to be, that cannot be used.
            is_request = isinstance(error, ConfigError) and not _has_blanks(value)
            self.report.problem("session" if is_request else "token value", error)
            return
        self.report.ok("token value", f"right: exchanged with hash type {self.args.hash_type}")
        self.report.problem(
            "session",
            f"{error.message}: the server gave one that had expired when it started",
            f"{PROGRAM} update {token_id} --session-duration 1h",
        )

    def _other_hash_types(
        self, token_id: str, value: str | _native.Secret, refusal: InvalidTokenHash
    ) -> Session | None:
        wanted = self.args.hash_type
        for hash_type in account.HASH_TYPES:
            if hash_type == wanted:
                continue
            session = None
            try:
                session = self._start(token_id, value, hash_type)
            except InvalidTokenHash:
                continue
            except KalturaError as error:
                if error.hint_name != "DeadAtBirth":
                    self.report.problem("token value", error)
                    return None
            self.report.problem(
                "token value",
                f"right, but the token's hash type is {hash_type}, not {wanted}",
                f"exchange it with --hash-type {hash_type}",
            )
            return session
        self.report.problem(
            "token value",
            f"{refusal.message}: it is not the value of {token_id} under any hash type",
            "it begins or ends with a space: remove that"
            if _has_blanks(value)
            else "`get` with --show-secrets shows the right one to whoever has the admin secret",
        )
        return None

    def _start(self, token_id: str, value: str | _native.Secret, hash_type: str) -> Session:
        self._began = time.time()
        return start(self.client, self.args, token_id, value, hash_type)

    def _session(self, session: Session) -> None:
        user = f", user {session.user_id}" if session.user_id else ""
        if session.expiry is None:
            self.report.ok("session", f"{session.session_type}{user}")
        elif session.expiry <= time.time() + (self.client.clock_difference or 0):
            self.report.problem(
                "session",
                f"{session.session_type}{user}, {expires(session.expiry)}: at its start",
                "look at the session duration and the expiry of the token, and at the clock",
            )
        else:
            life = expires(session.expiry)
            self.report.ok("session", f"{session.session_type}{user}, {life}")
        for told in overridden(self.args, self.client, session, self._began):
            self.report.problem("session", told, "ask for what the token gives, or update it")

    def _use(self, token_id: str, session: Session) -> None:
        """Asks what the server reads in the session, with the session itself.

        Only an ADMIN session is told. A USER one is refused as such after everything else about it
        was found to be right, which is what is looked for.
        """
        own = _native.Settings(
            ks=session.ks,
            partner_id=self.client.partner_id,
            service_url=self.client.service_url,
        )
        limits = Restrictions(token_id, session.privileges or "", self.client.service_url)
        accepted = "the server accepts it: session.get was called with it"
        try:
            account.connect(self.args, own).session_info()
        except PermissionDenied as error:
            if error.code != FORBIDDEN:
                self.report.problem("session use", error)
                return
            accepted = "the server accepts it, though not for session.get, which needs ADMIN"
            if str(session.session_type) == "ADMIN":
                accepted = "the server accepts it, though its role does not allow session.get"
        except KalturaError as error:
            if limits.is_only_elsewhere(error):
                self.report.skipped("session use", *limits.elsewhere())
            else:
                self.report.problem("session use", *limits.explain(error))
            return
        self.report.ok("session use", "; ".join([accepted, *limits.kept()]))

    def _privileges(self, session: Session) -> None:
        for dropped in session.dropped_privileges:
            self.report.problem(
                "privileges",
                f"{dropped} was asked for and is not given",
                "put it on the token: the server drops what it reserves",
            )
        self.report.ok("privileges", session.privileges or "none")
        for lint in lints(session.privileges):
            self.report.problem("privileges", f"{lint.privilege}: {lint.message}")


def _has_blanks(value: str | _native.Secret) -> bool:
    text = value if isinstance(value, str) else value.reveal()
    return text != text.strip()
