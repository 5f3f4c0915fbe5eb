"""The native half of the package; everything public here is re-exported by `kaltura_app_token`."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from os import PathLike
from typing import Any, Literal, TypedDict, final

from typing_extensions import Unpack

from .errors import KalturaError
from .model import (
    AppToken,
    Audit,
    Ensured,
    KsInfo,
    PrivilegeLint,
    RevocationPlan,
    Rotated,
    Session,
    SessionInfo,
    SessionType,
    TokenPage,
    TokenStatus,
)
from .observe import Event, SessionProviderStats

_HashType = Literal["MD5", "SHA1", "SHA256", "SHA512"]
_SessionType = Literal["USER", "ADMIN"] | SessionType
_TokenStatus = Literal["DISABLED", "ACTIVE", "DELETED"] | TokenStatus
_Privileges = str | Iterable[str]
_Refusal = Literal[
    "EXPIRED",
    "LOGOUT",
    "EXCEEDED_ACTIONS_LIMIT",
    "EXCEEDED_RESTRICTED_IP",
    "EXCEEDED_RESTRICTED_URI",
    "INVALID",
]
_TokenField = Literal[
    "sessionType", "sessionDuration", "sessionPrivileges", "sessionUserId", "description", "expiry"
]
_TokenOrder = Literal["+createdAt", "-createdAt", "+updatedAt", "-updatedAt"]

__version__: str
__all__ = [
    "Client",
    "LoopQueue",
    "ResponseProfile",
    "Sandbox",
    "Secret",
    "SessionProvider",
    "Settings",
    "Sink",
    "TokenSource",
    "Tokens",
    "Walk",
    "__version__",
    "audit",
    "describe_ks",
    "dropped_privileges",
    "ensure",
    "lint_privileges",
    "normalize_service_url",
    "open_ks",
    "plan_revocation",
    "read_configuration",
    "resume_rotations",
    "revoke",
    "rotate",
    "sandbox_main",
    "sign_ks",
    "tell_of_waits",
    "token_hash",
]

class _ClientOptions(TypedDict, total=False):
    """How a client reaches the server; every option may be left out.

    Timeouts and the backoff are seconds or a `timedelta`.
    """

    admin_session: Literal["signed", "signed-v1", "started"]
    allow_http: bool
    user_agent: str | None
    connect_timeout: float | timedelta | None
    attempt_timeout: float | timedelta | None
    total_timeout: float | timedelta | None
    idle_timeout: float | timedelta | None
    max_retries: int | None
    retry_backoff: float | timedelta | None
    max_response_bytes: int | None
    proxy: str | None
    ca_file: str | PathLike[str] | None
    ca_pem: str | bytes | None
    client_certificate: tuple[str | bytes, str | bytes | Secret] | None
    on_event: Callable[[Event], object] | None
    network_environment: bool

class _TokenFilter(TypedDict, total=False):
    """Which tokens to list. Instants are unix seconds or an aware `datetime`."""

    id_equal: str | AppToken | None
    id_in: Iterable[str | AppToken] | None
    status_equal: _TokenStatus | int | None
    status_in: Iterable[_TokenStatus | int] | None
    created_at_greater_than_or_equal: int | datetime | None
    created_at_less_than_or_equal: int | datetime | None
    updated_at_greater_than_or_equal: int | datetime | None
    updated_at_less_than_or_equal: int | datetime | None
    session_user_id_equal: str | None
    hash_type_equal: _HashType | None
    session_type_equal: _SessionType | int | None

class _OrderedTokenFilter(_TokenFilter, total=False):
    order_by: _TokenOrder | None

@final
class Secret:
    """A credential. `str`, `repr` and formatting show a mask; it cannot be pickled."""

    def __new__(cls, value: str | Secret) -> Secret: ...
    def reveal(self) -> str: ...
    def __bool__(self) -> bool: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __copy__(self) -> Secret: ...
    def __deepcopy__(self, _memo: object, /) -> Secret: ...
    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: object) -> Any: ...

@final
class Settings:
    def __new__(
        cls,
        *,
        partner_id: int | None = None,
        admin_secret: str | Secret | None = None,
        ks: str | Secret | None = None,
        service_url: str | None = None,
        user_id: str | None = None,
        admin_session_duration: float | timedelta | None = None,
        admin_privileges: _Privileges | None = None,
        app_token_id: str | AppToken | None = None,
        app_token: str | Secret | None = None,
        profile: str | None = None,
        found: bool = False,
    ) -> Settings: ...
    @staticmethod
    def from_env() -> Settings: ...
    @staticmethod
    def from_config_file(path: str | PathLike[str]) -> Settings: ...
    @staticmethod
    def resolve(
        sources: Sequence[Settings], need: Literal["exchange", "admin", "show"]
    ) -> Settings: ...
    def names_account(self) -> bool: ...
    def __copy__(self) -> Settings: ...
    def __deepcopy__(self, _memo: object, /) -> Settings: ...
    @property
    def source(self) -> str: ...
    @property
    def partner_id(self) -> int | None: ...
    @property
    def admin_secret(self) -> Secret | None: ...
    @property
    def ks(self) -> Secret | None: ...
    @property
    def service_url(self) -> str | None: ...
    @property
    def service_url_source(self) -> str | None: ...
    @property
    def user_id(self) -> str | None: ...
    @property
    def admin_session_duration(self) -> int | None: ...
    @property
    def admin_privileges(self) -> str | None: ...
    @property
    def app_token_id(self) -> str | None: ...
    @property
    def app_token(self) -> Secret | None: ...
    @property
    def warnings(self) -> tuple[str, ...]: ...

@final
class ResponseProfile:
    @staticmethod
    def include(*fields: str) -> ResponseProfile: ...
    @staticmethod
    def exclude(*fields: str) -> ResponseProfile: ...
    @staticmethod
    def stored(*, id: int | None = None, system_name: str | None = None) -> ResponseProfile: ...
    @staticmethod
    def full(
        name: str,
        system_name: str,
        *,
        include: Iterable[str] | None = None,
        exclude: Iterable[str] | None = None,
    ) -> ResponseProfile: ...
    def __copy__(self) -> ResponseProfile: ...
    def __deepcopy__(self, _memo: object, /) -> ResponseProfile: ...

@final
class Tokens:
    def __iter__(self) -> Iterator[AppToken]: ...
    def __next__(self) -> AppToken: ...

@final
class LoopQueue:
    def __new__(cls) -> LoopQueue: ...
    def fileno(self) -> int: ...
    def cancel(self, operation: int) -> None: ...
    def next(self) -> tuple[int, object, BaseException | None] | None: ...

@final
class Walk: ...

@final
class Client:
    def __new__(
        cls,
        partner_id: int | None = None,
        *,
        admin_secret: str | Secret | None = None,
        ks: str | Secret | None = None,
        service_url: str | None = None,
        user_id: str | None = None,
        admin_session_duration: float | timedelta | None = None,
        admin_privileges: _Privileges | None = None,
        **options: Unpack[_ClientOptions],
    ) -> Client: ...
    @staticmethod
    def from_settings(
        settings: Settings,
        **options: Unpack[_ClientOptions],
    ) -> Client: ...
    @staticmethod
    def from_env(**options: Unpack[_ClientOptions]) -> Client: ...
    @staticmethod
    def from_config(
        path: str | PathLike[str] = "config.json", **options: Unpack[_ClientOptions]
    ) -> Client: ...
    def __enter__(self) -> Client: ...
    def __exit__(self, *exc_info: object) -> None: ...
    def close(self) -> None: ...
    def _close(self, patience: float) -> None: ...
    def _stop(self) -> None: ...
    @property
    def _closed(self) -> bool: ...
    @property
    def _under_way(self) -> int: ...
    def _on(self, queue: LoopQueue) -> Client: ...
    def _walk(
        self,
        *,
        with_secrets: bool = False,
        response_profile: ResponseProfile | None = None,
        **filters: Unpack[_TokenFilter],
    ) -> Walk: ...
    def _next_tokens(self, walk: Walk) -> Any: ...
    @property
    def service_url(self) -> str: ...
    @property
    def partner_id(self) -> int | None: ...
    @property
    def clock_difference(self) -> int | None: ...
    def add_token(
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
    def get_token(
        self, id: str | AppToken, *, response_profile: ResponseProfile | None = None
    ) -> AppToken: ...
    def list_tokens(
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
    ) -> Tokens: ...
    def update_token(
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
    def delete_token(self, id: str | AppToken) -> None: ...
    def start_session(
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
    def start_widget_session(self) -> Session: ...
    def start_admin_session(self) -> Session: ...
    def sign_admin_session(self, *, version: Literal[1, 2] = 2) -> Session: ...
    def session_info(self, ks: str | Secret | None = None) -> SessionInfo: ...
    def end_session(self, ks: str | Secret) -> None: ...

@final
class TokenSource:
    @staticmethod
    def value(id: str | AppToken, token: str | Secret | None = None) -> TokenSource: ...
    @staticmethod
    def environment() -> TokenSource: ...
    @staticmethod
    def variable(id: str | AppToken, name: str) -> TokenSource: ...
    @staticmethod
    def file(path: str | PathLike[str]) -> TokenSource: ...
    @staticmethod
    def value_file(id: str | AppToken, path: str | PathLike[str]) -> TokenSource: ...
    @staticmethod
    def callable(
        function: Callable[
            [], AppToken | tuple[str, str | Secret] | tuple[str, str | Secret, _HashType]
        ],
    ) -> TokenSource: ...

@final
class SessionProvider:
    def __new__(
        cls,
        client: Client,
        source: TokenSource,
        *,
        hash_type: _HashType | Literal["auto"] = "SHA256",
        capacity: int = 10_000,
        renew_when_left: float | None = None,
        renewal_wait: float | timedelta | None = None,
    ) -> SessionProvider: ...
    def _on(self, queue: LoopQueue) -> SessionProvider: ...
    def get(
        self,
        *,
        user_id: str | None = None,
        session_type: _SessionType | int | None = None,
        privileges: _Privileges | None = None,
        duration: float | timedelta | None = None,
        min_remaining: float | timedelta | None = None,
    ) -> Session: ...
    def reject(self, session: Session, reason: _Refusal = "EXPIRED") -> Session: ...
    def stats(self) -> SessionProviderStats: ...

@final
class Sandbox:
    def __new__(
        cls,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        accounts: str | PathLike[str] | None = None,
        control: bool = True,
    ) -> Sandbox: ...
    @property
    def service_url(self) -> str: ...
    @property
    def partner_id(self) -> int: ...
    @property
    def admin_secret(self) -> str: ...
    def control(self, method: str, path: str, body: str) -> str: ...
    def close(self) -> None: ...

@final
class Sink:
    @staticmethod
    def stdout() -> Sink: ...
    @staticmethod
    def file(path: str | PathLike[str]) -> Sink: ...
    @staticmethod
    def command(program: str | PathLike[str], *arguments: str) -> Sink: ...
    @staticmethod
    def callable(function: Callable[[AppToken], object]) -> Sink: ...

def audit(client: Client, **filters: Unpack[_TokenFilter]) -> Audit: ...
def ensure(
    client: Client,
    *,
    description: str,
    hash_type: _HashType | None = "SHA256",
    session_type: _SessionType | int | None = "USER",
    session_duration: float | timedelta | None = None,
    session_privileges: _Privileges | None = None,
    session_user_id: str | None = None,
    expiry: int | datetime | None = None,
) -> Ensured: ...
def plan_revocation(
    client: Client,
    *,
    ids: Iterable[str | AppToken] | RevocationPlan | None = None,
    created_before: int | datetime | None = None,
    description: str | None = None,
    user_id: str | None = None,
) -> RevocationPlan: ...
def revoke(
    client: Client, ids: Iterable[str | AppToken] | RevocationPlan
) -> dict[str, KalturaError | None]: ...
def rotate(
    client: Client,
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
def resume_rotations(
    client: Client,
    *,
    journal: str | PathLike[str],
    sink: Sink,
    undo: bool = False,
    progress: Callable[[str, str], object] | None = None,
) -> list[Rotated]: ...
def token_hash(ks: str | Secret, token: str | Secret, hash_type: _HashType = "SHA256") -> str: ...
def sign_ks(
    secret: str | Secret,
    *,
    partner_id: int,
    duration: float | timedelta | None = None,
    expiry: int | datetime | None = None,
    session_type: _SessionType | int | None = None,
    user_id: str | None = None,
    privileges: _Privileges = "",
    master_partner_id: int | None = None,
    additional_data: str | None = None,
    version: Literal[1, 2] = 2,
) -> Secret: ...
def open_ks(ks: str | Secret, *secrets: str | Secret) -> KsInfo: ...
def describe_ks(ks: str | Secret) -> KsInfo: ...
def lint_privileges(
    text: _Privileges, use: Literal["token", "start_session"] = "token"
) -> tuple[PrivilegeLint, ...]: ...
def dropped_privileges(requested: _Privileges, granted: _Privileges) -> tuple[str, ...]: ...
def normalize_service_url(url: str, allow_http: bool = False) -> str: ...
def read_configuration(path: str | PathLike[str]) -> tuple[Secret, str | None]: ...
def sandbox_main(arguments: list[str]) -> int: ...
def tell_of_waits(function: Callable[[float | None], object] | None) -> None: ...
