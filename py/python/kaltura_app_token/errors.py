"""What calls of this package raise: one class for each kind of failure.

The classes live in Python so that they can be pickled, subclassed and caught without the native
half. Nothing here knows how a failure comes about; the texts have been scrubbed of credentials.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal, TypeAlias

    HintName: TypeAlias = Literal[
        "AccountBlocked",
        "ActionsUsedUp",
        "BegunAnew",
        "CallAgainHere",
        "CompareTokens",
        "Connection",
        "CopyTheTemplate",
        "DeadAtBirth",
        "DurationFirst",
        "FilePerToken",
        "FillIn",
        "FinishInstead",
        "FinishOrDelete",
        "Firewalled",
        "Forbidden",
        "ForbiddenCharacter",
        "ForeignSession",
        "HashDiffers",
        "HttpNotAllowed",
        "JournalDamaged",
        "JournalInUse",
        "LeaveOutOne",
        "ListBeforeCreating",
        "NameServer",
        "NoAccount",
        "NoAdminSession",
        "NoApiThere",
        "NotText",
        "NotUpdatable",
        "OneSource",
        "OtherAccount",
        "OtherAddress",
        "OtherPath",
        "Overloaded",
        "Pem",
        "ProxyWantsCredentials",
        "QueueOfItsOwn",
        "Redirected",
        "RefusedValue",
        "RequestsLimited",
        "ResumeFirst",
        "ResumeRotation",
        "RotateByHand",
        "SecretAlone",
        "ServerFailed",
        "SessionEnded",
        "SessionExpired",
        "TokenDisabled",
        "TokenExpired",
        "UnknownAccount",
        "UnknownObject",
        "UnknownToken",
        "UnknownValue",
        "UnsetOne",
        "UrlBesideAccount",
        "WalkInstead",
        "WriteTheScheme",
        "WrongClock",
        "WrongCredentials",
    ]
    """What hints are called: one name for each next step that is known."""


class KalturaError(Exception):
    """The base of everything that a call of this package raises on purpose.

    Attributes:
        message: What happened, in one line, without credentials.
        hint: The likely cause and the next step, where one is known. From Python 3.11 on a
            traceback shows it below the message.
        hint_name: A name for that hint, by which a program can put words of its own in its place:
            one of `HintName`; `None` also for a hint that names something of the failure itself.
        cause: With `TransportError`, why no connection came about: `dns`, `refused`, `timeout`,
            `tls_trust`, `tls_protocol`, `proxy`, `reset` or `other`; `None` when one did and broke.
        code: The code of the API's exception, as the server spelled it.
        api_args: The arguments of the API's exception by name.
        http_status: The HTTP status, when it was not 200.
        retryable: Whether the same call may succeed later without any change.
        request: The request that failed, as `service.action`.
        attempts: How often it was sent, or tried to be sent.
        candidate_ids: With `OutcomeUnknown`, ids of tokens that may be the one in doubt.
    """

    message: str
    hint: str | None
    hint_name: HintName | None
    cause: str | None
    code: str | None
    api_args: dict[str, str]
    http_status: int | None
    retryable: bool
    request: str | None
    attempts: int
    candidate_ids: tuple[str, ...]

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        hint_name: HintName | None = None,
        cause: str | None = None,
        code: str | None = None,
        api_args: dict[str, str] | None = None,
        http_status: int | None = None,
        retryable: bool = False,
        request: str | None = None,
        attempts: int = 0,
        candidate_ids: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.hint_name = hint_name
        self.cause = cause
        self.code = code
        self.api_args = dict(api_args or {})
        self.http_status = http_status
        self.retryable = retryable
        self.request = request
        self.attempts = attempts
        self.candidate_ids = tuple(candidate_ids)
        if hint is not None and sys.version_info >= (3, 11):
            self.add_note(f"hint: {hint}")

    def __reduce__(self) -> tuple[object, ...]:
        state = dict(self.__dict__)
        # A copy gets notes of its own.
        notes = tuple(state.pop("__notes__", ()))
        return (_rebuild, (type(self), self.message, state, notes, getattr(self, "errno", None)))


def _rebuild(
    cls: type[KalturaError],
    message: str,
    state: dict[str, object],
    notes: tuple[str, ...],
    errno: int | None,
) -> KalturaError:
    error = cls(message)
    error.__dict__.update(state)
    if notes:
        error.__dict__["__notes__"] = list(notes)
    if errno is not None:
        error.errno = errno  # type: ignore[attr-defined]
    return error


class ConfigError(KalturaError, ValueError):
    """The input or the configuration cannot be used; nothing was sent."""


class TransportError(KalturaError):
    """No connection came about, or it broke."""


class RequestTimeout(KalturaError, TimeoutError):
    """An attempt or the whole call took too long."""


class HttpError(KalturaError):
    """The server, or something before it, answered with an HTTP status other than 200."""


class DecodeError(KalturaError):
    """The answer is not what the API answers."""


class OutcomeUnknown(KalturaError):
    """A token may or may not have been created: see `candidate_ids`. Never repeated by itself."""


class LocalError(KalturaError, OSError):
    """A file of this machine could not be written, locked or kept.

    `errno` is the system's number of what failed, where the failure comes from the system; the
    message names the file.
    """

    def __init__(self, message: str, *, errno: int | None = None, **details: Any) -> None:
        super().__init__(message, **details)
        self.errno = errno


class RotationUnproved(KalturaError):
    """A rotation's new token could not be shown to be as good as the old one."""


class CancelledError(KalturaError):
    """The call was cancelled."""


class ForkedProcessError(KalturaError, RuntimeError):
    """The call was under way in the process that this one was forked from."""


class ClosedError(KalturaError, ValueError):
    """The client was closed, before the call or in the middle of it."""


class ApiError(KalturaError):
    """The API answered with an exception; `code` says which."""


class TokenNotFound(ApiError):
    """`APP_TOKEN_ID_NOT_FOUND`, in the guide `INVALID_APP_TOKEN_ID`."""


class InvalidTokenHash(ApiError):
    """`INVALID_APP_TOKEN_HASH`."""


class TokenNotActive(ApiError):
    """`APP_TOKEN_NOT_ACTIVE`."""


class TokenExpired(ApiError):
    """`APP_TOKEN_EXPIRED`, in the guide `EXPIRED_TOKEN`."""


class NotUpdatable(ApiError):
    """`PROPERTY_VALIDATION_NOT_UPDATABLE`."""


class InvalidSession(ApiError):
    """`INVALID_KS`."""


class PermissionDenied(ApiError):
    """`SERVICE_FORBIDDEN`, `SERVICE_FORBIDDEN_CONTENT_BLOCKED`."""


_BY_KIND: dict[str, type[KalturaError]] = {
    "Config": ConfigError,
    "Connect": TransportError,
    "Interrupted": TransportError,
    "Timeout": RequestTimeout,
    "Http": HttpError,
    "Decode": DecodeError,
    "Api": ApiError,
    "OutcomeUnknown": OutcomeUnknown,
    "Local": LocalError,
    "Unproved": RotationUnproved,
    "Cancelled": CancelledError,
    "Forked": ForkedProcessError,
    "Closed": ClosedError,
    "AppTokenIdNotFound": TokenNotFound,
    "InvalidAppTokenHash": InvalidTokenHash,
    "AppTokenNotActive": TokenNotActive,
    "AppTokenExpired": TokenExpired,
    "NotUpdatable": NotUpdatable,
    "InvalidKs": InvalidSession,
    "ServiceForbidden": PermissionDenied,
    "PartnerBlocked": PermissionDenied,
}

_EXIT_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (ConfigError, 2),
    (ApiError, 3),
    (OutcomeUnknown, 5),
    (LocalError, 7),
    (RotationUnproved, 8),
    (CancelledError, 130),
    (KeyboardInterrupt, 130),
    (ForkedProcessError, 70),
    (ClosedError, 70),
    (KalturaError, 4),
)


def exit_code(error: BaseException) -> int:
    """The exit code of a command that ends with this error: the error table of the README."""
    for kind, code in _EXIT_CODES:
        if isinstance(error, kind):
            return code
    return 70
