"""Closing a client, sync or not: what is under way ends, later calls fail, and nothing is left."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import kaltura_app_token as kat
import pytest
from kaltura_app_token import AsyncSessionProvider, SessionProvider, TokenSource
from kaltura_app_token.sandbox import Sandbox
from test_async_client import client_of, run
from test_client import in_a_process, order


def slow(sandbox: Sandbox, seconds: float = 20) -> None:
    """From now on the sandbox takes that long for every answer."""
    order(sandbox, action="*", fault="latency", ms=int(seconds * 1000), times=10**6)


def test_its_error_says_the_next_step_and_is_also_a_value_error(sandbox: Sandbox) -> None:
    client = sandbox.client()
    client.close()
    with pytest.raises(ValueError, match="make another one") as caught:
        client.start_widget_session()
    assert type(caught.value) is kat.ClosedError
    assert kat.errors.exit_code(caught.value) == 70
    client.close()
    assert repr(client) == "Client(closed)"


SOURCE = TokenSource.value("0_abcdefgh", "v")
CALLS: dict[str, Callable[[kat.Client], object]] = {
    "a read": lambda client: client.get_token("0_abcdefgh"),
    "an exchange": lambda client: client.start_session("0_abcdefgh", "v"),
    "a walk": lambda client: list(client.tokens()),
    "a provider": lambda client: SessionProvider(client, SOURCE).get(),
    "a workflow": lambda client: kat.audit(client),
}


class TestClient:
    @pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
    def test_ends_what_other_threads_are_waiting_for(
        self, sandbox: Sandbox, call: Callable[[kat.Client], object]
    ) -> None:
        slow(sandbox)
        client = sandbox.client()
        with ThreadPoolExecutor(3) as threads:
            calls = [threads.submit(call, client) for _ in range(3)]
            time.sleep(0.2)
            started = time.monotonic()
            client.close()
            assert all(each.done() or each.exception(0.5) for each in calls)
            assert time.monotonic() - started < 1
            assert {type(each.exception()) for each in calls} == {kat.ClosedError}

    def test_leaves_a_creation_under_way_in_doubt(self, sandbox: Sandbox) -> None:
        slow(sandbox)
        client = sandbox.client()
        with ThreadPoolExecutor(1) as thread:
            creation = thread.submit(client.add_token)
            time.sleep(0.2)
            client.close()
            with pytest.raises(kat.OutcomeUnknown):
                creation.result(1)

    def test_closes_walks_and_providers_with_it(self, sandbox: Sandbox) -> None:
        client = sandbox.client()
        token = client.add_token()
        assert token.token is not None
        provider = SessionProvider(client, TokenSource.value(token.id, token.token))
        session, walk = provider.get(), client.tokens()
        client.close()
        with pytest.raises(kat.ClosedError):
            next(walk)
        with pytest.raises(kat.ClosedError):
            provider.get()
        with pytest.raises(kat.ClosedError):
            provider.reject(session)
        assert "SessionProvider" in repr(provider)

    def test_can_be_closed_from_inside_of_its_own_call(self, sandbox: Sandbox) -> None:
        slow(sandbox)
        program = """
import os, signal, threading, time
import kaltura_app_token as kat
client = kat.Client.from_env()
signal.signal(signal.SIGUSR1, lambda *_: client.close())
threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGUSR1)).start()
started = time.monotonic()
try:
    client.start_widget_session()
except kat.ClosedError:
    print("closed", time.monotonic() - started < 1)
"""
        done = in_a_process(sandbox, program)
        assert (done.stdout.strip(), done.stderr) == ("closed True", "")

    def test_does_not_wait_for_ever_for_a_sink_that_hangs(
        self, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        client = sandbox.client()
        token = client.add_token()
        begun = tmp_path / "begun"
        sink = kat.Sink.command("sh", "-c", f"touch {begun}; exec sleep 5 > /dev/null 2>&1")
        journal = tmp_path / "journal"
        with ThreadPoolExecutor(1) as thread:
            rotation = thread.submit(kat.rotate, client, [token.id], journal=journal, sink=sink)
            while not begun.exists():
                time.sleep(0.02)
            started = time.monotonic()
            client.close()
            assert time.monotonic() - started < 3
            error = rotation.exception(3)
        assert isinstance(error, kat.KalturaError) or rotation.result()[0].error is not None


class TestAsyncClient:
    def test_closes_for_every_task_on_every_loop(self, sandbox: Sandbox) -> None:
        slow(sandbox)
        client = client_of(sandbox)

        async def calls() -> list[Any]:
            many = (client.start_widget_session() for _ in range(5))
            return await asyncio.gather(*many, return_exceptions=True)

        async def main() -> None:
            with ThreadPoolExecutor(2) as threads:
                elsewhere = [threads.submit(asyncio.run, calls()) for _ in range(2)]
                here = asyncio.create_task(calls())
                await asyncio.sleep(0.3)
                started = time.monotonic()
                await client.aclose()
                answers = await here + elsewhere[0].result(2) + elsewhere[1].result(2)
                assert time.monotonic() - started < 1
            assert [type(answer) for answer in answers] == [kat.ClosedError] * 15
            for answer in await calls():
                assert type(answer) is kat.ClosedError
            await client.aclose()

        run(main)

    def test_closes_walks_and_providers_with_it(self, sandbox: Sandbox) -> None:
        token = sandbox.client().add_token()

        async def main() -> None:
            assert token.token is not None
            client = client_of(sandbox)
            source = TokenSource.value(token.id, token.token)
            provider, walk = AsyncSessionProvider(client, source), client.tokens()
            session = await provider.get()
            await client.aclose()
            with pytest.raises(kat.ClosedError):
                await anext(walk)
            with pytest.raises(kat.ClosedError):
                await provider.get()
            with pytest.raises(kat.ClosedError):
                await provider.reject(session)
            with pytest.raises(kat.ClosedError):
                await kat.aio.audit(client)
            with pytest.raises(kat.ClosedError):
                client.preview_add()

        run(main)

    def test_one_that_is_dropped_warns_and_leaves_no_descriptor(self, sandbox: Sandbox) -> None:
        program = """
import asyncio, gc, os, warnings
from kaltura_app_token import AsyncClient
def descriptors():
    gc.collect()
    return len(os.listdir("/proc/self/fd"))
async def use():
    await AsyncClient.from_env().start_widget_session()
async def main():
    AsyncClient.from_env()  # Two descriptors are the process's own.
    before = descriptors()
    for _ in range(100):
        await use()
    print(descriptors() - before, len(told), {each.category.__name__ for each in told})
    print(str(told[0].message).split("(")[0], str(told[0].message).split(")")[1])
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    asyncio.run(main())
"""
        done = in_a_process(sandbox, program)
        lines = ["0 100 {'ResourceWarning'}", "AsyncClient  was not closed"]
        assert (done.stdout.splitlines(), done.stderr) == (lines, "")

    @pytest.mark.parametrize("library", ["asyncio", "uvloop"])
    def test_loops_that_are_cut_short_leave_neither_descriptor_nor_loop(
        self, sandbox: Sandbox, library: str
    ) -> None:
        if library == "uvloop":
            pytest.importorskip("uvloop")
        slow(sandbox)
        program = f"""
import asyncio, gc, os, weakref, {library}
from kaltura_app_token import AsyncClient
client = AsyncClient.from_env()
def descriptors():
    gc.collect()
    return len(os.listdir("/proc/self/fd"))
def cut_short(how):
    async def main():
        calls = [asyncio.ensure_future(client.start_widget_session()) for _ in range(5)]
        await asyncio.sleep(0.02)
        raise KeyboardInterrupt
    loop = {library}.new_event_loop()
    loops.append(weakref.ref(loop))
    try:
        loop.run_until_complete(main())
    except KeyboardInterrupt:
        pass
    if how == "tidily":
        for task in asyncio.all_tasks(loop):
            task.cancel()
            try:
                loop.run_until_complete(task)
            except asyncio.CancelledError:
                pass
    else:
        loop.set_exception_handler(lambda *_: None)
    loop.close()
loops = []
cut_short("tidily")
# By then the client's own thread and connections are there.
before = descriptors()
for how in ("tidily", "rudely") * 10:
    cut_short(how)
print(descriptors() - before < 5, [loop() for loop in loops if loop() is not None])
"""
        done = in_a_process(sandbox, program)
        assert (done.stdout.strip(), done.stderr) == ("True []", "")

    def test_a_loop_that_outlives_its_client_serves_the_next_one(self, sandbox: Sandbox) -> None:
        async def main() -> None:
            for _ in range(3):
                async with client_of(sandbox) as client:
                    assert (await client.start_widget_session()).ks

        run(main)

    def test_a_child_of_a_loop_cannot_go_on_with_it(self, sandbox: Sandbox) -> None:
        program = """
import asyncio, os, warnings
import kaltura_app_token as kat
warnings.filterwarnings("ignore", message=".*fork")
client = kat.AsyncClient.from_env()
async def main():
    await client.start_widget_session()
    pending = asyncio.ensure_future(client.start_widget_session())
    await asyncio.sleep(0)
    child = os.fork()
    if child == 0:
        # What the loop watches is shared with the parent, and asyncio no longer calls it running.
        try:
            await client.start_widget_session()
        except RuntimeError:
            os._exit(4)
        os._exit(5)
    assert (await pending).ks
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
asyncio.run(main())
"""
        done = in_a_process(sandbox, program)
        assert (done.stdout.strip(), done.stderr) == ("4", "")

    def test_a_creation_that_ends_after_its_cancelling_is_told(
        self, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def main() -> None:
            async with client_of(sandbox) as client:
                creation = asyncio.ensure_future(client.add_token(description="late"))
                await asyncio.sleep(0)
                # The loop is held up while the answer comes, and then the task is cancelled.
                time.sleep(0.5)
                creation.cancel()
                await asyncio.sleep(0.1)

        run(main)
        (token,) = sandbox.client().tokens()
        (told,) = [record for record in caplog.records if record.levelname == "WARNING"]
        assert token.id in told.getMessage()
        assert "add_token was cancelled" in told.getMessage()

    def test_other_libraries_than_asyncio_are_told_so(self, sandbox: Sandbox) -> None:
        with pytest.raises(RuntimeError, match=r"needs asyncio.*trio"):
            client_of(sandbox).start_widget_session().send(None)
