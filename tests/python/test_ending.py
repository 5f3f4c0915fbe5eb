"""A program ends while calls are under way: no crash, no output, its own exit code."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import endings
import kaltura_app_token as kat
import pytest
from conftest import Shell, clean_environment
from kaltura_app_token.sandbox import Sandbox
from test_client import in_a_process, order

# What every program begins with: a server that accepts and never answers, and an end that takes its
# time, so that threads come back to an interpreter that is ending.
_BEGIN = """
import atexit, os, socket, sys, threading, time
silent = socket.create_server(("127.0.0.1", 0), backlog=64)
URL = "http://127.0.0.1:%d" % silent.getsockname()[1]
import kaltura_app_token as kat

def take_long(after=0.3):
    # In the part of the end in which threads that ask for the interpreter are ended.
    class Slow:
        def __del__(self, sleep=time.sleep, after=after):
            for _ in range(30):
                sleep(after / 30)
    sys.modules["slow"] = type(sys)("slow")
    sys.modules["slow"].object = Slow()
    atexit.register(time.sleep, after)

take_long()
client = kat.Client(102, admin_secret="s" * 32, service_url=URL, total_timeout=0.5, max_retries=0)
source = kat.TokenSource.value("0_abcdefgh", "v" * 32)

def daemon(function, *arguments, **options):
    def forever():
        while True:
            try:
                function(*arguments, **options)
            except kat.KalturaError:
                pass
    threading.Thread(target=forever, daemon=True).start()
"""

PROGRAMS = {
    "a call": "daemon(client.start_widget_session)",
    "a provider": "daemon(kat.SessionProvider(client, source).get)",
    "a walk": "daemon(lambda: list(client.tokens()))",
    "a workflow": "daemon(kat.ensure, client, description='d')",
    "a source that is a function": """
def slow():
    time.sleep(0.2)
    return "0_abcdefgh", "v" * 32
daemon(kat.SessionProvider(client, kat.TokenSource.callable(slow)).get)
""",
    "short calls": """
client = kat.Client(102, service_url="http://127.0.0.1:9", max_retries=0)
for _ in range(16):
    daemon(client.start_widget_session)
""",
    "a thread that leaves with sys.exit": """
def leave():
    try:
        client.start_widget_session()
    finally:
        sys.exit(3)
daemon(client.start_widget_session)
threading.Thread(target=leave, daemon=True).start()
""",
    "an event loop": """
import asyncio
async def main():
    asynchronous = kat.AsyncClient(102, service_url=URL, total_timeout=0.3, max_retries=0)
    while True:
        try:
            await asynchronous.start_widget_session()
        except kat.KalturaError:
            pass
threading.Thread(target=asyncio.run, args=(main(),), daemon=True).start()
""",
    "a log": """
import logging
logging.basicConfig(level=logging.DEBUG, stream=open(os.devnull, "w"))
client = kat.Client(102, service_url="http://127.0.0.1:9", max_retries=9, retry_backoff=0.001)
for _ in range(4):
    daemon(client.start_widget_session)
""",
}


def ends(program: str, *, times: int = 8) -> set[tuple[int, str]]:
    """How a program ended, each time that it was run."""
    environment = clean_environment()
    running = [
        subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", program],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(times)
    ]
    return {(each.wait(60), each.communicate()[1]) for each in running}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_ends_while_a_daemon_thread_is_in(name: str) -> None:
    program = _BEGIN + PROGRAMS[name] + "\ntime.sleep(0.35)\n"
    assert ends(program) == {(0, "")}


@pytest.mark.parametrize("leave", ["sys.exit(5)", "os._exit(5)"])
def test_a_program_ends_with_its_own_code(leave: str) -> None:
    program = _BEGIN + PROGRAMS["a call"] + f"\ntime.sleep(0.2)\n{leave}\n"
    assert ends(program, times=4) == {(5, "")}


def test_a_rotation_with_progress_does_not_disturb_the_end(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    ids = [sandbox.client().add_token().id for _ in range(4)]
    order(sandbox, action="appToken.add", fault="latency", ms=300, times=99)
    program = f"""
import threading, time
import kaltura_app_token as kat
rotation = dict(journal={str(tmp_path / "journal")!r}, sink=kat.Sink.command("true"),
                progress=lambda *_: time.sleep(0.05))
threading.Thread(target=kat.rotate, args=(kat.Client.from_env(), {ids!r}), kwargs=rotation,
                 daemon=True).start()
time.sleep(0.6)
import atexit
atexit.register(time.sleep, 0.3)
"""
    done = in_a_process(sandbox, program)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_call_can_be_made_while_the_program_ends(sandbox: Sandbox) -> None:
    program = """
import atexit
from kaltura_app_token import Client
client = Client.from_env()
atexit.register(lambda: print(client.start_widget_session().ks))
import threading
threading.Thread(target=lambda: [client.start_widget_session() for _ in range(9**9)],
                 daemon=True).start()
"""
    done = in_a_process(sandbox, program)
    assert (done.stdout, done.stderr, done.returncode) == ("****\n", "", 0)


def test_a_forked_child_ends_at_once_although_its_parent_was_calling(sandbox: Sandbox) -> None:
    order(sandbox, action="*", fault="latency", ms=3000, times=9)
    program = """
import os, sys, threading, time
from kaltura_app_token import Client
client = Client.from_env()
threading.Thread(target=client.start_widget_session, daemon=True).start()
time.sleep(0.2)
started = time.monotonic()
child = os.fork()
if child == 0:
    sys.exit(6)
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(code, time.monotonic() - started < 1)
"""
    done = in_a_process(sandbox, program)
    assert (done.stdout.strip(), done.stderr) == ("6 True", "")


def test_ctrl_c_ends_a_program_whose_other_threads_are_calling() -> None:
    program = (
        _BEGIN + PROGRAMS["a call"] + "\nprint('in', flush=True)\nclient.start_widget_session()\n"
    )
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", program.replace("total_timeout=0.5", "total_timeout=30")],
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        os.kill(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert err.rstrip().endswith("KeyboardInterrupt")
    assert process.returncode == -signal.SIGINT


@pytest.mark.parametrize("python", endings.interpreters(), ids=endings.version)
@pytest.mark.parametrize("name", endings.PROGRAMS)
def test_programs_end_well_time_and_again(sandbox: Sandbox, name: str, python: str) -> None:
    runs = int(os.environ.get("KALTURA_ENDINGS", "20"))
    order(sandbox, action="*", fault="latency", ms=25, times=10**6)
    assert endings.ends(python, endings.PROGRAMS[name], sandbox, runs) == {(0, ""): runs}


@pytest.mark.parametrize("python", endings.interpreters(), ids=endings.version)
def test_what_ends_the_program_may_wait_for_a_thread_that_is_in_a_call(
    sandbox: Sandbox, python: str
) -> None:
    order(sandbox, action="*", fault="latency", ms=400, times=99)
    program = """
import atexit
def wait():
    thread.join(5)
    print(thread.is_alive(), file=sys.stderr)
client = kat.Client.from_env()
thread = threading.Thread(target=client.start_widget_session, daemon=True)
thread.start()
"""
    # Registered before the library has registered what it does at the end.
    before = "import atexit, sys; atexit.register(lambda: wait())\n"
    assert endings.ends(python, program, sandbox, 2, before) == {(0, "False\n"): 2}


@pytest.mark.parametrize("python", endings.interpreters(), ids=endings.version)
@pytest.mark.parametrize("first", ["None", "kat.Client.from_env()"])
def test_a_sub_interpreter_is_refused_and_its_end_disturbs_nobody(
    sandbox: Sandbox, python: str, first: str
) -> None:
    refused = """
import kaltura_app_token
try:
    kaltura_app_token.Client
except ImportError as error:
    assert "main interpreter only" in str(error), error
else:
    raise AssertionError("it was imported")
"""
    program = f"""
import warnings
warnings.simplefilter("ignore")
try:
    import _interpreters as interpreters
    other, execute = interpreters.create("legacy"), interpreters.exec
except ImportError:
    import _xxsubinterpreters as interpreters
    other, execute = interpreters.create(isolated=False), interpreters.run_string
client = {first}
failed = execute(other, {refused!r})
assert failed is None, failed
interpreters.destroy(other)
client = kat.Client.from_env()
threading.Thread(target=client.start_widget_session).start()
client.start_widget_session()
try:
    client.add_token(expiry=0)
except kat.ConfigError:
    pass
"""
    assert endings.ends(python, program, sandbox, 1) == {(0, ""): 1}


class TestAPanic:
    """What goes wrong inside of the library is an error of that call, and of nothing else."""

    def panics(self) -> Any:
        from kaltura_app_token import _native

        if not hasattr(_native, "_Panics"):
            pytest.skip("built without debug assertions")
        return _native._Panics()

    @pytest.mark.parametrize("place", ["value", "method", "call", "answer"])
    def test_is_an_exception_of_the_call(self, sandbox: Sandbox, place: str) -> None:
        client = sandbox.client()
        panics = self.panics()
        with pytest.raises(RuntimeError):
            getattr(panics, place)(*[client] * (place in ("call", "answer")))
        assert client.start_widget_session().ks

    @pytest.mark.parametrize("place", ["call", "answer"])
    def test_is_an_exception_of_the_task(self, sandbox: Sandbox, place: str) -> None:
        panic = getattr(self.panics(), place)

        def function(native: object) -> object:
            return panic(native)

        async def main() -> None:
            options: dict[str, Any] = {"service_url": sandbox.service_url}
            async with kat.AsyncClient(sandbox.partner_id, **options) as client:
                with pytest.raises(RuntimeError, match="inside of the library"):
                    await client._submit(function)  # type: ignore[attr-defined]
                assert (await client.start_widget_session()).ks

        asyncio.run(main())

    def test_ends_a_command_with_70_and_one_line(self, bare: Shell) -> None:
        self.panics()
        program = """
import sys
from kaltura_app_token import _native
from kaltura_app_token.command.output.run import run
sys.exit(run("kaltura-app-token", lambda: _native._Panics().method()))
"""
        done = bare.run(sys.executable, "-c", program)
        assert done.code == 70
        assert done.err.splitlines()[-1].startswith("kaltura-app-token: internal error: ")
        assert "Traceback" not in done.err
