"""Commands that change what is there: they say first whose it is, and go on to the next id when one
fails. Knows no action.
"""

from __future__ import annotations

from kaltura_app_token import _native
from kaltura_app_token._version import PROGRAM
from kaltura_app_token.command.account import account_place, connect, places, resolve
from kaltura_app_token.command.output.run import fail, note
from kaltura_app_token.errors import (
    CancelledError,
    ConfigError,
    KalturaError,
    RequestTimeout,
    TransportError,
    exit_code,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence


class Account:
    """The client that manages an account's tokens, and what to call the account."""

    def __init__(self, args: argparse.Namespace) -> None:
        found = places(args)
        self.client = connect(args, resolve(found, "admin"))
        settings = _native.Settings.resolve([place.settings for place in found], "exchange")
        self._place = account_place(found, settings)

    def tell(self) -> None:
        """Says on stderr which account is about to be acted on, unless that was said already."""
        if self._place is None or not self._place.asked_for:
            partner = self.client.partner_id
            note(
                f"{PROGRAM}: account {'of the given session' if partner is None else partner} at "
                f"{self.client.service_url} "
                f"(from {'the options' if self._place is None else self._place.name})"
            )


def distinct(ids: Sequence[str]) -> list[str]:
    """The ids, each once.

    Raises:
        ConfigError: One is empty, such as a script's variable that was never set.
    """
    if not all(token_id.strip() for token_id in ids):
        raise ConfigError("one of the ids is empty", hint="an id is such as 1_ab12cd34")
    return list(dict.fromkeys(token_id.strip() for token_id in ids))


def each(ids: Sequence[str], do: Callable[[str], None], not_done: str, maybe: str = "") -> int:
    """Does it for each id, and says of each failure that the id `not_done`; answers the exit code
    of the first one.

    Without a connection the others are not tried. `maybe` is what an interrupt leaves open.
    """
    code = 0
    for at, token_id in enumerate(ids):
        left = f"not tried: {', '.join(ids[at + 1 :])}" if ids[at + 1 :] else None
        try:
            do(token_id)
        except CancelledError:
            raise
        except KalturaError as error:
            fail(f"{PROGRAM}: error: {token_id} {not_done}: {error.message}", error.hint)
            code = code or exit_code(error)
            if isinstance(error, (TransportError, RequestTimeout)):
                if left:
                    note(f"{PROGRAM}: {left}")
                break
        except KeyboardInterrupt:
            if maybe:
                note(f"{PROGRAM}: interrupted: {token_id} {maybe}{'; ' + left if left else ''}")
            raise
    return code
