"""The sandbox as users have it: from Python, as a fixture, as a command; and the demo."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from conftest import NEW, SCRIPTS, Shell, clean_environment
from kaltura_app_token import (
    ApiError,
    Client,
    ConfigError,
    DecodeError,
    HttpError,
    RequestTimeout,
    TransportError,
)
from kaltura_app_token.sandbox import Sandbox


def test_it_runs_inside_the_process_and_keeps_what_it_is_told(sandbox: Sandbox) -> None:
    client = Client(
        sandbox.partner_id, admin_secret=sandbox.admin_secret, service_url=sandbox.service_url
    )
    token = client.add_token(description="mine")
    assert sandbox.client().get_token(token.id).description == "mine"
    assert sandbox.admin_secret not in repr(sandbox)


def test_each_is_its_own_and_gone_when_closed() -> None:
    with Sandbox() as first, Sandbox() as second:
        first.client().add_token()
        assert list(second.client().tokens()) == []
        closed = first.client(max_retries=0)
    with pytest.raises(Exception, match=r"127\.0\.0\.1"):
        list(closed.tokens())


def test_accounts_can_be_given_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    account = '{"id": 7, "adminSecret": "s", "userSecret": "u"}'
    path.write_text(f'{{"partners": [{account}]}}', encoding="utf-8")
    with Sandbox(accounts=path) as sandbox:
        assert (sandbox.partner_id, sandbox.admin_secret) == (7, "s")
    path.write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match="accounts"):
        Sandbox(accounts=path)


@pytest.mark.parametrize("port", [-1, 65536, 2**70])
def test_a_port_out_of_range_is_named(port: int) -> None:
    with pytest.raises(ValueError, match="port: expected a whole number from 0 to 65535"):
        Sandbox(port=port)


def test_no_request_ends_the_process_that_it_runs_in(bare: Shell) -> None:
    program = """
import json
from http.client import HTTPConnection
from kaltura_app_token.sandbox import Sandbox

with Sandbox() as sandbox:
    host = sandbox.service_url.split("/")[2]

    def post(path, body, kind="application/x-www-form-urlencoded"):
        connection = HTTPConnection(host, timeout=30)
        connection.request("POST", path, body, {"Content-Type": kind})
        status = connection.getresponse().status
        connection.close()
        return status

    ping = "/api_v3/service/system/action/ping"
    for levels in (65, 2_500, 50_000, 200_000):
        for level in ("[a]", "[]", ":a"):
            name = "x" + level * levels
            head = f'--b\\r\\nContent-Disposition: form-data; name="{name}"'
            part = head + "\\r\\n\\r\\n1\\r\\n--b--\\r\\n"
            assert post(ping, name + "=1") == 200
            assert post(ping, part, "multipart/form-data; boundary=b") == 200
            assert post(ping, json.dumps({name: 1}), "application/json") == 200
            post(f"{ping}?{name[:60_000]}=1", "")
        nested = '{"x":' + "[" * levels + "]" * levels + "}"
        assert post(ping, nested, "application/json") == 200
    for now in (1e13, -1, 1e308):
        assert post("/_sandbox/clock", json.dumps({"now": now})) == 400
    print(sandbox.client().add_token(description="alive").description)
"""
    ended = bare.run(sys.executable, "-c", program)
    assert (ended.code, ended.out, ended.err) == (0, "alive\n", "")


def test_a_forked_child_leaves_its_parents_sandbox_alone(bare: Shell) -> None:
    program = """
import os, signal, sys, time
from kaltura_app_token.sandbox import Sandbox

with Sandbox() as sandbox:
    child = os.fork()
    if child:
        deadline = time.monotonic() + 20
        while not (ended := os.waitpid(child, os.WNOHANG))[0]:
            if time.monotonic() > deadline:
                os.kill(child, signal.SIGKILL)
                sys.exit("the child hangs")
            time.sleep(0.01)
        sandbox.client().add_token()
        print("parent", os.waitstatus_to_exitcode(ended[1]))
if not child:
    sandbox.close()
    with Sandbox() as own:
        own.client().add_token()
    print("child", flush=True)
"""
    ended = bare.run(sys.executable, "-c", program)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.split("\n") == ["child", "parent 0", ""]


@pytest.mark.parametrize("named", ["", 'pytest_plugins = ["kaltura_app_token.pytest_plugin"]\n'])
def test_users_have_it_as_a_fixture(bare: Shell, named: str) -> None:
    (bare.directory / "conftest.py").write_text(named, encoding="utf-8")
    (bare.directory / "test_mine.py").write_text(
        "def test_my_integration(kaltura_sandbox):\n"
        '    token = kaltura_sandbox.client().add_token(description="mine")\n'
        '    assert token.description == "mine"\n',
        encoding="utf-8",
    )
    ended = bare.run(str(SCRIPTS / "pytest"), "-q", "-p", "no:cacheprovider")
    assert ended.code == 0, ended
    assert "1 passed" in ended.out


def test_a_run_of_pytest_that_does_not_use_the_fixture_loads_no_native_half(bare: Shell) -> None:
    (bare.directory / "test_theirs.py").write_text(
        "import sys\n"
        "def test_their_own():\n"
        "    assert 'kaltura_app_token.pytest_plugin' in sys.modules\n"
        "    assert 'kaltura_app_token._native' not in sys.modules\n",
        encoding="utf-8",
    )
    ended = bare.run(str(SCRIPTS / "pytest"), "-q", "-p", "no:cacheprovider")
    assert ended.code == 0, ended


class TestControl:
    """What no call of the API can do, as methods."""

    def test_faults_strike_as_often_as_they_are_ordered_to(self, sandbox: Sandbox) -> None:
        client = sandbox.client(max_retries=0)
        sandbox.fault("session.startWidgetSession", "status", status=429, retry_after=1, skip=1)
        assert client.start_widget_session().ks
        with pytest.raises(HttpError) as caught:
            client.start_widget_session()
        assert (caught.value.http_status, client.start_widget_session().ks.__bool__()) == (
            429,
            True,
        )

    @pytest.mark.parametrize(
        ("fault", "fields", "kind"),
        [
            ("latency", {"ms": 3000}, RequestTimeout),
            ("reset", {}, TransportError),
            ("truncated", {}, TransportError),
            ("garbage", {}, DecodeError),
            ("html", {}, DecodeError),
            ("empty", {}, DecodeError),
            ("huge", {"size": 40_000_000}, DecodeError),
            ("redirect", {"location": "https://example.com/"}, HttpError),
            ("exception", {"code": "SLOW_DOWN", "message": "later"}, ApiError),
        ],
    )
    def test_every_fault_can_be_ordered(
        self, sandbox: Sandbox, fault: Any, fields: dict[str, Any], kind: type[Exception]
    ) -> None:
        sandbox.fault("session.startWidgetSession", fault, **fields)
        with pytest.raises(kind):
            sandbox.client(max_retries=0, attempt_timeout=1).start_widget_session()

    def test_faults_can_be_cancelled(self, sandbox: Sandbox) -> None:
        sandbox.fault("*", "reset", times=99)
        sandbox.clear_faults()
        assert sandbox.client(max_retries=0).start_widget_session().ks

    @pytest.mark.parametrize(
        ("order", "words"),
        [
            ({"fault": "flood"}, "unknown fault"),
            ({"fault": "latency"}, "ms: missing"),
            ({"fault": "reset", "times": -1}, "times"),
            ({"fault": "reset", "probability": 2}, "probability"),
        ],
    )
    def test_an_order_that_cannot_be_is_named(
        self, sandbox: Sandbox, order: dict[str, Any], words: str
    ) -> None:
        with pytest.raises(ConfigError, match=words):
            sandbox.fault("*", **order)
        assert sandbox.client(max_retries=0).start_widget_session().ks

    def test_its_clock_can_be_moved_stopped_and_set_right(self, sandbox: Sandbox) -> None:
        def created() -> int:
            token = sandbox.client().add_token()
            assert token.created_at is not None
            return token.created_at

        now = created()
        sandbox.advance(3600)
        assert now + 3600 <= created() < now + 3660
        sandbox.advance(timedelta(hours=1))
        assert now + 7200 <= created() < now + 7260
        for at in (now + 500, datetime.fromtimestamp(now + 500, timezone.utc)):
            sandbox.set_time(at)
            assert created() == now + 500
        sandbox.set_time(None)
        assert now <= created() < now + 60
        with pytest.raises(ConfigError, match="zone"):
            sandbox.set_time(datetime(2030, 1, 1))
        with pytest.raises(ConfigError):
            sandbox.advance(1e13)

    def test_what_arrived_can_be_looked_at_without_its_secrets(self, sandbox: Sandbox) -> None:
        sandbox.client().add_token(description="mine")
        (request,) = sandbox.requests()
        assert (request["service"], request["action"], request["status"]) == (
            "appToken",
            "add",
            200,
        )
        assert request["params"]["appToken"]["description"] == "mine"
        assert request["params"]["ks"] == "***"
        assert request["masked"]["ks"] > 20
        sandbox.clear_requests()
        assert sandbox.requests() == []

    def test_it_can_begin_anew(self, sandbox: Sandbox) -> None:
        sandbox.client().add_token()
        sandbox.fault("*", "reset", times=99)
        sandbox.advance(9999)
        sandbox.reset()
        assert sandbox.requests() == []
        assert list(sandbox.client().tokens()) == []

    def test_without_control_it_says_so(self) -> None:
        with Sandbox(control=False) as sandbox, pytest.raises(ConfigError, match="control"):
            sandbox.fault("*", "reset")

    def test_a_closed_one_says_so(self) -> None:
        with Sandbox() as sandbox:
            pass
        with pytest.raises(RuntimeError, match="closed"):
            sandbox.requests()


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_it_is_ended(tmp_path: Path, end: signal.Signals) -> None:
    process = subprocess.Popen(  # noqa: S603
        [NEW, "sandbox"],
        cwd=tmp_path,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            url = process.stdout.readline().strip()
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+/api_v3", url)
            partner = process.stderr.readline().removeprefix("partner id: ")
            secret = process.stderr.readline().removeprefix("admin secret: ").strip()
            client = Client(int(partner), admin_secret=secret, service_url=url)
            assert client.add_token().id.startswith("0_")
            process.send_signal(end)
            assert process.wait(timeout=10) == 0
            assert "Traceback" not in process.stderr.read()
        finally:
            process.kill()


def test_the_command_says_what_is_wrong_with_its_arguments(bare: Shell) -> None:
    ended = bare.new("sandbox", "--nonsense")
    assert (ended.code, ended.out) == (2, "")
    assert "--nonsense" in ended.err


class TestDemo:
    def test_it_shows_a_token_and_a_session_of_a_sandbox(self, bare: Shell) -> None:
        ended = bare.new("demo")
        assert (ended.code, ended.err) == (0, "")
        token_id = re.search(r"created token id \(sandbox\): (0_\w{8})$", ended.out, re.MULTILINE)
        assert token_id is not None
        assert re.search(r"session KS \(sandbox\): djJ8[\w=-]+$", ended.out, re.MULTILINE)
        assert f"kaltura-app-token session {token_id[1]}" in ended.out
        assert "media.list answers: 0 entries" in ended.out
        assert "media.list answers: INVALID_KS" in ended.out

    def test_it_needs_neither_account_nor_network(self, bare: Shell) -> None:
        ended = bare.new("demo", http_proxy="http://127.0.0.1:1", KALTURA_PARTNER_ID="nonsense")
        assert ended.code == 0, ended


def test_importing_the_sandbox_needs_no_pytest(bare: Shell) -> None:
    program = "import sys; import kaltura_app_token.sandbox; sys.exit('pytest' in sys.modules)"
    assert bare.run(sys.executable, "-c", program).code == 0
