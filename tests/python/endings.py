"""Ends programs while calls are under way, on every Python that is here, and says how they ended.

    python tests/python/endings.py [RUNS]

A program must end by itself with code 0, say nothing on standard error even with `-X dev -W error`,
and leave no descriptor behind.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import kaltura_app_token
from conftest import account_of, clean_environment
from kaltura_app_token.sandbox import Sandbox
from test_client import order

_BEGIN = """
import gc, os, sys, threading, time
import kaltura_app_token as kat
def descriptors():
    gc.collect()
    return len(os.listdir("/proc/self/fd"))
import logging
# That a step took long, as on a busy machine, is no fault.
logging.getLogger("asyncio").addFilter(lambda record: "took %.3f seconds" not in record.msg)
# Two descriptors are the process's own, from the first client on.
kat.Client.from_env().close()
"""

PROGRAMS = {
    "exit with daemon threads in a call": """
client = kat.Client.from_env()
def forever():
    while True:
        client.start_widget_session()
for _ in range(3):
    threading.Thread(target=forever, daemon=True).start()
time.sleep(int.from_bytes(os.urandom(1), "big") / 2000)
""",
    "asyncio.run cut short": """
import asyncio
def open_loops():
    return sum(isinstance(each, asyncio.BaseEventLoop) for each in gc.get_objects())
async def cut_short(error):
    for _ in range(5):
        calls.append(asyncio.ensure_future(client.start_widget_session()))
    await asyncio.sleep(int.from_bytes(os.urandom(1), "big") / 5000)
    if error is not None:
        raise error
before = descriptors()
client = kat.AsyncClient.from_env()
for error in (KeyboardInterrupt, RuntimeError, SystemExit, None) * 2:
    calls = []
    try:
        asyncio.run(cut_short(error))
    except (KeyboardInterrupt, RuntimeError, SystemExit):
        pass
    del calls
gc.collect()
assert open_loops() == 0, open_loops()
asyncio.run(client.aclose())
assert descriptors() == before, (before, descriptors())
""",
    "fork in a call": """
import asyncio, warnings
warnings.filterwarnings("ignore", message=".*fork")
before = descriptors()
client, asynchronous = kat.Client.from_env(), kat.AsyncClient.from_env()
def call():
    try:
        for _ in range(4):
            client.start_widget_session()
    except kat.ClosedError:
        pass
async def call_too():
    await asyncio.gather(*(asynchronous.start_widget_session() for _ in range(3)))
threads = [threading.Thread(target=call), threading.Thread(target=lambda: asyncio.run(call_too()))]
for thread in threads:
    thread.start()
time.sleep(int.from_bytes(os.urandom(1), "big") / 5000)
child = os.fork()
if child == 0:
    client.start_widget_session()
    asyncio.run(call_too())
    asyncio.run(asynchronous.aclose())
    client.close()
    sys.exit(0)
_, status = os.waitpid(child, 0)
assert status == 0, status
client.close()
for thread in threads:
    thread.join()
asyncio.run(asynchronous.aclose())
assert descriptors() == before, (before, descriptors())
""",
}


def interpreters() -> list[str]:
    """This Python, and every later one than 3.9 that is on the path or that pyenv has."""
    found = {f"{sys.version_info[0]}.{sys.version_info[1]}": sys.executable}
    for minor in range(10, 20):
        name = f"3.{minor}"
        beside = sorted((Path.home() / ".pyenv/versions").glob(f"{name}.*/bin/python"))
        there = shutil.which(f"python{name}")
        for each in [*map(str, beside[-1:]), *([there] if there else [])]:
            works = subprocess.run([each, "-c", ""], capture_output=True, check=False)  # noqa: S603
            if works.returncode == 0:
                found.setdefault(name, each)
    return list(found.values())


def version(python: str) -> str:
    """The version of an interpreter."""
    ask = "import sys; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True)  # noqa: S603
    return done.stdout.strip()


def ends(
    python: str, program: str, sandbox: Sandbox, runs: int, before: str = ""
) -> Counter[tuple[int, str]]:
    """How a program ended: exit code and standard error, and how often it did so."""
    environment = clean_environment() | account_of(sandbox)
    environment["PYTHONPATH"] = str(Path(kaltura_app_token.__file__).parents[1])

    def run(_: int) -> tuple[int, str]:
        done = subprocess.run(  # noqa: S603
            [python, "-X", "dev", "-W", "error", "-c", before + _BEGIN + program],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stderr

    with ThreadPoolExecutor(2 * (os.cpu_count() or 1)) as pool:
        return Counter(pool.map(run, range(runs)))


def main() -> int:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    failed = 0
    with Sandbox() as sandbox:
        order(sandbox, action="*", fault="latency", ms=25, times=10**6)
        for python in interpreters():
            for name, program in PROGRAMS.items():
                ended = ends(python, program, sandbox, runs)
                well = ended.pop((0, ""), 0)
                failed += runs - well
                print(
                    f"{version(python)}: {name}: {well} of {runs} well", *ended.items(), sep="\n  "
                )
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
