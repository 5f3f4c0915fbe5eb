"""What a session's privileges restrict it to, and what a refusal of it therefore means, in words.
Asks nobody.
"""

from __future__ import annotations

from kaltura_app_token._version import PROGRAM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kaltura_app_token.errors import KalturaError

_PROBE = "/service/session/action/get"
"""The path, below the service URL's, of the call that is made to try a session."""


class Restrictions:
    """Those of one session of a token."""

    def __init__(self, token_id: str, privileges: str, service_url: str) -> None:
        self._token_id = token_id
        self._url = service_url
        self._privileges = privileges

    def kept(self) -> list[str]:
        """What the session is restricted to, after a call that was let through."""
        told = []
        if (addresses := self._value("iprestrict")) is not None:
            told.append(f"iprestrict allows {_spoken(addresses, '/')}, where this was asked from")
        if (paths := self._value("urirestrict")) is not None:
            told.append(f"urirestrict allows {_spoken(paths, '|')}, where {self._path} belongs")
        if (calls := self._value("actionslimit")) is not None:
            told.append(
                f"that was one of the {calls} calls that actionslimit gives this session; "
                "each session of the token has as many of its own"
            )
        return told

    def is_only_elsewhere(self, error: KalturaError) -> bool:
        """Whether the session was refused for the path alone, and may be right for other calls."""
        if error.hint_name != "OtherPath":
            return False
        below = f"{self._root}/"
        return any(_reaches(pattern, below) for pattern in self._patterns())

    def elsewhere(self) -> tuple[str, str]:
        """What was found then, and the next step."""
        return (
            f"not tried: urirestrict allows {' or '.join(self._patterns())} alone, and the call "
            f"that tries a session goes to {self._path}",
            f"make one of those calls with a session from `{PROGRAM} session {self._token_id}`",
        )

    def explain(self, error: KalturaError) -> tuple[str, str | None]:
        """Why the session is refused, and the next step."""
        change = f"{PROGRAM} update {self._token_id} --privileges ..."
        by_hint = {
            "SessionEnded": (
                "the server refuses it as ended: session.end was called with a session of this "
                "token, which ends all of them, later ones too",
                f"use another token: `{PROGRAM} rotate {self._token_id}` makes one like it",
            ),
            "SessionExpired": (
                "the server refuses it as expired, as soon as it was started",
                f"{PROGRAM} update {self._token_id} --session-duration 1h; if it has one, look at "
                "the token's expiry",
            ),
            "ActionsUsedUp": (
                f"the server refuses its first call: actionslimit is "
                f"{self._value('actionslimit') or 'not a number that gives one'}",
                f"give it the number of calls that a session is to make: {change}",
            ),
            "OtherAddress": (
                f"the server refuses it from here: iprestrict allows "
                f"{_spoken(self._value('iprestrict') or 'other addresses', '/')} alone; this "
                f"machine's address on the way there is {_own_address(self._url)}, unless a proxy "
                "or a router puts its own in its place",
                "use it on a machine with such an address, or change what the token allows: each "
                f"address is compared as a whole, ranges are not understood: {change}",
            ),
            "OtherPath": (
                f"the server refuses it for {self._path}: urirestrict allows "
                f"{_spoken(self._value('urirestrict') or 'other paths', '|')} alone, where no call "
                f"of {self._url} goes",
                "each path is compared as a whole, or up to a * at its end, as "
                f"{self._root}/service/media/*: {change}",
            ),
            "UnknownObject": self._role(),
        }
        by_code = {
            "INVALID_SET_ROLE": self._role(),
            "INVALID_ACTIONS_LIMIT": (
                f"the server refuses it: actionslimit is {self._value('actionslimit') or 'empty'}, "
                "which is no number of calls",
                f"give it the number of calls that a session is to make: {change}",
            ),
        }
        told = by_hint.get(error.hint_name or "") or by_code.get(error.code or "")
        if told is None:
            what = "the server refuses it" if error.code else "it could not be tried"
            return f"{what}: {error.message}", error.hint
        return f"{told[0]} ({error.code})", told[1]

    def _role(self) -> tuple[str, str]:
        role = self._value("setrole")
        return (
            "the server refuses every call with it: "
            + (
                f"setrole names the role {role}, which is unknown here"
                if role
                else "it lacks an id"
            ),
            "name a role of this account, by its number or its system name: "
            f"{PROGRAM} update {self._token_id} --privileges setrole:ROLE_ID,...",
        )

    @property
    def _root(self) -> str:
        from urllib.parse import urlsplit

        return urlsplit(self._url).path.rstrip("/")

    @property
    def _path(self) -> str:
        return self._root + _PROBE

    def _patterns(self) -> list[str]:
        return (self._value("urirestrict") or "").split("|")

    def _value(self, name: str) -> str | None:
        """The value of a privilege, or those of several of its name as the server joins them."""
        items = [item.partition(":") for item in self._privileges.split(",")]
        values = [value for own, colon, value in items if own.strip() == name and colon]
        return "/".join(values) if values else None


def _reaches(pattern: str, below: str) -> bool:
    """Whether it allows a path that begins so.

    >>> [_reaches(pattern, "/api_v3/") for pattern in ("/api_v3/service/media/*", "/a*", "/p/*")]
    [True, True, False]
    """
    if pattern.endswith("*") and below.startswith(pattern[:-1]):
        return True
    return pattern.startswith(below)


def _spoken(values: str, separator: str) -> str:
    return " or ".join(values.split(separator))


def _own_address(url: str) -> str:
    """This machine's address on the way to a server; nothing is sent to find it."""
    import socket
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    port = parts.port or (80 if parts.scheme == "http" else 443)
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_DGRAM)
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as way:
            way.connect(address)
            return str(way.getsockname()[0])
    except OSError:
        return "not known"
