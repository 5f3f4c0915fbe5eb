"""Types of `kaltura_app_token.aio`."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta
from os import PathLike
from typing import Literal

from typing_extensions import Self, Unpack

from ._native import (
    AppToken,
    Audit,
    Ensured,
    ResponseProfile,
    RevocationPlan,
    Rotated,
    Secret,
    Session,
    SessionInfo,
    Settings,
    Sink,
    TokenPage,
    TokenSource,
    _ClientOptions,
    _HashType,
    _OrderedTokenFilter,
    _Refusal,
    _SessionType,
    _TokenField,
    _TokenFilter,
)
from .errors import KalturaError
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
        admin_session_duration: int | timedelta | None = None,
        admin_privileges: str | None = None,
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
        session_duration: int | timedelta | None = None,
        session_privileges: str | None = None,
        session_user_id: str | None = None,
        expiry: int | datetime | None = None,
        response_profile: ResponseProfile | None = None,
    ) -> AppToken: ...
    async def get_token(
        self, id: str, *, response_profile: ResponseProfile | None = None
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
        id: str,
        *,
        description: str | None = None,
        hash_type: _HashType | None = None,
        session_type: _SessionType | int | None = None,
        session_duration: int | timedelta | None = None,
        session_privileges: str | None = None,
        session_user_id: str | None = None,
        expiry: int | datetime | None = None,
        clear: Sequence[_TokenField] = (),
        response_profile: ResponseProfile | None = None,
    ) -> AppToken: ...
    def preview_add(
        self,
        *,
        description: str | None = None,
        hash_type: _HashType | None = "SHA256",
        session_type: _SessionType | int | None = "USER",
        session_duration: int | timedelta | None = None,
        session_privileges: str | None = None,
        session_user_id: str | None = None,
        expiry: int | datetime | None = None,
    ) -> list[tuple[str, str]]: ...
    def preview_update(
        self,
        id: str,
        *,
        description: str | None = None,
        hash_type: _HashType | None = None,
        session_type: _SessionType | int | None = None,
        session_duration: int | timedelta | None = None,
        session_privileges: str | None = None,
        session_user_id: str | None = None,
        expiry: int | datetime | None = None,
        clear: Sequence[_TokenField] = (),
    ) -> list[tuple[str, str]]: ...
    async def delete_token(self, id: str) -> None: ...
    async def start_session(
        self,
        id: str,
        token: str | Secret,
        *,
        hash_type: _HashType = "SHA256",
        user_id: str | None = None,
        session_type: _SessionType | int | None = None,
        expiry: int | timedelta | None = None,
        privileges: str | None = None,
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
        privileges: str | None = None,
        duration: int | timedelta | None = None,
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
    session_duration: int | timedelta | None = None,
    session_privileges: str | None = None,
    session_user_id: str | None = None,
    expiry: int | datetime | None = None,
) -> Ensured: ...
async def plan_revocation(
    client: AsyncClient,
    *,
    ids: Sequence[str] | None = None,
    created_before: int | datetime | None = None,
    description: str | None = None,
    user_id: str | None = None,
) -> RevocationPlan: ...
async def revoke(client: AsyncClient, ids: Sequence[str]) -> dict[str, KalturaError | None]: ...
async def rotate(
    client: AsyncClient,
    ids: Sequence[str],
    *,
    journal: str | PathLike[str],
    sink: Sink,
    hash_type: _HashType | None = None,
    expiry: int | datetime | None = None,
    delete_now: bool = False,
    delete_after: int | timedelta | None = None,
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
