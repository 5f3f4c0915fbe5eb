"""`AsyncClient`: the same methods for asyncio, at the same time and without a thread for each."""

from __future__ import annotations

import asyncio
import inspect
import os
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

import kaltura_app_token as kat
import pytest
from conftest import account_of
from kaltura_app_token import AsyncClient
from kaltura_app_token.sandbox import Sandbox
from test_client import in_a_process, order


def client_of(sandbox: Sandbox, **options: Any) -> AsyncClient:
    return AsyncClient(
        sandbox.partner_id,
        admin_secret=sandbox.admin_secret,
        service_url=sandbox.service_url,
        **options,
    )


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(main())


# What `Client` has and `AsyncClient` has in another form.
OTHERWISE = {"close": "`aclose`, as asyncio's own objects have it"}


def test_every_method_of_the_client_is_there_with_its_signature() -> None:
    public = {name for name in dir(kat.Client) if not name.startswith("_")}
    public -= set(OTHERWISE)
    for name in public:
        theirs = inspect.getattr_static(kat.Client, name)
        ours = inspect.getattr_static(AsyncClient, name)
        assert inspect.getdoc(ours) is not None, name
        if not callable(theirs):
            assert isinstance(ours, property), name
        elif not isinstance(ours, classmethod) and name != "tokens":
            assert inspect.signature(ours) == inspect.signature(theirs), name


def test_every_workflow_over_a_client_is_there_with_its_signature() -> None:
    over_a_client = {
        name
        for name in kat.__all__
        if inspect.isbuiltin(getattr(kat, name))
        and "client" in inspect.signature(getattr(kat, name)).parameters
    }
    assert {"audit", "ensure", "plan_revocation", "revoke", "rotate"} <= over_a_client
    for name in over_a_client:
        ours = getattr(kat.aio, name)
        assert inspect.iscoroutinefunction(ours), name
        assert inspect.signature(ours) == inspect.signature(getattr(kat, name)), name


def test_the_whole_flow(sandbox: Sandbox) -> None:
    async def main() -> None:
        async with client_of(sandbox) as admin:
            token = await admin.add_token(description="a")
            assert (await admin.get_token(token.id)).description == "a"
            assert (await admin.update_token(token.id, description="b")).description == "b"
            assert (await admin.list_tokens()).total_count == 1
            assert token.token is not None
            session = await admin.start_session(token.id, token.token, user_id="alice")
            assert (await admin.session_info(session.ks)).user_id == "alice"
            assert (await admin.start_widget_session()).ks
            started = await admin.start_admin_session()
            await admin.end_session(started.ks)
            await admin.delete_token(token.id)
            with pytest.raises(kat.TokenNotFound, match=token.id):
                await admin.get_token(token.id)
            with pytest.raises(kat.ConfigError, match="expiry"):
                await admin.add_token(expiry=0)

    run(main)


def test_calls_run_at_the_same_time_on_one_more_thread(sandbox: Sandbox) -> None:
    order(sandbox, action="session.startWidgetSession", fault="latency", ms=300, times=200)

    async def main() -> None:
        before = len(os.listdir("/proc/self/task"))
        async with client_of(sandbox) as client:
            started = time.monotonic()
            calls = [asyncio.ensure_future(client.start_widget_session()) for _ in range(200)]
            await asyncio.sleep(0.1)
            during = len(os.listdir("/proc/self/task"))
            await asyncio.gather(*calls)
            assert time.monotonic() - started < 2
            assert during - before == 1

    run(main)


def test_a_thousand_exchanges_share_one_widget_session(sandbox: Sandbox) -> None:
    async def main() -> None:
        async with client_of(sandbox) as client:
            token = await client.add_token()
            assert token.token is not None
            sessions = await asyncio.gather(
                *(client.start_session(token.id, token.token) for _ in range(1000))
            )
            assert len({session.ks.reveal() for session in sessions}) == 1000

    run(main)


def test_a_cancelled_task_gives_its_request_up(sandbox: Sandbox) -> None:
    order(sandbox, action="*", fault="latency", ms=3000, times=2)

    async def main() -> None:
        async with client_of(sandbox) as client:
            started = time.monotonic()
            call = asyncio.create_task(client.get_token("0_abcdefgh"))
            await asyncio.sleep(0.1)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(client.start_widget_session(), 0.1)
            assert time.monotonic() - started < 1
            assert (await client.start_widget_session()).ks, "the client goes on working"

    run(main)


def test_all_tokens_come_lazily_and_once(sandbox: Sandbox) -> None:
    async def main() -> None:
        async with client_of(sandbox) as client:
            await asyncio.gather(*(client.add_token() for _ in range(620)))
            found = [token.id async for token in client.tokens()]
            assert (len(found), len(set(found))) == (620, 620)
            assert [token async for token in client.tokens(hash_type_equal="MD5")] == []
            with pytest.raises(TypeError, match="colour"):
                client.tokens(colour="red")  # type: ignore[call-arg]

    run(main)


def test_one_client_serves_several_event_loops(sandbox: Sandbox) -> None:
    client = client_of(sandbox)
    results: list[int] = []

    def one_loop() -> None:
        async def main() -> None:
            sessions = await asyncio.gather(*(client.start_widget_session() for _ in range(20)))
            results.append(len(sessions))

        asyncio.run(main())

    threads = [threading.Thread(target=one_loop) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    one_loop()
    assert results == [20] * 5
    asyncio.run(client.aclose())


def test_it_works_under_uvloop(sandbox: Sandbox) -> None:
    uvloop = pytest.importorskip("uvloop")

    async def main() -> None:
        async with client_of(sandbox) as client:
            assert len(await asyncio.gather(*(client.add_token() for _ in range(50)))) == 50

    loop = uvloop.new_event_loop()
    try:
        loop.run_until_complete(main())
    finally:
        loop.close()


def test_a_program_can_end_with_calls_under_way(sandbox: Sandbox) -> None:
    order(sandbox, action="*", fault="latency", ms=3000, times=9)
    program = """
import asyncio
from kaltura_app_token import AsyncClient
client = AsyncClient.from_env()
async def main():
    calls = [asyncio.ensure_future(client.start_widget_session()) for _ in range(5)]
    await asyncio.sleep(0.2)
asyncio.run(main())
"""
    started = time.monotonic()
    done = in_a_process(sandbox, program)
    assert (done.returncode, done.stderr) == (0, "")
    assert time.monotonic() - started < 2


def test_a_forked_child_has_loops_of_its_own(sandbox: Sandbox) -> None:
    program = """
import asyncio, os
from kaltura_app_token import AsyncClient
client = AsyncClient.from_env()
async def main():
    await asyncio.gather(*(client.start_widget_session() for _ in range(10)))
asyncio.run(main())
child = os.fork()
if child == 0:
    asyncio.run(main())
    os._exit(3)
asyncio.run(main())
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = in_a_process(sandbox, program)
    assert done.stdout.strip() == "3", done.stderr


def test_outside_of_a_loop_it_says_so(sandbox: Sandbox) -> None:
    call = client_of(sandbox).start_widget_session()
    with pytest.raises(RuntimeError, match="no running event loop"):
        call.send(None)


def test_it_is_made_like_the_client(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in account_of(sandbox).items():
        monkeypatch.setenv(name, value)
    for client in (
        AsyncClient.from_env(),
        AsyncClient.from_settings(kat.Settings.resolve([kat.Settings.from_env()], "admin")),
    ):
        assert client.partner_id == sandbox.partner_id
        assert sandbox.admin_secret not in repr(client)

        async def main(client: AsyncClient = client) -> None:
            await client.add_token()
            await client.aclose()
            with pytest.raises(ValueError, match="closed"):
                await client.add_token()

        run(main)


def test_closing_answers_the_calls_that_are_under_way(sandbox: Sandbox) -> None:
    order(sandbox, action="*", fault="latency", ms=5000, times=3)

    async def main() -> None:
        async with client_of(sandbox) as client:
            calls = [
                asyncio.ensure_future(client.get_token("0_abcdefgh")),
                asyncio.ensure_future(client.add_token()),
            ]
            await asyncio.sleep(0.1)
        answers = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 2)
        assert [type(answer) for answer in answers] == [kat.ClosedError, kat.OutcomeUnknown]

    run(main)


def test_a_walk_that_was_interrupted_loses_no_token(sandbox: Sandbox) -> None:
    async def main() -> None:
        async with client_of(sandbox) as client:
            await asyncio.gather(*(client.add_token() for _ in range(30)))
            walk = client.tokens()
            order(sandbox, action="appToken.list", fault="latency", ms=600)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(anext(walk), 0.1)
            await asyncio.sleep(0.1)
            assert len({token.id async for token in walk}) == 30

    run(main)


def test_a_loop_that_ends_with_calls_under_way_takes_its_thread_along(sandbox: Sandbox) -> None:
    order(sandbox, action="*", fault="latency", ms=4000, times=99)
    program = """
import asyncio, gc, logging, os, warnings
warnings.simplefilter("ignore", ResourceWarning)
from kaltura_app_token import AsyncClient
logging.basicConfig(level=logging.DEBUG, filename=os.devnull)
async def main():
    client = AsyncClient.from_env()
    calls = [asyncio.ensure_future(client.add_token()) for _ in range(20)]
    await asyncio.sleep(0.1)
for _ in range(5):
    asyncio.run(main())
    gc.collect()
print(len(os.listdir("/proc/self/task")))
"""
    done = in_a_process(sandbox, program)
    assert (done.returncode, done.stdout.strip()) == (0, "1"), done.stderr


def test_a_closed_client_makes_no_call_for_anybody(sandbox: Sandbox) -> None:
    async def main() -> None:
        client = client_of(sandbox)
        elsewhere = threading.Thread(target=asyncio.run, args=(busy(client),))
        elsewhere.start()
        tasks = [asyncio.create_task(busy(client)) for _ in range(3)]
        await asyncio.sleep(0.2)
        await client.aclose()
        await asyncio.wait_for(asyncio.gather(*tasks), 5)
        await asyncio.to_thread(elsewhere.join, 5)
        assert not elsewhere.is_alive()

    async def busy(client: AsyncClient) -> None:
        for _ in range(2000):
            try:
                await client.start_widget_session()
            except kat.ClosedError:
                return
        raise AssertionError

    asyncio.run(main())
