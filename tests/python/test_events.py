"""What clients and providers tell of themselves: `on_event`, and the counters of a provider."""

from __future__ import annotations

import asyncio
import copy
import pickle
import sys
import time
from pathlib import Path
from typing import Any

import kaltura_app_token as kat
import pytest
from kaltura_app_token import AsyncClient, AsyncSessionProvider, Event, SessionProvider, TokenSource
from kaltura_app_token.sandbox import Sandbox
from test_client import in_a_process


def events_of(sandbox: Sandbox, **options: Any) -> tuple[kat.Client, list[Event]]:
    told: list[Event] = []
    return sandbox.client(retry_backoff=0.01, on_event=told.append, **options), told


def names(told: list[Event]) -> list[str]:
    return [event.name for event in told if event.name not in ("Retry", "SessionFetched")]


class TestEvents:
    def test_a_retry_says_what_went_wrong_and_how_long_it_waits(self, sandbox: Sandbox) -> None:
        client, told = events_of(sandbox)
        sandbox.fault("session.startWidgetSession", "status", status=503)
        client.start_widget_session()
        (retry,) = told
        assert (retry.name, retry.request, retry.attempts) == (
            "Retry",
            "session.startWidgetSession",
            1,
        )
        assert isinstance(retry.error, kat.HttpError)
        assert retry.error.http_status == 503
        assert retry.wait is not None
        assert 0 < retry.wait < 1
        assert str(retry) == retry.text
        assert "503" in retry.text

    def test_dropped_privileges_are_named(self, sandbox: Sandbox) -> None:
        client, told = events_of(sandbox)
        token = client.add_token(session_privileges="sview:*")
        assert token.token is not None
        client.start_session(token.id, token.token, privileges="edit:*")
        assert [event.privileges for event in told if event.name == "DroppedPrivileges"] == [
            ("edit:*",)
        ]

    def test_a_creation_in_doubt_names_its_candidates(self, sandbox: Sandbox) -> None:
        client, told = events_of(sandbox)
        sandbox.fault("appToken.add", "reset", after=True)
        with pytest.raises(kat.OutcomeUnknown) as caught:
            client.add_token()
        (doubt,) = (event for event in told if event.name == "InDoubt")
        assert isinstance(doubt.error, kat.OutcomeUnknown)
        assert doubt.error.candidate_ids == caught.value.candidate_ids

    def test_calls_that_fail_are_said_once_and_so_is_the_end_of_it(self, sandbox: Sandbox) -> None:
        client, told = events_of(sandbox, max_retries=0)
        sandbox.fault("*", "status", status=503, times=9)
        for _ in range(3):
            with pytest.raises(kat.HttpError):
                client.start_widget_session()
        assert names(told) == ["CallsFail"]
        sandbox.clear_faults()
        client.start_widget_session()
        client.start_widget_session()
        assert names(told) == ["CallsFail", "CallsSucceed"]
        assert isinstance(told[0].error, kat.HttpError)
        assert told[1].lasted is not None

    def test_what_only_the_caller_can_mend_is_no_outage(self, sandbox: Sandbox) -> None:
        client, told = events_of(sandbox)
        with pytest.raises(kat.TokenNotFound):
            client.get_token("0_nosuchid")
        assert told == []

    def test_they_come_in_asyncio_too_and_outside_of_the_runtime(self, sandbox: Sandbox) -> None:
        told: list[str] = []

        def calls_the_library_again(event: Event) -> None:
            asyncio.get_running_loop()
            told.append(sandbox.client().add_token(description=event.name).id)

        async def main() -> None:
            sandbox.fault("session.startWidgetSession", "status", status=503)
            async with AsyncClient(
                sandbox.partner_id,
                service_url=sandbox.service_url,
                retry_backoff=0.01,
                on_event=calls_the_library_again,
            ) as client:
                await client.start_widget_session()

        asyncio.run(main())
        assert len(told) == 1

    def test_a_function_that_fails_fails_no_call(
        self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fails(event: Event) -> None:
            raise LookupError(event.name)

        unraisable: list[Any] = []
        monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
        client = sandbox.client(retry_backoff=0.01, on_event=fails)
        sandbox.fault("session.startWidgetSession", "status", status=503)
        assert client.start_widget_session().ks
        assert [(it.exc_type, it.object) for it in unraisable] == [(LookupError, fails)]

    def test_ctrl_c_in_it_ends_the_call(self, sandbox: Sandbox) -> None:
        program = """
import kaltura_app_token as kat
def interrupted(event):
    raise KeyboardInterrupt
client = kat.Client.from_env(retry_backoff=0.01, on_event=interrupted, max_retries=1)
try:
    client.get_token("0_nosuchid")
except KeyboardInterrupt:
    print("interrupted")
"""
        sandbox.fault("appToken.get", "status", status=503, times=2)
        done = in_a_process(sandbox, program)
        assert (done.stdout.strip(), done.stderr) == ("interrupted", "")

    def test_an_event_is_a_value(self, sandbox: Sandbox) -> None:
        client, told = events_of(sandbox)
        token = client.add_token(session_privileges="sview:*")
        assert token.token is not None
        client.start_session(token.id, token.token, privileges="edit:*")
        (event,) = (event for event in told if event.name == "DroppedPrivileges")
        assert event == pickle.loads(pickle.dumps(event)) == copy.deepcopy(event)  # noqa: S301
        assert len({event, copy.copy(event)}) == 1
        with pytest.raises(AttributeError):
            event.name = "Retry"  # type: ignore[misc]

    def test_no_event_holds_a_credential(self, sandbox: Sandbox) -> None:
        client, told = events_of(sandbox)
        sandbox.fault("appToken.get", "ks_echo")
        sandbox.fault("appToken.add", "exception", code="SLOW_DOWN", message=sandbox.admin_secret)
        with pytest.raises(kat.KalturaError):
            client.get_token("0_abcdefgh")
        with pytest.raises(kat.KalturaError):
            client.add_token()
        sandbox.fault("appToken.get", "status", status=503, body=sandbox.admin_secret)
        with pytest.raises(kat.TokenNotFound):
            client.get_token("0_abcdefgh")
        assert told
        assert sandbox.admin_secret not in repr(told)

    def test_what_is_no_function_is_refused(self, sandbox: Sandbox) -> None:
        with pytest.raises(TypeError, match="on_event: expected a function, not list"):
            sandbox.client(on_event=[])


class TestProviders:
    def make(
        self, sandbox: Sandbox, *, duration: int = 3600, **options: Any
    ) -> tuple[kat.Client, SessionProvider, list[Event]]:
        token = sandbox.client().add_token(session_duration=duration)
        assert token.token is not None
        client, told = events_of(sandbox, **options)
        return client, SessionProvider(client, TokenSource.value(token.id, token.token)), told

    def test_an_outage_is_said_once_and_no_later_call_waits_for_it(self, sandbox: Sandbox) -> None:
        _, provider, told = self.make(sandbox)
        sandbox.fault("*", "status", status=503, times=9999)
        with pytest.raises(kat.HttpError):
            provider.get()
        requests = len(sandbox.requests())
        started = time.monotonic()
        for _ in range(20):
            with pytest.raises(kat.HttpError):
                provider.get()
        assert time.monotonic() - started < 0.5
        assert len(sandbox.requests()) == requests
        assert names(told) == ["OutageBegan"]
        assert provider.stats().backing_off == 1
        sandbox.clear_faults()
        time.sleep(1.5)
        provider.get()
        assert names(told) == ["OutageBegan", "OutageEnded"]
        assert provider.stats().backing_off == 0

    def test_a_renewal_that_fails_is_said_and_the_old_session_goes_on(
        self, sandbox: Sandbox
    ) -> None:
        client, provider, told = self.make(sandbox, max_retries=0)
        session = provider.get()
        sandbox.advance(3000)
        # Its answer says what time it is.
        list(client.tokens())
        sandbox.fault("*", "status", status=503, times=9999)
        for _ in range(5):
            assert provider.get() == session
        assert sorted(names(told)) == ["OutageBegan", "RenewalFailed"]
        assert (provider.stats().failed, provider.stats().renewed) == (1, 0)

    def test_a_source_that_fails_is_an_outage(self, sandbox: Sandbox, tmp_path: Path) -> None:
        client, told = events_of(sandbox)
        token = client.add_token()
        assert token.token is not None
        provider = SessionProvider(client, TokenSource.value_file(token.id, tmp_path / "token"))
        for _ in range(3):
            with pytest.raises(kat.ConfigError):
                provider.get()
        (began,) = told
        assert (began.name, began.token_id) == ("OutageBegan", "")
        assert "sessions cannot be started: " in began.text
        (tmp_path / "token").write_text(token.token.reveal())
        provider.get()
        assert names(told) == ["OutageBegan", "OutageEnded"]

    def test_it_counts_what_it_does(self, sandbox: Sandbox) -> None:
        client, provider, _ = self.make(sandbox)
        assert provider.stats() == kat.SessionProviderStats(0, 0, 0, 0, 0, 0, 0, 0)
        for _ in range(3):
            session = provider.get()
        provider.get(user_id="alice")
        provider.reject(session)
        sandbox.advance(3000)
        # Its answer says what time it is.
        list(client.tokens())
        provider.get()
        stats = provider.stats()
        assert (stats.handed_out, stats.minted, stats.renewed) == (6, 4, 1)
        assert (stats.refused, stats.failed, stats.waiting, stats.cached) == (1, 0, 0, 2)
        assert stats == copy.deepcopy(stats)
        with pytest.raises(AttributeError):
            stats.minted = 0  # type: ignore[misc]

    def test_it_counts_in_asyncio_too(self, sandbox: Sandbox) -> None:
        token = sandbox.client().add_token()
        assert token.token is not None
        source = TokenSource.value(token.id, token.token)

        async def main() -> kat.SessionProviderStats:
            async with AsyncClient(sandbox.partner_id, service_url=sandbox.service_url) as client:
                provider = AsyncSessionProvider(client, source, renew_when_left=0.4, capacity=5)
                await asyncio.gather(*(provider.get() for _ in range(10)))
                return provider.stats()

        stats = asyncio.run(main())
        assert (stats.handed_out, stats.minted) == (10, 1)
