"""Kaltura application tokens: create, list, update and delete them, exchange them for sessions.

    >>> from kaltura_app_token import Client
    >>> from kaltura_app_token.sandbox import Sandbox
    >>> with Sandbox() as sandbox:
    ...     admin = Client(sandbox.partner_id, admin_secret=sandbox.admin_secret,
    ...                    service_url=sandbox.service_url)
    ...     token = admin.add_token(description="nightly export")
    ...     integration = Client(sandbox.partner_id, service_url=sandbox.service_url)
    ...     session = integration.start_session(token.id, token.token)
    >>> session.ks
    Secret('****')

Importing it starts no thread, opens no connection, and loads the native half only when a name of it
is used: a command that prints its help does without.
"""

from .errors import (
    ApiError,
    CancelledError,
    ClosedError,
    ConfigError,
    DecodeError,
    ForkedProcessError,
    HttpError,
    InvalidSession,
    InvalidTokenHash,
    KalturaError,
    LocalError,
    NotUpdatable,
    OutcomeUnknown,
    PermissionDenied,
    RequestTimeout,
    RotationUnproved,
    TokenExpired,
    TokenNotActive,
    TokenNotFound,
    TransportError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._native import Client as Client
    from ._native import ResponseProfile as ResponseProfile
    from ._native import Secret as Secret
    from ._native import SessionProvider as SessionProvider
    from ._native import Settings as Settings
    from ._native import Sink as Sink
    from ._native import Tokens as Tokens
    from ._native import TokenSource as TokenSource
    from ._native import __version__ as __version__
    from ._native import audit as audit
    from ._native import describe_ks as describe_ks
    from ._native import dropped_privileges as dropped_privileges
    from ._native import ensure as ensure
    from ._native import lint_privileges as lint_privileges
    from ._native import normalize_service_url as normalize_service_url
    from ._native import open_ks as open_ks
    from ._native import plan_revocation as plan_revocation
    from ._native import resume_rotations as resume_rotations
    from ._native import revoke as revoke
    from ._native import rotate as rotate
    from ._native import sign_ks as sign_ks
    from ._native import token_hash as token_hash
    from .aio import AsyncClient as AsyncClient
    from .aio import AsyncSessionProvider as AsyncSessionProvider
    from .model import AppToken as AppToken
    from .model import Audit as Audit
    from .model import Ensured as Ensured
    from .model import Finding as Finding
    from .model import KsInfo as KsInfo
    from .model import PrivilegeLint as PrivilegeLint
    from .model import RevocationPlan as RevocationPlan
    from .model import Rotated as Rotated
    from .model import Session as Session
    from .model import SessionInfo as SessionInfo
    from .model import SessionType as SessionType
    from .model import TokenPage as TokenPage
    from .model import TokenStatus as TokenStatus
    from .observe import Event as Event
    from .observe import SessionProviderStats as SessionProviderStats


__all__ = [
    "ApiError",
    "AppToken",
    "AsyncClient",
    "AsyncSessionProvider",
    "Audit",
    "CancelledError",
    "Client",
    "ClosedError",
    "ConfigError",
    "DecodeError",
    "Ensured",
    "Event",
    "Finding",
    "ForkedProcessError",
    "HttpError",
    "InvalidSession",
    "InvalidTokenHash",
    "KalturaError",
    "KsInfo",
    "LocalError",
    "NotUpdatable",
    "OutcomeUnknown",
    "PermissionDenied",
    "PrivilegeLint",
    "RequestTimeout",
    "ResponseProfile",
    "RevocationPlan",
    "Rotated",
    "RotationUnproved",
    "Secret",
    "Session",
    "SessionInfo",
    "SessionProvider",
    "SessionProviderStats",
    "SessionType",
    "Settings",
    "Sink",
    "TokenExpired",
    "TokenNotActive",
    "TokenNotFound",
    "TokenPage",
    "TokenSource",
    "TokenStatus",
    "Tokens",
    "TransportError",
    "__version__",
    "audit",
    "describe_ks",
    "dropped_privileges",
    "ensure",
    "lint_privileges",
    "normalize_service_url",
    "open_ks",
    "plan_revocation",
    "resume_rotations",
    "revoke",
    "rotate",
    "sign_ks",
    "token_hash",
]

# Where a name is that is not in the native half.
_HOMES = {
    "AsyncClient": ".aio",
    "AsyncSessionProvider": ".aio",
    "AppToken": ".model",
    "Audit": ".model",
    "Ensured": ".model",
    "Event": ".observe",
    "Finding": ".model",
    "KsInfo": ".model",
    "PrivilegeLint": ".model",
    "RevocationPlan": ".model",
    "Rotated": ".model",
    "Session": ".model",
    "SessionInfo": ".model",
    "SessionProviderStats": ".observe",
    "SessionType": ".model",
    "TokenPage": ".model",
    "TokenStatus": ".model",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    home = import_module(_HOMES.get(name, "._native"), __name__)
    value: object = getattr(home, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
