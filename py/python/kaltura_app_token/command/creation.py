"""The creation of a token by a command: whoever asked for it is told its id whatever happens next,
and where nobody can know whether it exists, which tokens may be the one. Never tells a value.
"""

from __future__ import annotations

import contextlib
import signal
import time

from kaltura_app_token import _native
from kaltura_app_token.command.output.run import at_end, fail
from kaltura_app_token.command.signals import Signals
from kaltura_app_token.errors import KalturaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import FrameType
    from typing import TypeVar

    from kaltura_app_token.model import AppToken, Ensured

    Made = TypeVar("Made", AppToken, Ensured)

_LOST_OUTPUT = 7
_LOOK_SECONDS = 2.0
_LOOK_BACK_SECONDS = 5
_PAGE = 100


class Creation:
    """One creation, which `make` does; until the command ends, its signals are handled here.

    The commands that show a token and list the tokens depend on the account: `get` and `list_all`
    answer them when there is something to say.
    """

    def __init__(
        self,
        program: str,
        client: _native.Client,
        fields: Mapping[str, object],
        *,
        get: Callable[[str], str],
        list_all: Callable[[], str],
    ) -> None:
        self._program = program
        self._client = client
        self._fields = fields
        self._get = get
        self._list_all = list_all
        self._begun: float | None = None
        self._token_id: str | None = None
        self._signals = Signals()
        at_end(self._tell)

    def make(self, call: Callable[[], Made]) -> Made:
        """Makes the call that creates a token, or finds one."""
        self._begun = time.time()
        try:
            made = call()
        except (KalturaError, TypeError, ValueError, OverflowError):
            # The first says itself what is known of the token; the others refuse an argument.
            self._begun = None
            raise
        from kaltura_app_token.model import AppToken

        if isinstance(made, AppToken):
            self._token_id = made.id
        elif made.created:
            self._token_id = made.token.id
        self._begun = None
        return made

    def _tell(self, cut_short: BaseException | None, code: int) -> int:
        try:
            if cut_short is None:
                return code
            if self._token_id is not None:
                fail(
                    f"{self._program}: the token {self._token_id} was created",
                    f"its value can be had with: {self._get(self._token_id)}",
                )
                return _LOST_OUTPUT if isinstance(cut_short, OSError) else code
            if self._begun is not None:
                how = "interrupted: " if isinstance(cut_short, KeyboardInterrupt) else ""
                fail(f"{self._program}: {how}a token may have been created; looking for it")
                fail(*self._look(self._begun))
            return code
        finally:
            self._signals.give_back()

    def _look(self, begun: float) -> tuple[str, str]:
        before_another = f"list the tokens before creating another: {self._list_all()}"
        try:
            with _at_most(_LOOK_SECONDS):
                page = self._client.list_tokens(page_size=_PAGE, order_by="-createdAt")
        except BaseException as error:
            why = error.message if isinstance(error, KalturaError) else "no answer in time"
            return f"{self._program}: the tokens could not be listed: {why}", before_another
        # By the server's clock, which the answer has told.
        since = begun + (self._client.clock_difference or 0) - _LOOK_BACK_SECONDS
        found = [
            token.id
            for token in page.tokens
            if (token.created_at is None or token.created_at >= since) and self._may_be(token)
        ]
        if found:
            return (
                f"{self._program}: it may be {', '.join(found)}",
                f"show it: {self._get(found[0])}",
            )
        return (
            f"{self._program}: no token like it is listed, which proves nothing",
            before_another,
        )

    def _may_be(self, token: AppToken) -> bool:
        names = ("description", "session_privileges", "session_user_id")
        return all((getattr(token, name) or "") == (self._fields.get(name) or "") for name in names)


class _TooLong(Exception):
    """The time for something is over."""


@contextlib.contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    def stop(_number: int, _frame: FrameType | None) -> None:
        raise _TooLong

    if not hasattr(signal, "setitimer"):
        # Windows has no alarms: the client's own deadlines are the limit.
        yield
        return
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
