"""Types of `kaltura_app_token.aio`."""

from collections.abc import AsyncIterator, Callable, Iterable
from datetime import datetime, timedelta
from os import PathLike
from typing import Literal

from typing_extensions import Self, Unpack

from ._native import (
    ResponseProfile,
    Secret,
    Settings,
    Sink,
    TokenSource,
    _ClientOptions,
    _HashType,
    _OrderedTokenFilter,
    _Privileges,
    _Refusal,
    _SessionType,
    _TokenField,
    _TokenFilter,
)
from .errors import KalturaError
from .model import (
    AppToken,
    Audit,
    Ensured,
    RevocationPlan,
    Rotated,
    Session,
    SessionInfo,
    TokenPage,
)
from .observe import SessionProviderStats

class AsyncClient:
    def __init__(
        self,
        partner_id: int | None = None,
        *,
        admin_secret: str | Secret | None = None,
        ks: str | Secret | None = None,
        service_url: str | None = None,
        user_id: str | None = None,
        admin_session_duration: float | timedelta | None = None,
        admin_privileges: _Privileges | None = None,
        **options: Unpack[_ClientOptions],
    ) -> None: ...
    @classmethod
    def from_settings(
        cls,
        settings: Settings,
        **options: Unpack[_ClientOptions],
    ) -> Self: ...
    @classmethod
    def from_env(cls, **options: Unpack[_ClientOptions]) -> Self: ...
    @classmethod
    def from_config(
        cls, path: str | PathLike[str] = "config.json", **options: Unpack[_ClientOptions]
    ) -> Self: ...
    async def aclose(self) -> None: ...
    async def __aenter__(self) -> Self: ...
    async def __aexit__(self, *exc_info: object) -> None: ...
    def __del__(self) -> None: ...
    @property
    def service_url(self) -> str: ...
    @property
    def partner_id(self) -> int | None: ...
    @property
    def clock_difference(self) -> int | None: ...
    async def add_token(
        self,
        *,
        description: str | None = None,
        hash_type: _HashType | None = "SHA256",
        session_type: _SessionType | int | None = "USER",
        session_duration: float | timedelta | None = None,
        session_privileges: _Privileges | None = None,
        session_user_id: str | None = None,
        expiry: int | datetime | None = None,
        response_profile: ResponseProfile | None = None,
    ) -> AppToken: ...
    async def get_token(
        self, id: str | AppToken, *, response_profile: ResponseProfile | None = None
    ) -> AppToken: ...
    async def list_tokens(
        self,
        *,
        page_size: int = 500,
        page_index: int = 1,
        with_secrets: bool = False,
        response_profile: ResponseProfile | None = None,
        **filters: Unpack[_OrderedTokenFilter],
    ) -> TokenPage: ...
    def tokens(
        self,
        *,
        with_secrets: bool = False,
        response_profile: ResponseProfile | None = None,
        **filters: Unpack[_TokenFilter],
    ) -> AsyncIterator[AppToken]: ...
    async def update_token(
        self,
        id: str | AppToken,
        *,
        description: str | None = None,
        hash_type: _HashType | None = None,
        session_type: _SessionType | int | None = None,
        session_duration: float | timedelta | None = None,
        session_privileges: _Privileges | None = None,
        session_user_id: str | None = None,
        expiry: int | datetime | None = None,
        clear: Iterable[_TokenField] = (),
        response_profile: ResponseProfile | None = None,
    ) -> AppToken: ...
    def preview_add(
        self,
        *,
        description: str | None = None,
        hash_type: _HashType | None = "SHA256",
        session_type: _SessionType | int | None = "USER",
        session_duration: float | timedelta | None = None,
        session_privileges: _Privileges | None = None,
        session_user_id: str | None = None,
        expiry: int | datetime | None = None,
    ) -> list[tuple[str, str]]: ...
    def preview_update(
        self,
        id: str | AppToken,
        *,
        description: str | None = None,
        hash_type: _HashType | None = None,
        session_type: _SessionType | int | None = None,
        session_duration: float | timedelta | None = None,
        session_privileges: _Privileges | None = None,
        session_user_id: str | None = None,
        expiry: int | datetime | None = None,
        clear: Iterable[_TokenField] = (),
    ) -> list[tuple[str, str]]: ...
    async def delete_token(self, id: str | AppToken) -> None: ...
    async def start_session(
        self,
        id: str | AppToken,
        token: str | Secret | None = None,
        *,
        hash_type: _HashType | None = None,
        user_id: str | None = None,
        session_type: _SessionType | int | None = None,
        duration: float | timedelta | None = None,
        privileges: _Privileges | None = None,
    ) -> Session: ...
    async def start_widget_session(self) -> Session: ...
    async def start_admin_session(self) -> Session: ...
    def sign_admin_session(self, *, version: Literal[1, 2] = 2) -> Session: ...
    async def session_info(self, ks: str | Secret | None = None) -> SessionInfo: ...
    async def end_session(self, ks: str | Secret) -> None: ...

class AsyncSessionProvider:
    def __init__(
        self,
        client: AsyncClient,
        source: TokenSource,
        *,
        hash_type: _HashType | Literal["auto"] = "SHA256",
        capacity: int = 10_000,
        renew_when_left: float | None = None,
        renewal_wait: float | timedelta | None = None,
    ) -> None: ...
    async def get(
        self,
        *,
        user_id: str | None = None,
        session_type: _SessionType | int | None = None,
        privileges: _Privileges | None = None,
        duration: float | timedelta | None = None,
        min_remaining: float | timedelta | None = None,
    ) -> Session: ...
    async def reject(self, session: Session, reason: _Refusal = "EXPIRED") -> Session: ...
    def stats(self) -> SessionProviderStats: ...

async def audit(client: AsyncClient, **filters: Unpack[_TokenFilter]) -> Audit: ...
async def ensure(
    client: AsyncClient,
    *,
    description: str,
    hash_type: _HashType | None = "SHA256",
    session_type: _SessionType | int | None = "USER",
    session_duration: float | timedelta | None = None,
    session_privileges: _Privileges | None = None,
    session_user_id: str | None = None,
    expiry: int | datetime | None = None,
) -> Ensured: ...
async def plan_revocation(
    client: AsyncClient,
    *,
    ids: Iterable[str | AppToken] | RevocationPlan | None = None,
    created_before: int | datetime | None = None,
    description: str | None = None,
    user_id: str | None = None,
) -> RevocationPlan: ...
async def revoke(
    client: AsyncClient, ids: Iterable[str | AppToken] | RevocationPlan
) -> dict[str, KalturaError | None]: ...
async def rotate(
    client: AsyncClient,
    ids: Iterable[str | AppToken] | RevocationPlan,
    *,
    journal: str | PathLike[str],
    sink: Sink,
    hash_type: _HashType | None = None,
    expiry: int | datetime | None = None,
    delete_now: bool = False,
    delete_after: float | timedelta | None = None,
    concurrency: int = 4,
    progress: Callable[[str, str], object] | None = None,
) -> list[Rotated]: ...
async def resume_rotations(
    client: AsyncClient,
    *,
    journal: str | PathLike[str],
    sink: Sink,
    undo: bool = False,
    progress: Callable[[str, str], object] | None = None,
) -> list[Rotated]: ...
