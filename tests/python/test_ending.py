"""A program ends while calls are under way: no crash, no output, its own exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import clean_environment
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
