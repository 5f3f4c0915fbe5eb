"""What calls of this package raise: one class for each kind of failure.

The classes live in Python so that they can be pickled, subclassed and caught without the native
half. Nothing here knows how a failure comes about; the texts have been scrubbed of credentials.
"""

from __future__ import annotations


class KalturaError(Exception):
    """The base of everything that a call of this package raises on purpose.

    Attributes:
        message: What happened, in one line, without credentials.
        hint: The likely cause and the next step, where one is known.
        hint_name: A name for that hint, by which a program can put words of its own in its place.
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
    hint_name: str | None
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
        hint_name: str | None = None,
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

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.message, dict(self.__dict__)))


def _rebuild(cls: type[KalturaError], message: str, state: dict[str, object]) -> KalturaError:
    error = cls(message)
    error.__dict__.update(state)
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
    """A file of this machine could not be written, locked or kept."""


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
