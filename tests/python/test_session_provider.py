"""`SessionProvider` and `AsyncSessionProvider`: a valid session whenever one is asked for."""

from __future__ import annotations

import asyncio
import json
import pickle
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import kaltura_app_token as kat
import pytest
from kaltura_app_token import AsyncClient, AsyncSessionProvider, SessionProvider, TokenSource
from kaltura_app_token.sandbox import Sandbox
from test_client import in_a_process, order


def exchanges(sandbox: Sandbox) -> int:
    return sum(request["action"] == "startSession" for request in sandbox.requests())


def make(sandbox: Sandbox, **options: Any) -> tuple[kat.AppToken, SessionProvider]:
    token = sandbox.client().add_token(session_duration=3600, **options.pop("token", {}))
    assert token.token is not None
    client = kat.Client(sandbox.partner_id, service_url=sandbox.service_url, retry_backoff=0.01)
    return token, SessionProvider(client, TokenSource.value(token.id, token.token), **options)


def test_a_session_is_minted_once_for_each_key(sandbox: Sandbox) -> None:
    _, provider = make(sandbox)
    first = provider.get(user_id="alice", duration=timedelta(minutes=30))
    assert provider.get(user_id="alice", duration=1800) == first
    assert provider.get(user_id="bob", duration=1800) != first
    assert exchanges(sandbox) == 2


def test_threads_that_ask_at_the_same_moment_share_one_exchange(sandbox: Sandbox) -> None:
    _, provider = make(sandbox)
    order(sandbox, action="appToken.startSession", fault="latency", ms=200)
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(provider.get().ks.reveal())) for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(found), len(set(found)), exchanges(sandbox)) == (16, 1, 1)


def test_a_thousand_tasks_share_one_exchange(sandbox: Sandbox) -> None:
    token = sandbox.client().add_token()
    assert token.token is not None
    source = TokenSource.value(token.id, token.token)

    async def main() -> None:
        async with AsyncClient(sandbox.partner_id, service_url=sandbox.service_url) as client:
            provider = AsyncSessionProvider(client, source)
            found = await asyncio.gather(*(provider.get(user_id="u") for _ in range(1000)))
            assert len({session.ks.reveal() for session in found}) == 1

    asyncio.run(main())
    assert exchanges(sandbox) == 1


def test_a_task_that_is_cancelled_disturbs_no_other(sandbox: Sandbox) -> None:
    token = sandbox.client().add_token()
    assert token.token is not None
    source = TokenSource.value(token.id, token.token)
    order(sandbox, action="appToken.startSession", fault="latency", ms=400)

    async def main() -> None:
        async with AsyncClient(sandbox.partner_id, service_url=sandbox.service_url) as client:
            provider = AsyncSessionProvider(client, source)
            first = asyncio.create_task(provider.get())
            await asyncio.sleep(0.1)
            second = asyncio.create_task(provider.get())
            await asyncio.sleep(0.1)
            started = time.monotonic()
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            assert time.monotonic() - started < 0.1
            assert (await second).ks

    asyncio.run(main())
    assert exchanges(sandbox) == 1


def test_what_the_api_refused_is_replaced_once_and_an_ended_session_never(
    sandbox: Sandbox,
) -> None:
    _, provider = make(sandbox)
    session = provider.get()
    replaced = provider.reject(session)
    assert replaced != session
    assert provider.reject(session) == replaced, "it was replaced already"
    with pytest.raises(kat.InvalidSession):
        provider.reject(replaced, "LOGOUT")
    with pytest.raises(kat.ConfigError, match="EXPIRED"):
        provider.reject(replaced, "BORED")  # type: ignore[arg-type]
    assert "session.end" not in json.dumps(sandbox.requests())


def test_more_than_a_sessions_life_is_served_with_a_fresh_one(sandbox: Sandbox) -> None:
    _, provider = make(sandbox)
    first = provider.get(min_remaining=600)
    fresh = provider.get(min_remaining=7200)
    assert fresh != first
    assert provider.get(min_remaining=7200) == fresh


def test_a_session_that_is_unchanged_is_the_same_object(sandbox: Sandbox) -> None:
    _, provider = make(sandbox)
    first = provider.get(user_id="alice")
    assert provider.get(user_id="alice") is provider.get(user_id="alice")
    assert provider.get(user_id="alice") == first
    assert provider.get(user_id="bob") is not provider.get(user_id="alice")
    replaced = provider.reject(provider.get(user_id="alice"))
    assert provider.get(user_id="alice") == replaced


def test_a_session_is_renewed_as_early_as_is_wanted(sandbox: Sandbox) -> None:
    for part, renewed in ((0.1, 0), (0.5, 1)):
        token = sandbox.client().add_token(session_duration=3600)
        assert token.token is not None
        client = sandbox.client()
        source = TokenSource.value(token.id, token.token)
        provider = SessionProvider(client, source, renew_when_left=part, renewal_wait=5)
        provider.get()
        sandbox.advance(2400)
        # Its answer says what time it is.
        list(client.tokens())
        provider.get()
        assert provider.stats().renewed == renewed


@pytest.mark.parametrize("part", [0, -1, 0.6, float("nan")])
def test_a_part_of_life_that_cannot_be_is_named(sandbox: Sandbox, part: float) -> None:
    with pytest.raises(kat.ConfigError, match="renew_when_left"):
        make(sandbox, renew_when_left=part)


def test_the_hash_type_is_found_out_when_asked_to(sandbox: Sandbox) -> None:
    _, provider = make(sandbox, hash_type="auto", token={"hash_type": "SHA1"})
    assert provider.get()
    _, fixed = make(sandbox, token={"hash_type": "SHA1"})
    with pytest.raises(kat.InvalidTokenHash):
        fixed.get()


class TestSources:
    def test_a_file_is_read_again_when_it_changes(self, sandbox: Sandbox, tmp_path: Path) -> None:
        client = sandbox.client()
        mounted = tmp_path / "token.json"

        def mount() -> str:
            token = client.add_token()
            assert token.token is not None
            mounted.write_text(json.dumps({"id": token.id, "token": token.token.reveal()}))
            return token.id

        mount()
        provider = SessionProvider(client, TokenSource.file(mounted))
        session = provider.get()
        second = mount()
        assert f"apptoken:{second}" in str(provider.reject(session).privileges)

    def test_the_environment_and_a_value_file(
        self, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client = sandbox.client()
        token = client.add_token()
        assert token.token is not None
        monkeypatch.setenv("KALTURA_APP_TOKEN_ID", token.id)
        monkeypatch.setenv("KALTURA_APP_TOKEN", token.token.reveal())
        monkeypatch.setenv("MY_TOKEN", token.token.reveal())
        (tmp_path / "value").write_text(token.token.reveal() + "\n")
        for source in (
            TokenSource.environment(),
            TokenSource.variable(token.id, "MY_TOKEN"),
            TokenSource.value_file(token.id, tmp_path / "value"),
        ):
            assert SessionProvider(client, source).get()
            assert token.token.reveal() not in repr(source)
        with pytest.raises(kat.ConfigError, match="NO_SUCH"):
            SessionProvider(client, TokenSource.variable(token.id, "NO_SUCH")).get()

    def test_a_function_that_fails_says_so_without_its_text(self, sandbox: Sandbox) -> None:
        def source() -> tuple[str, str]:
            raise LookupError("canary-secret")

        provider = SessionProvider(sandbox.client(), TokenSource.callable(source))
        with pytest.raises(kat.ConfigError, match="LookupError") as caught:
            provider.get()
        assert "canary" not in str(caught.value)


def test_a_forked_child_mints_its_own(sandbox: Sandbox) -> None:
    token = sandbox.client().add_token()
    assert token.token is not None
    program = f"""
import os
from kaltura_app_token import Client, SessionProvider, TokenSource
provider = SessionProvider(Client.from_env(), TokenSource.value({token.id!r}, os.environ["V"]))
mine = provider.get().ks.reveal()
child = os.fork()
if child == 0:
    os._exit(4 if provider.get().ks.reveal() != mine else 1)
assert provider.get().ks.reveal() == mine
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = in_a_process(sandbox, program, V=token.token.reveal())
    assert done.stdout.strip() == "4", done.stderr


def test_a_provider_shows_no_credential_and_is_not_pickled(sandbox: Sandbox) -> None:
    token, provider = make(sandbox)
    assert token.token is not None
    assert token.token.reveal() not in repr(provider)
    with pytest.raises(TypeError, match="credential"):
        pickle.dumps(provider)
