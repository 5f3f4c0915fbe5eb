"""Code of the program's that the library calls: token sources, progress, sinks, signal handlers.

Whatever it does (sleep, wait for a lock, call the library again), other calls, deadlines and Ctrl-C
go on.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import kaltura_app_token as kat
import pytest
from conftest import account_of, clean_environment
from kaltura_app_token import AsyncClient, AsyncSessionProvider, SessionProvider, Sink, TokenSource
from kaltura_app_token.sandbox import Sandbox
from test_client import in_a_process, order


def test_a_source_that_waits_for_a_lock_defeats_neither_deadline_nor_ctrl_c(
    sandbox: Sandbox,
) -> None:
    order(sandbox, action="session.startWidgetSession", fault="latency", ms=5000, times=9)
    program = """
import os, signal, threading, time
import kaltura_app_token as kat
client = kat.Client.from_env(total_timeout=1, max_retries=0)
lock = threading.Lock()
def source():
    with lock:
        return "0_abcdefgh", "v" * 32
provider = kat.SessionProvider(client, kat.TokenSource.callable(source))
lock.acquire()
threading.Thread(target=provider.get, daemon=True).start()
time.sleep(0.2)
started = time.monotonic()
try:
    client.start_widget_session()
except kat.RequestTimeout:
    print("in time", time.monotonic() - started < 1.5)
client = kat.Client.from_env()
provider = kat.SessionProvider(client, kat.TokenSource.callable(source))
threading.Thread(target=provider.get, daemon=True).start()
time.sleep(0.2)
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
started = time.monotonic()
try:
    client.start_widget_session()
except KeyboardInterrupt:
    print("interrupted", time.monotonic() - started < 1)
"""
    done = in_a_process(sandbox, program)
    assert done.stdout.splitlines() == ["in time True", "interrupted True"], done.stderr


def slow_source(sandbox: Sandbox, seconds: float) -> TokenSource:
    token = sandbox.client().add_token()

    def slow() -> tuple[str, kat.Secret]:
        assert token.token is not None
        time.sleep(seconds)
        return token.id, token.token

    return TokenSource.callable(slow)


def test_a_slow_source_delays_no_other_thread(sandbox: Sandbox) -> None:
    client = sandbox.client()
    provider = SessionProvider(client, slow_source(sandbox, 1))
    asking = threading.Thread(target=provider.get)
    asking.start()
    time.sleep(0.2)
    started = time.monotonic()
    client.start_widget_session()
    assert time.monotonic() - started < 0.5
    asking.join()


def test_a_slow_source_delays_no_other_task(sandbox: Sandbox) -> None:
    source = slow_source(sandbox, 1)

    async def main() -> None:
        async with AsyncClient(sandbox.partner_id, service_url=sandbox.service_url) as client:
            asking = asyncio.create_task(AsyncSessionProvider(client, source).get())
            await asyncio.sleep(0.2)
            started = time.monotonic()
            await client.start_widget_session()
            assert time.monotonic() - started < 0.5
            assert (await asking).ks

    asyncio.run(main())


def test_ctrl_c_ends_a_call_whose_source_hangs(sandbox: Sandbox) -> None:
    program = """
import os, signal, threading, time
import kaltura_app_token as kat
source = kat.TokenSource.callable(lambda: time.sleep(60))
provider = kat.SessionProvider(kat.Client.from_env(), source)
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    provider.get()
except KeyboardInterrupt:
    print("interrupted")
"""
    started = time.monotonic()
    done = in_a_process(sandbox, program)
    assert (done.stdout.strip(), done.stderr) == ("interrupted", "")
    assert time.monotonic() - started < 10


class TestCallingTheLibraryAgain:
    def test_from_a_signal_handler(self, sandbox: Sandbox) -> None:
        order(sandbox, action="*", fault="latency", ms=600, times=1)
        program = """
import os, signal, threading
import kaltura_app_token as kat
client = kat.Client.from_env()
def handler(*_):
    for each in client, kat.Client.from_env():
        print(each.start_widget_session().ks)
signal.signal(signal.SIGUSR1, handler)
threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGUSR1)).start()
print(client.start_widget_session().ks)
"""
        done = in_a_process(sandbox, program)
        assert (done.stdout, done.stderr) == ("****\n" * 3, "")

    def test_from_a_token_source(self, sandbox: Sandbox) -> None:
        client = sandbox.client()
        token = client.add_token()

        def source() -> tuple[str, kat.Secret]:
            value = client.get_token(token.id).token
            assert value is not None
            return token.id, value

        assert SessionProvider(client, TokenSource.callable(source)).get()

    def test_from_a_progress_function(self, sandbox: Sandbox, tmp_path: Path) -> None:
        client = sandbox.client()
        token = client.add_token()
        seen: list[tuple[str, str]] = []

        def progress(old_id: str, step: str) -> None:
            seen.append((client.get_token(old_id).id, step))

        (rotated,) = kat.rotate(
            client,
            [token.id],
            journal=tmp_path / "journal",
            sink=Sink.file(tmp_path / "token"),
            progress=progress,
        )
        assert rotated.error is None
        assert seen[0] == (token.id, "read")
        assert seen[-1] == (token.id, "finished")


class TestWhereASourceRuns:
    def test_on_a_thread_of_its_own_with_a_name_and_an_empty_context(
        self, sandbox: Sandbox
    ) -> None:
        token = sandbox.client().add_token()
        variable = contextvars.ContextVar("variable", default="empty")
        variable.set("the caller's")
        seen: list[str] = []

        def source() -> tuple[str, kat.Secret]:
            assert token.token is not None
            seen.extend((threading.current_thread().name, variable.get()))
            return token.id, token.token

        assert SessionProvider(sandbox.client(), TokenSource.callable(source)).get()
        assert seen == ["kaltura-token-source", "empty"]
        assert "kaltura-token-source" not in {thread.name for thread in threading.enumerate()}

    def test_what_it_starts_can_be_ended(self, sandbox: Sandbox) -> None:
        ended: list[int] = []

        def source() -> tuple[str, str]:
            with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(20)"]) as child:
                time.sleep(0.2)
                child.terminate()
                ended.append(child.wait(5))
            raise LookupError

        with pytest.raises(kat.ConfigError, match="LookupError"):
            SessionProvider(sandbox.client(), TokenSource.callable(source)).get()
        assert ended == [-signal.SIGTERM]

    @pytest.mark.parametrize("raised", ["KeyboardInterrupt", "SystemExit", "GeneratorExit"])
    def test_what_would_end_a_thread_is_a_failure_of_the_source(
        self, sandbox: Sandbox, raised: str
    ) -> None:
        def source() -> tuple[str, str]:
            raise {"KeyboardInterrupt": KeyboardInterrupt, "SystemExit": SystemExit}.get(
                raised, GeneratorExit
            )

        with pytest.raises(kat.ConfigError, match=raised):
            SessionProvider(sandbox.client(), TokenSource.callable(source)).get()

    def test_in_a_forked_child_too(self, sandbox: Sandbox) -> None:
        token = sandbox.client().add_token()
        assert token.token is not None
        program = f"""
import os, threading
import kaltura_app_token as kat
source = kat.TokenSource.callable(lambda: ({token.id!r}, os.environ["V"]))
provider = kat.SessionProvider(kat.Client.from_env(), source)
provider.get()
child = os.fork()
if child == 0:
    os._exit(4 if provider.get().ks else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
        done = in_a_process(sandbox, program, V=token.token.reveal())
        assert (done.stdout.strip(), done.stderr) == ("4", "")


class TestSinks:
    def rotate(self, sandbox: Sandbox, tmp_path: Path, program: str) -> tuple[str, float]:
        """Starts a rotation whose sink takes 20 s, sends SIGINT, and says what became of it."""
        token = sandbox.client().add_token()
        keeper = tmp_path / "keep.sh"
        keeper.write_text("#!/bin/sh\necho $$ > pid.new\nmv pid.new pid\nexec sleep 20\n")
        keeper.chmod(0o700)
        # Not a pipe, which the sink would keep open.
        with (
            (tmp_path / "out").open("w") as out,
            subprocess.Popen(  # noqa: S603
                [sys.executable, "-c", f"ID = {token.id!r}\nSINK = {str(keeper)!r}\n{program}"],
                cwd=tmp_path,
                env=clean_environment() | account_of(sandbox),
                stdout=out,
            ) as process,
        ):
            while not (tmp_path / "pid").exists():
                time.sleep(0.02)
            started = time.monotonic()
            os.kill(process.pid, signal.SIGINT)
            process.wait(60)
            took = time.monotonic() - started
        # What a sink started takes signals, as what anybody else started does.
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGTERM)
        return (tmp_path / "out").read_text().strip(), took

    def test_ctrl_c_ends_a_rotation_whose_sink_does_not(
        self, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        program = """
import signal
import kaltura_app_token as kat
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    kat.rotate(kat.Client.from_env(), [ID], journal="journal", sink=kat.Sink.command(SINK))
except KeyboardInterrupt:
    print("interrupted")
"""
        out, took = self.rotate(sandbox, tmp_path, program)
        assert out == "interrupted"
        assert took < 4
        sink = Sink.file(tmp_path / "token")
        (resumed,) = kat.resume_rotations(sandbox.client(), journal=tmp_path / "journal", sink=sink)
        assert (resumed.error, resumed.state) == (None, "done")

    def test_a_command_takes_signals(self, sandbox: Sandbox, tmp_path: Path) -> None:
        state = tmp_path / "state"
        kat.rotate(
            sandbox.client(),
            [sandbox.client().add_token().id],
            journal=tmp_path / "journal",
            sink=Sink.command(
                "sh", "-c", f"cat > /dev/null; grep SigBlk /proc/self/status > {state}"
            ),
        )
        assert int(state.read_text().split()[1], 16) == 0

    def test_a_slow_sink_delays_no_other_task(self, sandbox: Sandbox, tmp_path: Path) -> None:
        token = sandbox.client().add_token()

        async def main() -> None:
            async with AsyncClient(
                sandbox.partner_id,
                admin_secret=sandbox.admin_secret,
                service_url=sandbox.service_url,
            ) as client:
                rotation = asyncio.create_task(
                    kat.aio.rotate(
                        client,
                        [token.id],
                        journal=tmp_path / "journal",
                        sink=Sink.command("sh", "-c", f"touch {tmp_path}/begun; sleep 1.5"),
                    )
                )
                while not (tmp_path / "begun").exists():
                    await asyncio.sleep(0.02)
                started = time.monotonic()
                await client.start_widget_session()
                assert time.monotonic() - started < 0.8
                (rotated,) = await rotation
                assert rotated.error is None

        asyncio.run(main())


def test_ctrl_c_in_a_progress_function_stops_a_rotation_at_that_step(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    program = f"""
import kaltura_app_token as kat
steps = []
def interrupted(old_id, step):
    steps.append(step)
    if step == "proved":
        raise KeyboardInterrupt
try:
    kat.rotate(kat.Client.from_env(), [{sandbox.client().add_token().id!r}], journal="journal",
               sink=kat.Sink.file("token"), delete_now=True, progress=interrupted)
except KeyboardInterrupt as interrupt:
    print(steps[-1], "state='proved'" in str(interrupt.__cause__))
"""
    done = in_a_process(sandbox, f"import os; os.chdir({str(tmp_path)!r})" + program)
    assert (done.stdout.split(), done.stderr) == (["proved", "True"], "")


def test_a_log_handler_that_waits_for_a_lock_defeats_no_deadline(sandbox: Sandbox) -> None:
    program = """
import logging, socket, threading, time
import kaltura_app_token as kat
silent = socket.create_server(("127.0.0.1", 0))
lock = threading.RLock()
class Handler(logging.Handler):
    def emit(self, record):
        with lock:
            lines.append((record.threadName, record.getMessage()))
    def handle(self, record):
        # Without the lock that a handler has, which a thread would wait for earlier.
        self.emit(record)
lines = []
log = logging.getLogger("kaltura_app_token")
log.addHandler(Handler())
log.setLevel(logging.DEBUG)
client = kat.Client(102, service_url="http://127.0.0.1:%d" % silent.getsockname()[1],
                    total_timeout=1, attempt_timeout=0.2, retry_backoff=0.05)
def call():
    try:
        client.start_widget_session()
    except kat.RequestTimeout:
        pass
lock.acquire()
other = threading.Thread(target=call, name="other")
other.start()
time.sleep(0.5)
started = time.monotonic()
call()
print(time.monotonic() - started < 1.5)
lock.release()
other.join()
print({name for name, _ in lines} == {"MainThread", "other"}, "attempt 1" in str(lines))
"""
    done = in_a_process(sandbox, program)
    assert (done.stdout.split(), done.stderr) == (["True", "True", "True"], "")


def test_ctrl_c_in_a_log_handler_is_not_lost(sandbox: Sandbox) -> None:
    order(sandbox, action="session.startWidgetSession", fault="status", status=503, times=1)
    program = """
import logging
import kaltura_app_token as kat
class Handler(logging.Handler):
    def emit(self, record):
        raise KeyboardInterrupt
log = logging.getLogger("kaltura_app_token")
log.addHandler(Handler())
log.setLevel(logging.DEBUG)
try:
    kat.Client.from_env().start_widget_session()
except KeyboardInterrupt:
    print("interrupted")
"""
    done = in_a_process(sandbox, program)
    assert (done.stdout.strip(), done.stderr) == ("interrupted", "")


def test_a_rotation_whose_loop_is_gone_makes_no_more_steps(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    token = sandbox.client().add_token()
    steps: list[str] = []

    async def main() -> None:
        client = AsyncClient(
            sandbox.partner_id,
            admin_secret=sandbox.admin_secret,
            service_url=sandbox.service_url,
        )
        rotation = asyncio.ensure_future(
            kat.aio.rotate(
                client,
                [token.id],
                journal=tmp_path / "journal",
                sink=Sink.command("sh", "-c", f"touch {tmp_path}/begun; sleep 1"),
                delete_now=True,
                progress=lambda _, step: steps.append(step),
            )
        )
        while not (tmp_path / "begun").exists():
            await asyncio.sleep(0.02)
        rotation.cancel()

    with pytest.warns(ResourceWarning, match="AsyncClient.* was not closed"):
        asyncio.run(main())
    time.sleep(1.5)
    assert "deleted" not in steps
    assert sandbox.client().get_token(token.id)
