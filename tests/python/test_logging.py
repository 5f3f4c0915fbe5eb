"""What the package says through Python's `logging`, and what it never says."""

from __future__ import annotations

import asyncio
import logging

import kaltura_app_token as kat
import pytest
from kaltura_app_token.sandbox import Sandbox
from test_async_client import client_of
from test_client import in_a_process, order


def test_retries_and_dropped_privileges_are_logged_without_secrets(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    client = sandbox.client(retry_backoff=0.01)
    token = client.add_token(session_privileges="sview:*")
    assert token.token is not None
    with caplog.at_level(logging.DEBUG, logger="kaltura_app_token"):
        order(sandbox, action="session.startWidgetSession", fault="status", status=503)
        session = client.start_session(token.id, token.token, privileges="edit:*")
        order(sandbox, action="appToken.get", fault="ks_echo")
        with pytest.raises(kat.InvalidSession):
            client.get_token(token.id)
    text = caplog.text
    assert "session.startWidgetSession attempt 1" in text
    assert "503" in text
    assert [r.levelname for r in caplog.records if "dropped edit:*" in r.message] == ["WARNING"]
    for secret in (token.token.reveal(), session.ks.reveal(), sandbox.admin_secret):
        assert secret not in text


def test_a_creation_given_up_by_its_task_is_logged(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    order(sandbox, action="appToken.add", fault="latency", ms=3000, after=True)

    async def main() -> None:
        async with client_of(sandbox) as client:
            call = asyncio.create_task(client.add_token())
            await asyncio.sleep(0.2)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await asyncio.sleep(0.2)

    with caplog.at_level(logging.WARNING, logger="kaltura_app_token"):
        asyncio.run(main())
    assert "may or may not have been created" in caplog.text


def test_an_outage_is_a_warning_once_and_its_end_is_said_once(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    client = sandbox.client(retry_backoff=0.01)
    with caplog.at_level(logging.INFO, logger="kaltura_app_token"):
        sandbox.fault("*", "status", status=503, times=9999)
        for _ in range(3):
            with pytest.raises(kat.HttpError):
                client.start_widget_session()
        sandbox.clear_faults()
        for _ in range(3):
            client.start_widget_session()
    lines = [(record.levelname, record.message.split(":")[0]) for record in caplog.records]
    assert lines == [
        ("WARNING", "calls fail (session.startWidgetSession after 4 attempts)"),
        ("INFO", "calls succeed again, after 0 s"),
    ]


def test_an_outage_of_a_provider_is_a_warning_once(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    token = sandbox.client().add_token()
    assert token.token is not None
    source = kat.TokenSource.value(token.id, token.token)
    provider = kat.SessionProvider(sandbox.client(retry_backoff=0.01), source)
    with caplog.at_level(logging.INFO, logger="kaltura_app_token"):
        sandbox.fault("*", "status", status=503, times=9999)
        for _ in range(20):
            with pytest.raises(kat.HttpError):
                provider.get()
    (line,) = caplog.records
    assert line.levelname == "WARNING"
    assert line.message.startswith(f"sessions cannot be started with token {token.id}: ")


def test_each_request_and_each_retry_is_a_debug_line(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    client = sandbox.client(retry_backoff=0.01)
    with caplog.at_level(logging.DEBUG, logger="kaltura_app_token"):
        sandbox.fault("session.startWidgetSession", "status", status=503)
        client.start_widget_session()
    assert {record.levelname for record in caplog.records} == {"DEBUG"}
    requests = [line for line in caplog.messages if line.endswith((": answered", ": failed"))]
    assert [line.split()[0] for line in requests] == ["session.startWidgetSession"] * 2
    assert sum("again in" in line for line in caplog.messages) == 1


def test_a_program_that_sets_up_no_logging_sees_no_line(sandbox: Sandbox) -> None:
    program = """
import logging
from kaltura_app_token import Client, HttpError
client = Client.from_env(max_retries=0)
try:
    client.start_widget_session()
except HttpError:
    print("failed")
logging.getLogger("kaltura_app_token").addHandler(logging.StreamHandler())
client.start_widget_session()
client.start_widget_session()
"""
    sandbox.fault("*", "status", status=503)
    done = in_a_process(sandbox, program)
    assert (done.stdout, done.stderr) == ("failed\n", "")
    sandbox.fault("*", "status", status=503)
    configured = program.replace("import logging", "import logging; logging.basicConfig()", 1)
    done = in_a_process(sandbox, configured)
    assert "WARNING:kaltura_app_token:calls fail" in done.stderr


def test_nothing_is_logged_that_was_not_asked_for(sandbox: Sandbox) -> None:
    program = """
from kaltura_app_token import Client
client = Client.from_env()
token = client.add_token()
import sys
assert "logging" not in sys.modules
import logging
logging.basicConfig(level=logging.ERROR)
client.start_session(token.id, token.token, privileges="edit:*")
"""
    done = in_a_process(sandbox, program)
    assert (done.returncode, done.stderr) == (0, "")
