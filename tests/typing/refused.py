"""Wrong uses of the package, each of which type checkers must refuse: an error that does not come
is an unused `ignore`, and that is an error.
"""

from __future__ import annotations

import kaltura_app_token as kat
from kaltura_app_token.sandbox import Sandbox


def values_are_of_the_right_type(client: kat.Client, source: kat.TokenSource) -> None:
    kat.Client("1")  # type: ignore[arg-type]
    kat.Client(1, admin_secret=b"s")  # type: ignore[arg-type]
    kat.Client(1, admin_session="sign")  # type: ignore[arg-type]
    kat.Client(1, total_timeout="60")  # type: ignore[arg-type]
    kat.Client(1, on_event=lambda: None)  # type: ignore[arg-type, misc]
    client.get_token(1)  # type: ignore[arg-type]
    client.add_token(hash_type="sha256")  # type: ignore[arg-type]
    client.add_token(expiry="tomorrow")  # type: ignore[arg-type]
    client.list_tokens(order_by="createdAt")  # type: ignore[arg-type]
    client.update_token("1", clear=["token"])  # type: ignore[list-item]
    client.sign_admin_session(version=3)  # type: ignore[arg-type]
    kat.SessionProvider(client, "token")  # type: ignore[arg-type]
    kat.SessionProvider(client, source).reject("ks")  # type: ignore[arg-type]
    kat.TokenSource.callable(lambda: "token")  # type: ignore[arg-type, return-value]
    kat.rotate(client, ["1"], journal="j", sink="stdout")  # type: ignore[arg-type]


def options_are_spelled_right(client: kat.Client) -> None:
    kat.Client(1, timeout=60)  # type: ignore[call-arg]
    client.add_token(name="mine")  # type: ignore[call-arg]
    client.list_tokens(status=2)  # type: ignore[call-arg]
    client.tokens(order_by="-createdAt")  # type: ignore[call-arg]


def options_are_named(client: kat.Client) -> None:
    client.add_token("mine")  # type: ignore[call-arg]
    client.start_session("1", "t", "SHA1")  # type: ignore[call-arg]
    Sandbox("127.0.0.1")  # type: ignore[call-arg]


def what_is_needed_is_given(client: kat.Client) -> None:
    client.start_session()  # type: ignore[call-arg]
    kat.sign_ks("s")  # type: ignore[call-arg]
    kat.ensure(client)  # type: ignore[call-arg]
    kat.rotate(client, ["1"])  # type: ignore[call-arg]


def results_are_what_they_are(token: kat.AppToken, session: kat.Session) -> None:
    token.token.reveal()  # type: ignore[union-attr]
    token.id = "2"  # type: ignore[misc]
    value: str = session.ks  # type: ignore[assignment]
    print(value, session.expires_at.isoformat())  # type: ignore[union-attr]


async def what_is_async_is_awaited(client: kat.AsyncClient, sync: kat.Client) -> None:
    print(client.get_token("1").id)  # type: ignore[attr-defined]
    await sync.get_token("1")  # type: ignore[misc]
    for token in client.tokens():  # type: ignore[attr-defined]
        print(token)
    kat.AsyncSessionProvider(sync, kat.TokenSource.environment())  # type: ignore[arg-type]
    kat.audit(client)  # type: ignore[arg-type]


class Mine(kat.Secret):  # type: ignore[misc]
    """Secrets are final."""
