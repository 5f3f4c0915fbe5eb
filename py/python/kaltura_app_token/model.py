"""What calls answer: frozen dataclasses, and the API's enumerations.

The native half fills them without calling `__init__`, field by field in the names that stand here.
They can be compared, hashed, copied, matched and, but for what holds a credential, pickled. Nothing
here knows how an answer comes about.
"""

from __future__ import annotations

from enum import IntEnum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from dataclasses import dataclass
    from datetime import datetime
    from typing import Any, ClassVar, TypeVar

    from ._native import Secret
    from .errors import KalturaError

    _Self = TypeVar("_Self", bound="_Result")
else:
    from ._frozen import dataclass
    from ._native import Secret
    from .errors import KalturaError

_MASK = "****"


class _Open(IntEnum):
    """Numbers with names; one that has none here is kept, and its name is its digits."""

    @classmethod
    def _missing_(cls, value: object) -> _Open | None:
        if not isinstance(value, int) or isinstance(value, bool):
            return None
        member = int.__new__(cls, value)
        member._name_ = str(int(value))
        member._value_ = int(value)
        return member

    def __str__(self) -> str:
        return self._name_

    def __format__(self, spec: str) -> str:
        return format(self._name_, spec)

    def __repr__(self) -> str:
        known = self._name_ in type(self).__members__
        return f"{type(self).__name__}" + (f".{self._name_}" if known else f"({self._name_})")

    def __reduce_ex__(self, _protocol: object) -> tuple[object, ...]:
        return (type(self), (int(self),))

    def __copy__(self) -> _Open:
        return self

    def __deepcopy__(self, _memo: object) -> _Open:
        return self


class TokenStatus(_Open):
    """Whether a token can be exchanged. Equal to the API's number; `str()` is the name.

    Example:
        >>> status = client.add_token().status
        >>> f"{status}", status == 2, str(kat.TokenStatus(9))
        ('ACTIVE', True, '9')
    """

    DISABLED = 1
    ACTIVE = 2
    DELETED = 3


class SessionType(_Open):
    """The type of a session. Equal to the API's number; `str()` is the name.

    Example:
        >>> client.add_token(session_type=kat.SessionType.ADMIN).session_type
        SessionType.ADMIN
    """

    USER = 0
    ADMIN = 2


class _Result:
    """What all results can do."""

    __slots__ = ()

    if TYPE_CHECKING:
        __match_args__: tuple[str, ...] = ()
        _values: ClassVar[Callable[[_Result], tuple[Any, ...]]]
        _defaults: ClassVar[dict[str, Any]]

    def __repr__(self) -> str:
        shown = [
            f"{name}={value!r}"
            for name, value in self._pairs()
            if name not in self._defaults or value != self._defaults[name]
        ]
        return _masked(f"{type(self).__name__}({', '.join(shown)})", self._credentials())

    def _pairs(self) -> Iterator[tuple[str, Any]]:
        return zip(self.__match_args__, type(self)._values(self), strict=True)

    def to_dict(self, *, reveal: bool = False) -> dict[str, Any]:
        """The fields by their names, for JSON: credentials masked unless they are to be revealed.

        Example:
            >>> kat.Secret("value"), client.add_token().to_dict()["token"]
            (Secret('****'), '****')
        """
        hidden = [] if reveal else self._credentials()
        return {name: _plain(value, reveal, hidden) for name, value in self._pairs()}

    def _credentials(self) -> list[str]:
        """The credentials among the fields."""
        return [value.reveal() for _, value in self._pairs() if isinstance(value, Secret) and value]

    def __copy__(self: _Self) -> _Self:
        return self

    def __deepcopy__(self: _Self, _memo: object) -> _Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        for name, value in self._pairs():
            if isinstance(value, Secret):
                raise TypeError(
                    f"{type(self).__name__} holds a credential and is not pickled: "
                    f".{name}.reveal() gives what must travel"
                )
        return (type(self), type(self)._values(self))

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: object) -> Any:
        from ._pydantic import result_schema

        return result_schema(cls)


def _plain(value: Any, reveal: bool, hidden: list[str]) -> Any:
    """A value as JSON has it."""
    if isinstance(value, Secret):
        return value.reveal() if reveal else _MASK
    if isinstance(value, _Result):
        return value.to_dict(reveal=reveal)
    if isinstance(value, tuple):
        return [_plain(one, reveal, hidden) for one in value]
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"
    if isinstance(value, str):
        return _masked(value, hidden)
    return int(value) if isinstance(value, _Open) else value


def _masked(text: str, credentials: list[str]) -> str:
    """Without credentials, which a server may echo in any field."""
    for credential in credentials:
        text = text.replace(credential, _MASK)
    return text


def _instant(unix: int | None) -> datetime | None:
    """Unix seconds as an aware `datetime`; none for what no calendar holds."""
    if unix is None:
        return None
    from datetime import datetime, timezone

    try:
        return datetime.fromtimestamp(unix, timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None


class _Expiring(_Result):
    __slots__ = ()

    @property
    def expires_at(self: Any) -> datetime | None:
        """`expiry` as an aware `datetime`; `None` also for a time that no calendar holds."""
        return _instant(self.expiry)


class _FromProvider(_Expiring):
    """A session remembers what it was asked for, so that a provider can replace it."""

    __slots__ = ("_origin",)


@dataclass(frozen=True, slots=True)
class AppToken(_Expiring):
    """A token. A field is `None` when the server left it out.

    Attributes:
        id: Such as `"1_ab12cd34"`.
        token: Its value; `None` where a list left it on the server.
        partner_id: The account it belongs to.
        status: Whether it can be exchanged.
        session_type: The type of its sessions; `None`: whoever exchanges it chooses.
        session_duration: The longest life of its sessions in seconds.
        session_privileges: The privileges of its sessions.
        session_user_id: The user of its sessions; `None`: whoever exchanges it chooses.
        hash_type: The algorithm of the hash that proves knowledge of its value.
        description: Whatever its creator noted down.
        expiry: When it stops working, in unix seconds; `None`: never. See `expires_at`.
        created_at: When it was created, in unix seconds.
        updated_at: When it was last changed, in unix seconds.
    """

    id: str
    token: Secret | None = None
    partner_id: int | None = None
    status: TokenStatus | None = None
    session_type: SessionType | None = None
    session_duration: int | None = None
    session_privileges: str | None = None
    session_user_id: str | None = None
    hash_type: str | None = None
    description: str | None = None
    expiry: int | None = None
    created_at: int | None = None
    updated_at: int | None = None


@dataclass(frozen=True, slots=True)
class TokenPage(_Result):
    """One page of a list of tokens, and how many there are in all."""

    tokens: tuple[AppToken, ...]
    total_count: int


@dataclass(frozen=True, slots=True)
class Session(_FromProvider):
    """A session that was started.

    Attributes:
        ks: The session itself, for the `ks` parameter of API calls.
        session_type: Its type, where the server says it; so are all below.
        partner_id: Its account.
        user_id: Its user.
        expiry: When it ends, in unix seconds by the server's clock. See `expires_at`.
        privileges: Its effective privileges.
        dropped_privileges: Those that were asked for and are not among the effective ones.
    """

    ks: Secret
    session_type: SessionType | None = None
    partner_id: int | None = None
    user_id: str | None = None
    expiry: int | None = None
    privileges: str | None = None
    dropped_privileges: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SessionInfo(_Expiring):
    """What the server reads from a session."""

    session_type: SessionType | None = None
    partner_id: int | None = None
    user_id: str | None = None
    expiry: int | None = None
    privileges: str | None = None


@dataclass(frozen=True, slots=True)
class KsInfo(_Expiring):
    """A session string as far as it could be read.

    Attributes:
        version: Its format: 1 or 2.
        verified: Whether a secret proved it genuine; never so without a secret.
        partner_id: Its account.
        session_type: Its type.
        user_id: Its user.
        expiry: When it ends, in unix seconds. See `expires_at`.
        privileges: Its privileges; `None` where they cannot be read without the secret.
        master_partner_id: The account on whose behalf it is used.
        additional_data: Any text that travels along.
        random: What makes it different from another with the same fields.
    """

    version: int
    verified: bool
    partner_id: int | None = None
    session_type: SessionType | None = None
    user_id: str | None = None
    expiry: int | None = None
    privileges: str | None = None
    master_partner_id: int | None = None
    additional_data: str | None = None
    random: str | None = None


@dataclass(frozen=True, slots=True)
class PrivilegeLint(_Result):
    """One thing about privileges that will not work as it reads."""

    rule: str
    privilege: str
    message: str


@dataclass(frozen=True, slots=True)
class Finding(_Result):
    """Something about a token, and the words of the command that puts it right."""

    token_id: str
    rule: str
    severity: str
    reason: str
    fix: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Audit(_Result):
    """What an audit found, and among how many tokens."""

    tokens: int
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Ensured(_Result):
    """What `ensure` found or made, and the ids of others that are just like it.

    Attributes:
        token: The token; its value is there when it was created now.
        created: Whether it was.
        duplicates: The ids of others.
    """

    token: AppToken
    created: bool
    duplicates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RevocationPlan(_Result):
    """What `revoke` would delete, and the ids that were asked for and are not there."""

    tokens: tuple[AppToken, ...]
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rotated(_Result):
    """What one rotation came to.

    Attributes:
        old_id: The token that was to be replaced.
        new_id: The one that replaces it, once it is known.
        state: How far it came; `None`: nothing was begun.
        old_deleted: Whether the old token is deleted.
        error: Why it did not come to its end.
        finish: The words of the command that brings it there; empty when nothing is left to do.
    """

    old_id: str
    new_id: str | None = None
    state: str | None = None
    old_deleted: bool = False
    error: KalturaError | None = None
    finish: tuple[str, ...] = ()
