"""A local Kaltura inside this process, for trying things out and for tests: in memory, on
loopback. It answers for tokens and sessions as the real server does.

Where pytest runs, it is there as a fixture:

    def test_my_integration(kaltura_sandbox):
        token = kaltura_sandbox.client().add_token(description="mine")
"""

from __future__ import annotations

from kaltura_app_token import _native
from kaltura_app_token.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from os import PathLike
    from types import TracebackType
    from typing import Any, Literal, TypeAlias, TypedDict

    FaultName: TypeAlias = Literal[
        "latency",
        "status",
        "reset",
        "truncated",
        "garbage",
        "html",
        "empty",
        "huge",
        "ks_echo",
        "redirect",
        "exception",
    ]

    class RecordedRequest(TypedDict):
        """A request that arrived. Secrets in it are masked; `masked` has the length of each."""

        time: float
        method: str
        path: str
        service: str
        action: str
        params: dict[str, Any]
        masked: dict[str, int]
        status: int


class Sandbox:
    """A running sandbox with one account, until it is closed.

    Args:
        host: The address to listen on.
        port: The port; 0 takes a free one.
        accounts: A JSON file of accounts, in place of the one that is made up.
        control: Whether the control calls under `/_sandbox/` (reset, faults, clock, …) answer.

    Raises:
        ValueError: The file of accounts cannot be used, or there is no such port.
        OSError: The address cannot be listened on.

    Example:
        >>> with Sandbox() as sandbox:
        ...     token = sandbox.client().add_token(description="an example")
        ...     [listed.description for listed in sandbox.client().tokens()]
        ['an example']
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        accounts: str | PathLike[str] | None = None,
        control: bool = True,
    ) -> None:
        self._native = _native.Sandbox(host=host, port=port, accounts=accounts, control=control)
        self.service_url: str = self._native.service_url
        """Its address, for every client of Kaltura's API that takes one."""
        self.partner_id: int = self._native.partner_id
        """The account; with several in the file, the first one."""
        self.admin_secret: str = self._native.admin_secret
        """The account's admin secret: of use nowhere else."""

    def client(self, **options: Any) -> _native.Client:
        """A client that manages the account; `options` are those of `Client`."""
        settings: dict[str, Any] = {
            "partner_id": self.partner_id,
            "admin_secret": self.admin_secret,
            "service_url": self.service_url,
        }
        return _native.Client(**(settings | options))

    def fault(
        self,
        action: str,
        fault: FaultName,
        *,
        times: int = 1,
        skip: int = 0,
        probability: float = 1.0,
        after: bool = False,
        ms: int | None = None,
        status: int | None = None,
        retry_after: int | None = None,
        body: str | None = None,
        size: int | None = None,
        location: str | None = None,
        code: str | None = None,
        message: str | None = None,
    ) -> None:
        """Orders something to go wrong.

        Args:
            action: On which request: `service.action`, `multirequest`, or `*` for any.
            fault: What: `latency` (with `ms`), `status` (with `status`, and `retry_after` in
                seconds and `body` if wanted), `reset`, `truncated`, `garbage`, `html`, `empty`,
                `huge` (with `size` in bytes), `ks_echo`, `redirect` (with `location`) or
                `exception` (with `code`, and `message` if wanted).
            times: How many requests it strikes.
            skip: How many it lets pass first.
            probability: The chance of striking each.
            after: Whether the request takes effect before the fault strikes.

        Raises:
            ConfigError: There is no such fault, or it needs a field that is missing.

        Example:
            >>> with Sandbox() as sandbox:
            ...     sandbox.fault("appToken.add", "reset", after=True)
            ...     try:
            ...         sandbox.client().add_token()
            ...     except kat.OutcomeUnknown as error:
            ...         len(error.candidate_ids)
            1
        """
        fields: dict[str, object] = {
            "ms": ms,
            "status": status,
            "retryAfter": retry_after,
            "body": body,
            "bytes": size,
            "location": location,
            "code": code,
            "message": message,
        }
        order: dict[str, object] = {
            "action": action,
            "fault": fault,
            "times": times,
            "skip": skip,
            "probability": probability,
            "after": after,
        }
        order.update((name, value) for name, value in fields.items() if value is not None)
        self._control("POST", "/faults", order)

    def clear_faults(self) -> None:
        """Cancels the faults that have not struck yet."""
        self._control("DELETE", "/faults")

    def requests(self) -> list[RecordedRequest]:
        """The requests that arrived, the oldest first, with their secrets masked."""
        arrived: list[RecordedRequest] = self._control("GET", "/requests")
        return arrived

    def clear_requests(self) -> None:
        """Forgets the requests that arrived."""
        self._control("DELETE", "/requests")

    def advance(self, seconds: float | timedelta) -> None:
        """Moves the sandbox's clock on: sessions and tokens expire without waiting for it.

        Example:
            >>> with Sandbox() as sandbox:
            ...     client = sandbox.client()
            ...     session = client.start_admin_session()
            ...     sandbox.advance(86_401)
            ...     try:
            ...         client.session_info(session.ks)
            ...     except kat.InvalidSession as error:
            ...         error.api_args["KSID"]
            'EXPIRED'
        """
        self._control("POST", "/clock", {"advance": _seconds(seconds)})

    def set_time(self, now: float | datetime | None) -> None:
        """Stops the sandbox's clock at this unix time or aware `datetime`; `None` sets it right."""
        if now is None:
            self._control("POST", "/clock", {"offset": 0})
            return
        if not isinstance(now, (int, float)):
            if now.utcoffset() is None:
                raise ConfigError("now: a datetime without a time zone is ambiguous")
            now = now.timestamp()
        self._control("POST", "/clock", {"now": now})

    def reset(self) -> None:
        """Forgets tokens, ended sessions, faults and requests, and sets the clock right."""
        self._control("POST", "/reset")

    def _control(self, method: str, path: str, order: object = None) -> Any:
        import json

        return json.loads(self._native.control(method, path, json.dumps(order)))

    def close(self) -> None:
        """Stops it; everything in it is gone. A second call does nothing, and neither does one in a
        forked child: the sandbox is its parent's."""
        self._native.close()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Sandbox(service_url={self.service_url!r}, partner_id={self.partner_id})"


def _seconds(time: float | timedelta) -> float:
    return time if isinstance(time, (int, float)) else time.total_seconds()
