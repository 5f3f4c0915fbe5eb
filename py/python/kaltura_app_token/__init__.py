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

Importing it starts no thread and opens no connection.
"""

from ._native import (
    AppToken,
    Client,
    KsInfo,
    PrivilegeLint,
    ResponseProfile,
    Secret,
    Session,
    SessionInfo,
    Settings,
    TokenPage,
    Tokens,
    __version__,
    describe_ks,
    dropped_privileges,
    lint_privileges,
    normalize_service_url,
    open_ks,
    sign_ks,
    token_hash,
)
from .errors import (
    ApiError,
    CancelledError,
    ConfigError,
    DecodeError,
    ForkedProcessError,
    HttpError,
    InvalidSession,
    InvalidTokenHash,
    KalturaError,
    NotUpdatable,
    OutcomeUnknown,
    PermissionDenied,
    RequestTimeout,
    TokenExpired,
    TokenNotActive,
    TokenNotFound,
    TransportError,
)

__all__ = [
    "ApiError",
    "AppToken",
    "CancelledError",
    "Client",
    "ConfigError",
    "DecodeError",
    "ForkedProcessError",
    "HttpError",
    "InvalidSession",
    "InvalidTokenHash",
    "KalturaError",
    "KsInfo",
    "NotUpdatable",
    "OutcomeUnknown",
    "PermissionDenied",
    "PrivilegeLint",
    "RequestTimeout",
    "ResponseProfile",
    "Secret",
    "Session",
    "SessionInfo",
    "Settings",
    "TokenExpired",
    "TokenNotActive",
    "TokenNotFound",
    "TokenPage",
    "Tokens",
    "TransportError",
    "__version__",
    "describe_ks",
    "dropped_privileges",
    "lint_privileges",
    "normalize_service_url",
    "open_ks",
    "sign_ks",
    "token_hash",
]
