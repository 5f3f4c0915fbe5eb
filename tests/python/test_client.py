"""`Client` as programs use it: arguments, results, failures, threads, forks, Ctrl-C."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import kaltura_app_token as kat
import pytest
from conftest import account_of, clean_environment
from kaltura_app_token.sandbox import Sandbox


def order(sandbox: Sandbox, **fault: Any) -> None:
    """Orders a fault of the sandbox."""
    sandbox.fault(**fault)


def in_a_process(
    sandbox: Sandbox, program: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        [sys.executable, "-W", "error", "-c", program],
        env=clean_environment() | account_of(sandbox) | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class TestValues:
    def test_a_token_comes_back_as_it_was_asked_for(self, sandbox: Sandbox) -> None:
        expiry = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(days=2)
        token = sandbox.client().add_token(
            description="Ünïcødé 🚀",
            hash_type="SHA512",
            session_type="ADMIN",
            session_duration=timedelta(hours=1),
            session_privileges="sview:*",
            session_user_id="alice",
            expiry=expiry,
        )
        assert token.description == "Ünïcødé 🚀"
        assert (token.hash_type, str(token.session_type), token.session_type) == (
            "SHA512",
            "ADMIN",
            2,
        )
        assert (token.session_duration, token.session_user_id) == (3600, "alice")
        assert (token.expires_at, token.expiry) == (expiry, int(expiry.timestamp()))
        assert (token.status, str(token.status)) == (2, "ACTIVE")

    @pytest.mark.parametrize(
        ("arguments", "error", "named"),
        [
            ({"expiry": datetime(2030, 1, 1)}, kat.ConfigError, "time zone"),
            ({"expiry": 0}, kat.ConfigError, "expiry"),
            ({"expiry": 3600}, kat.ConfigError, "expiry"),
            ({"expiry": "tomorrow"}, TypeError, "unix seconds"),
            ({"expiry": True}, TypeError, "bool"),
            ({"session_duration": 0}, kat.ConfigError, "sessionDuration"),
            ({"session_duration": -5}, kat.ConfigError, "session_duration"),
            ({"session_duration": "1h"}, TypeError, "timedelta"),
            ({"session_type": "ROOT"}, kat.ConfigError, "ROOT"),
            ({"hash_type": "SHA3"}, kat.ConfigError, "SHA3"),
            ({"no_such": 1}, TypeError, "no_such"),
        ],
    )
    def test_what_is_ambiguous_or_wrong_is_refused_by_name(
        self, sandbox: Sandbox, arguments: dict[str, Any], error: type[Exception], named: str
    ) -> None:
        client = sandbox.client()
        with pytest.raises(error, match=named):
            client.add_token(**arguments)
        assert list(client.tokens()) == []

    def test_an_update_changes_what_is_named_and_clears_what_is_asked(
        self, sandbox: Sandbox
    ) -> None:
        client = sandbox.client()
        token = client.add_token(description="a", session_user_id="u", session_privileges="list:*")
        changed = client.update_token(token.id, description="b", clear=["sessionUserId"])
        assert (changed.description, changed.session_user_id) == ("b", None)
        assert changed.session_privileges == "list:*"
        with pytest.raises(kat.ConfigError, match=r"clear\[0\]"):
            client.update_token(token.id, clear=["status"])  # type: ignore[list-item]
        with pytest.raises(kat.ConfigError, match="changes nothing"):
            client.update_token(token.id)

    def test_options_and_filters_that_do_not_exist_are_type_errors(self, sandbox: Sandbox) -> None:
        with pytest.raises(TypeError, match="retries"):
            sandbox.client(retries=3)
        with pytest.raises(TypeError, match="colour"):
            sandbox.client().tokens(colour="red")  # type: ignore[call-arg]

    def test_pages_and_profiles(self, sandbox: Sandbox) -> None:
        client = sandbox.client()
        for number in range(5):
            client.add_token(description=str(number))
        page = client.list_tokens(page_size=2, page_index=2, order_by="+createdAt")
        assert (len(page.tokens), page.total_count) == (2, 5)
        some = client.list_tokens(response_profile=kat.ResponseProfile.include("id", "description"))
        assert {token.status for token in some.tokens} == {None}
        assert all(token.token for token in client.tokens(with_secrets=True))
        assert [token.token for token in client.tokens()] == [None] * 5

    def test_a_session_says_when_it_ends_and_what_was_dropped(self, sandbox: Sandbox) -> None:
        token = sandbox.client().add_token(session_privileges="sview:*")
        assert token.token is not None
        integration = kat.Client(sandbox.partner_id, service_url=sandbox.service_url)
        session = integration.start_session(
            token.id, token.token, duration=timedelta(minutes=5), privileges="edit:*,foo:1"
        )
        assert session.expires_at is not None
        assert session.expires_at.tzinfo is timezone.utc
        left = session.expires_at - datetime.now(timezone.utc)
        assert timedelta(seconds=290) < left <= timedelta(seconds=300)
        assert session.dropped_privileges == ("edit:*",)
        assert sandbox.client().session_info(session.ks).privileges == session.privileges


class TestSecrets:
    def test_no_print_of_a_result_shows_a_credential(self, sandbox: Sandbox) -> None:
        client = sandbox.client()
        token = client.add_token()
        assert token.token is not None
        session = client.start_session(token.id, token.token)
        shown = f"{token} {token!r} {session} {session!r} {token.token} {session.ks!r} {client!r}"
        for secret in (token.token.reveal(), session.ks.reveal(), sandbox.admin_secret):
            assert secret not in shown
        assert "****" in shown

    def test_what_holds_a_credential_is_not_pickled_and_says_what_travels(
        self, sandbox: Sandbox
    ) -> None:
        client = sandbox.client()
        token = client.add_token()
        session = client.start_session(token)
        settings = kat.Settings(partner_id=1, admin_secret="x" * 32)
        for holder, way in (
            (client, "settings"),
            (settings, "reveal()"),
            (token, ".token.reveal()"),
            (token.token, "reveal()"),
            (session, ".ks.reveal()"),
        ):
            with pytest.raises(TypeError, match="credential") as caught:
                pickle.dumps(holder)
            assert way in str(caught.value)
        with pytest.raises(TypeError, match="credential"):
            copy.deepcopy(client)

    def test_a_secret_that_is_no_text_is_refused_without_showing_it(self) -> None:
        for call in (
            lambda: kat.Secret("canary\ud800"),
            lambda: kat.Client(1, admin_secret="canary\ud800"),
            lambda: kat.token_hash("ks", "canary\ud800"),
        ):
            with pytest.raises(ValueError, match="no text") as caught:
                call()
            assert "canary" not in repr(caught.value)
            assert not isinstance(caught.value, UnicodeError)

    def test_secrets_are_values(self) -> None:
        assert kat.Secret("a") == kat.Secret("a") == kat.Secret(kat.Secret("a"))
        assert len({kat.Secret("a"), kat.Secret("a"), kat.Secret("b")}) == 2
        assert not kat.Secret("")
        secret = kat.Secret("a")
        assert copy.copy(secret) is copy.deepcopy(secret) is secret

    def test_the_hash_of_a_secret_tells_nothing_about_it(self) -> None:
        program = "import kaltura_app_token as kat; print(hash(kat.Secret('a')))"
        environment = clean_environment() | {"PYTHONHASHSEED": "0"}
        hashes = {
            subprocess.run(  # noqa: S603
                [sys.executable, "-c", program], env=environment, capture_output=True, check=True
            ).stdout
            for _ in range(2)
        }
        assert len(hashes) == 2


class TestFailures:
    @pytest.mark.parametrize(
        ("code", "kind"),
        [
            ("APP_TOKEN_ID_NOT_FOUND", kat.TokenNotFound),
            ("INVALID_APP_TOKEN_ID", kat.TokenNotFound),
            ("INVALID_APP_TOKEN_HASH", kat.InvalidTokenHash),
            ("APP_TOKEN_NOT_ACTIVE", kat.TokenNotActive),
            ("APP_TOKEN_EXPIRED", kat.TokenExpired),
            ("EXPIRED_TOKEN", kat.TokenExpired),
            ("PROPERTY_VALIDATION_NOT_UPDATABLE", kat.NotUpdatable),
            ("INVALID_KS", kat.InvalidSession),
            ("SERVICE_FORBIDDEN", kat.PermissionDenied),
            ("SOMETHING_NEW", kat.ApiError),
        ],
    )
    def test_every_code_has_its_class_and_survives_pickling(
        self, sandbox: Sandbox, code: str, kind: type[kat.ApiError]
    ) -> None:
        order(sandbox, action="appToken.get", fault="exception", code=code, message="why not")
        with pytest.raises(kat.ApiError) as caught:
            sandbox.client().get_token("0_abcdefgh")
        error = caught.value
        assert type(error) is kind
        assert (error.code, error.request, error.attempts) == (code, "appToken.get", 1)
        twin = pickle.loads(pickle.dumps(error))  # noqa: S301
        assert type(twin) is kind
        assert vars(twin) == vars(error)
        assert str(twin) == str(error)

    @pytest.mark.parametrize(
        ("fault", "kind", "builtin"),
        [
            ({"fault": "reset"}, kat.TransportError, Exception),
            ({"fault": "html"}, kat.DecodeError, Exception),
            ({"fault": "status", "status": 404}, kat.HttpError, Exception),
            ({"fault": "latency", "ms": 500}, kat.RequestTimeout, TimeoutError),
        ],
    )
    def test_every_other_failure_too(
        self,
        sandbox: Sandbox,
        fault: dict[str, Any],
        kind: type[kat.KalturaError],
        builtin: type[Exception],
    ) -> None:
        order(sandbox, action="*", times=9, **fault)
        client = sandbox.client(max_retries=0, attempt_timeout=0.2)
        with pytest.raises(kind) as caught:
            client.get_token("0_abcdefgh")
        assert isinstance(caught.value, builtin)
        with pytest.raises(kat.OutcomeUnknown if kind is not kat.HttpError else kind):
            client.add_token()

    def test_a_closed_client_says_so(self, sandbox: Sandbox) -> None:
        with sandbox.client() as client:
            client.add_token()
        with pytest.raises(ValueError, match="closed"):
            client.add_token()


class TestWaiting:
    def test_calls_of_many_threads_run_at_the_same_time(self, sandbox: Sandbox) -> None:
        order(sandbox, action="*", fault="latency", ms=300, times=8)
        client = sandbox.client()
        threads = [threading.Thread(target=client.start_widget_session) for _ in range(8)]
        started = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert time.monotonic() - started < 1.2

    def test_ctrl_c_ends_a_call_within_a_tenth_of_a_second(self, sandbox: Sandbox) -> None:
        order(sandbox, action="*", fault="latency", ms=5000, times=9)
        program = """
import os, signal, threading, time
from kaltura_app_token import Client
client = Client.from_env()
pressed = []
def press():
    pressed.append(time.monotonic())
    os.kill(os.getpid(), signal.SIGINT)
threading.Timer(0.3, press).start()
try:
    client.start_widget_session()
except KeyboardInterrupt:
    print(time.monotonic() - pressed[0])
"""
        done = in_a_process(sandbox, program)
        assert done.returncode == 0, done.stderr
        # 50 ms until it looks up, and the machine's own delays.
        assert float(done.stdout) < 0.1

    def test_ctrl_c_during_a_creation_keeps_what_is_in_doubt(self, sandbox: Sandbox) -> None:
        order(sandbox, action="appToken.add", fault="latency", ms=5000, after=True)
        program = """
import os, signal, threading
from kaltura_app_token import Client, OutcomeUnknown
client = Client.from_env()
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    client.add_token()
except KeyboardInterrupt as interrupt:
    assert isinstance(interrupt.__cause__, OutcomeUnknown), interrupt.__cause__
    print("in doubt")
"""
        done = in_a_process(sandbox, program)
        assert done.stdout.strip() == "in doubt", done.stderr

    def test_ctrl_c_after_the_answer_came_keeps_what_it_said(self, sandbox: Sandbox) -> None:
        program = """
import signal, time
from kaltura_app_token import Client
client = Client.from_env()
def slow(*_):
    time.sleep(0.6)  # The answer comes while the handler runs.
    raise KeyboardInterrupt
signal.signal(signal.SIGALRM, slow)
signal.setitimer(signal.ITIMER_REAL, 0.1)
try:
    client.add_token()
except KeyboardInterrupt as interrupt:
    print(interrupt.__cause__)
"""
        order(sandbox, action="appToken.add", fault="latency", ms=300)
        done = in_a_process(sandbox, program)
        (token,) = sandbox.client().tokens()
        # Whichever was faster, the answer or the interrupt: it is never passed over in silence.
        assert token.id in done.stdout or "may or may not" in done.stdout, done.stderr

    def test_a_program_can_end_while_a_call_is_under_way(self, sandbox: Sandbox) -> None:
        order(sandbox, action="*", fault="latency", ms=5000, times=9)
        program = """
import threading, time
from kaltura_app_token import Client
client = Client.from_env()
threading.Thread(target=client.start_widget_session, daemon=True).start()
time.sleep(0.3)
"""
        done = in_a_process(sandbox, program)
        assert (done.returncode, done.stderr) == (0, "")


def _mint(client: kat.Client, results: Any) -> None:
    results.put(client.start_widget_session().ks.reveal()[:4])


def _mint_from_environment(results: Any) -> None:
    results.put(kat.Client.from_env().start_widget_session().ks.reveal()[:4])


class TestForks:
    def test_a_client_works_on_both_sides_of_a_fork(self, sandbox: Sandbox) -> None:
        client = sandbox.client()
        client.start_widget_session()
        context = multiprocessing.get_context("fork")
        results = context.Queue()
        children = [context.Process(target=_mint, args=(client, results)) for _ in range(4)]
        for child in children:
            child.start()
        assert [results.get(timeout=20) for _ in children] == ["djJ8"] * 4
        for child in children:
            child.join(20)
            assert child.exitcode == 0
        client.start_widget_session()

    def test_a_spawned_process_works(
        self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, value in account_of(sandbox).items():
            monkeypatch.setenv(name, value)
        context = multiprocessing.get_context("spawn")
        results = context.Queue()
        child = context.Process(target=_mint_from_environment, args=(results,))
        child.start()
        assert results.get(timeout=30) == "djJ8"
        child.join(20)
        assert child.exitcode == 0

    def test_a_fork_while_another_thread_is_calling_harms_neither(self, sandbox: Sandbox) -> None:
        program = """
import os, threading, time
from kaltura_app_token import Client
client = Client.from_env()
stop = threading.Event()
def busy():
    while not stop.is_set():
        client.start_widget_session()
threads = [threading.Thread(target=busy) for _ in range(4)]
for thread in threads: thread.start()
time.sleep(0.1)
for _ in range(10):
    child = os.fork()
    if child == 0:
        client.start_widget_session()
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
stop.set()
for thread in threads: thread.join()
client.start_widget_session()
print("fine")
"""
        done = in_a_process(sandbox, program)
        assert done.stdout.strip() == "fine", done.stderr

    def test_a_prefork_server_serves_from_each_worker(self, sandbox: Sandbox) -> None:
        # Like gunicorn with preload: the client is made and used before the workers are.
        program = """
import os, sys
from kaltura_app_token import Client
client = Client.from_env()
token = client.add_token()
client.start_session(token.id, token.token)
workers = []
for _ in range(3):
    worker = os.fork()
    if worker == 0:
        for _ in range(20):
            client.start_session(token.id, token.token)
        sys.exit(0)
    workers.append(worker)
print([os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) for worker in workers])
"""
        done = in_a_process(sandbox, program)
        assert done.stdout.strip() == "[0, 0, 0]", done.stderr

    def test_a_signal_handler_that_forks_gives_the_child_an_answer(self, sandbox: Sandbox) -> None:
        order(sandbox, action="*", fault="latency", ms=1000, times=1)
        program = """
import os, signal, threading
from kaltura_app_token import Client, ForkedProcessError
client = Client.from_env()
children = []
def fork(*_):
    children.append(os.fork())
signal.signal(signal.SIGUSR1, fork)
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGUSR1)).start()
try:
    client.start_widget_session()
except ForkedProcessError as error:
    assert children == [0], children
    client.start_widget_session()
    os._exit(5)
print(os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]))
"""
        done = in_a_process(sandbox, program)
        assert done.stdout.strip() == "5", done.stderr


class TestImporting:
    def test_importing_starts_no_thread_and_leaves_no_file_open(self, sandbox: Sandbox) -> None:
        program = """
import os, sys
def state():
    return os.listdir("/proc/self/task"), sorted(os.listdir("/proc/self/fd"))
before = state()
import kaltura_app_token
assert state() == before, (before, state())
loaded = {name.split(".")[0] for name in sys.modules}
heavy = {"typing", "dataclasses", "asyncio", "argparse", "json", "urllib", "ssl"} & loaded
print(sorted(heavy))
"""
        done = in_a_process(sandbox, program)
        assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_the_tests_can_order_faults(sandbox: Sandbox) -> None:
    order(sandbox, action="*", fault="status", status=500)
    with pytest.raises(kat.HttpError):
        sandbox.client(max_retries=0).start_widget_session()


def test_a_signal_is_only_raised_where_python_raises_it(sandbox: Sandbox) -> None:
    """A call on another thread goes on while the main thread takes the signal."""
    order(sandbox, action="*", fault="latency", ms=400)
    client = sandbox.client()
    results: list[object] = []
    thread = threading.Thread(target=lambda: results.append(client.start_widget_session()))
    taken: list[int] = []
    previous: Callable[..., Any] | int | None = signal.signal(
        signal.SIGUSR2, lambda number, _: taken.append(number)
    )
    try:
        thread.start()
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGUSR2)
        thread.join()
    finally:
        signal.signal(signal.SIGUSR2, previous)
    assert (len(results), taken) == (1, [signal.SIGUSR2])
