"""A local Kaltura inside this process, for trying things out and for tests: in memory, on
loopback. It answers for tokens and sessions as the real server does.

A fixture for pytest is in `kaltura_app_token.pytest_plugin`. In `conftest.py`:

    pytest_plugins = ["kaltura_app_token.pytest_plugin"]

and in a test:

    def test_my_integration(kaltura_sandbox):
        token = kaltura_sandbox.client().add_token(description="mine")
"""

from __future__ import annotations

from kaltura_app_token import _native

TYPE_CHECKING = False
if TYPE_CHECKING:
    from os import PathLike
    from types import TracebackType
    from typing import Any


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
