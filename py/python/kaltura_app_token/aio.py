"""`AsyncClient` and `AsyncSessionProvider`: `Client` and `SessionProvider` for asyncio.

Calls run at the same time without a thread for each: they go to a queue of the event loop that
makes them, and the loop is woken through a file descriptor when one has ended. This module knows
asyncio and nothing of what the calls do. What it offers is typed in `aio.pyi`.

Who holds whom, so that nothing is left when a loop or a client goes: a client holds its queues,
which know no loop. What knows both (`_Calls`) is held by the loop, and only while calls are under
way.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import sys
import warnings
import weakref

from . import _native

_METHODS = (
    "add_token",
    "get_token",
    "list_tokens",
    "update_token",
    "delete_token",
    "start_session",
    "start_widget_session",
    "start_admin_session",
    "session_info",
    "end_session",
)
# Nothing to wait for in these.
_AT_ONCE = ("preview_add", "preview_update", "sign_admin_session")
_VALUES = ("service_url", "partner_id", "clock_difference")

# What makes something, which must not be lost.
_CREATING = {"add_token", "ensure", "rotate", "resume_rotations"}

# How many seconds closing waits for the calls that it ends.
_PATIENCE = 2.0


class _Calls:
    """The calls of one client that are under way on one loop."""

    def __init__(self, loop, queue):
        self._loop = loop
        self._queue = queue
        self._futures = {}

    def add(self, operation, name):
        """The future of a call that was submitted."""
        if not self._futures:
            self._loop.add_reader(self._queue.fileno(), self.answer)
        future = self._loop.create_future()
        self._futures[operation] = future, name
        # Not of this object, which holds the future.
        future.add_done_callback(_GiveUp(self._queue, operation))
        return future

    def answer(self):
        """Hands every result that waits to its future."""
        while (ended := self._queue.next()) is not None:
            operation, value, error = ended
            future, name = self._futures.pop(operation)
            if not self._futures:
                self._loop.remove_reader(self._queue.fileno())
            if future.done():
                # Cancelled meanwhile, and nobody waits for it any more.
                if error is None and name in _CREATING:
                    log = logging.getLogger("kaltura_app_token")
                    log.warning("%s was cancelled after it had succeeded: %r", name, value)
            elif error is None:
                future.set_result(value)
            else:
                future.set_exception(error)


class _GiveUp:
    """Gives a call up when its future is cancelled."""

    __slots__ = ("_operation", "_queue")

    def __init__(self, queue, operation):
        self._queue = queue
        self._operation = operation

    def __call__(self, future):
        if future.cancelled():
            self._queue.cancel(self._operation)


class _Loops:
    """The event loops that a client is used on."""

    def __init__(self):
        # A loop that is gone takes its queue with it.
        self._known = weakref.WeakKeyDictionary()
        self.used = False

    def submit(self, function, native, args, options):
        """Makes a call of the running loop's and gives its future."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise RuntimeError(
                "no running event loop: this needs asyncio, and works with no other library such as"
                " trio; outside of async code use Client"
            ) from None
        queue, calls = self._known.get(loop, (None, None))
        if queue is None:
            queue = _native.LoopQueue()
        calls = calls and calls()
        if calls is None:
            calls = _Calls(loop, queue)
            self._known[loop] = queue, weakref.ref(calls)
            self.used = True
        # Called here, while nothing else runs on this loop: the call is known before it can end.
        operation = function(native._on(queue), *args, **options)
        return calls.add(operation, function.__name__)

    def forget(self):
        """Lets go of the queues; a loop that has calls under way keeps its own."""
        self._known.clear()

    def answer(self, loop):
        """Answers those calls of a loop that have ended."""
        _, calls = self._known.get(loop, (None, None))
        calls = calls and calls()
        if calls is not None:
            calls.answer()


class AsyncClient:
    """Manages an account's tokens and exchanges tokens for sessions, for asyncio.

    Takes the arguments of `Client`, and has its methods. One client serves any number of tasks and
    of event loops, and works on both sides of a fork. Cancelling a task that waits for a call
    cancels the request; a token whose creation is cancelled this way may still have been created.

    Example:
        >>> import asyncio
        >>> from kaltura_app_token import AsyncClient
        >>> from kaltura_app_token.sandbox import Sandbox
        >>> async def main(sandbox):
        ...     async with AsyncClient(
        ...         sandbox.partner_id,
        ...         admin_secret=sandbox.admin_secret,
        ...         service_url=sandbox.service_url,
        ...     ) as client:
        ...         await asyncio.gather(*(client.add_token() for _ in range(3)))
        ...         return len([token async for token in client.tokens()])
        >>> with Sandbox() as sandbox:
        ...     asyncio.run(main(sandbox))
        3
    """

    def __init__(self, *args, **options):
        self._begin(_native.Client(*args, **options))

    def _begin(self, client):
        self._client = client
        self._loops = _Loops()

    @classmethod
    def _over(cls, client):
        self = cls.__new__(cls)
        self._begin(client)
        return self

    @classmethod
    def from_settings(cls, settings, **options):
        """A client for resolved settings."""
        return cls._over(_native.Client.from_settings(settings, **options))

    @classmethod
    def from_env(cls, **options):
        """A client for what the `KALTURA_…` variables say."""
        return cls._over(_native.Client.from_env(**options))

    @classmethod
    def from_config(cls, path="config.json", **options):
        """A client for what a `config.json` says."""
        return cls._over(_native.Client.from_config(path, **options))

    def _submit(self, method, *args, **options):
        return self._loops.submit(method, self._client, args, options)

    def tokens(self, **filters):
        """All tokens that pass the filter, oldest first, asked for page by page.

        Every token that exists from the start of the walk to its end comes exactly once.
        """
        return _AsyncTokens(self, filters)

    async def aclose(self):
        """Ends the calls that are under way, on every loop, and closes the connections.

        Those calls and all later ones, also those of walks and of providers over this client, raise
        `ClosedError`; an `add_token` that may have arrived raises `OutcomeUnknown`. Leaving an
        `async with` does the same. Waits up to two seconds for them.
        """
        # First, so that no task makes another call meanwhile.
        self._client._stop()
        loop = asyncio.get_running_loop()
        end = loop.time() + _PATIENCE
        while self._client._under_way and loop.time() < end:
            await asyncio.sleep(0.001)
        self._client._close(0)
        # Other loops answer theirs when it is their turn.
        self._loops.answer(loop)
        self._loops.forget()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *exc_info):
        await self.aclose()

    def __del__(self):
        # Who never called has nothing to close, and what is there at the end goes with the program.
        used = hasattr(self, "_loops") and self._loops.used
        if used and not self._client._closed and not sys.is_finalizing():
            told = f"{self!r} was not closed"
            # Whoever keeps the warning, and this with it, does not keep what is open.
            self._client._close(0)
            self._loops.forget()
            warnings.warn(told, ResourceWarning, source=self, stacklevel=2)

    def __repr__(self):
        return f"Async{self._client!r}"

    def __reduce__(self):
        return self._client.__reduce__()


class _AsyncTokens:
    def __init__(self, client, filters):
        self._client = client
        self._walk = client._client._walk(**filters)
        self._page = []

    def __aiter__(self):
        return self

    async def __anext__(self):
        while not self._page:
            page = await self._client._submit(_native.Client._next_tokens, self._walk)
            if not page:
                raise StopAsyncIteration
            self._page = page[::-1]
        return self._page.pop()


class AsyncSessionProvider:
    """Hands out valid sessions of one token, and mints one only when there is no good one.

    `SessionProvider` for asyncio: any number of tasks that ask for the same session at the same
    moment share one exchange, and cancelling one of them disturbs no other.
    A `TokenSource.callable` is called on a thread of its own, not on the loop's.

    Example:
        >>> import asyncio
        >>> from kaltura_app_token import AsyncClient, AsyncSessionProvider, TokenSource
        >>> from kaltura_app_token.sandbox import Sandbox
        >>> async def main(sandbox, token):
        ...     async with AsyncClient(
        ...         sandbox.partner_id, service_url=sandbox.service_url
        ...     ) as client:
        ...         source = TokenSource.value(token.id, token.token)
        ...         provider = AsyncSessionProvider(client, source)
        ...         sessions = await asyncio.gather(*(provider.get() for _ in range(100)))
        ...         return len({session.ks.reveal() for session in sessions})
        >>> with Sandbox() as sandbox:
        ...     asyncio.run(main(sandbox, sandbox.client().add_token()))
        1
    """

    def __init__(self, client, source, **options):
        self._client = client
        self._provider = _native.SessionProvider(client._client, source, **options)

    def _submit(self, method, *args, **options):
        return self._client._loops.submit(method, self._provider, args, options)

    def stats(self):
        """What it has done in this process since it was made, and what it is doing."""
        return self._provider.stats()

    def __repr__(self):
        return f"Async{self._provider!r}"

    def __reduce__(self):
        return self._provider.__reduce__()


def _like(call, owner, waiting):
    """Gives a call the name, the signature and the text of the one that it stands for."""
    call.__name__ = waiting.__name__
    call.__qualname__ = f"{owner.__name__}.{waiting.__name__}" if owner else waiting.__name__
    call.__doc__ = waiting.__doc__
    call.__signature__ = inspect.signature(waiting)
    return call


def _method(owner, waiting):
    async def call(self, *args, **options):
        return await self._submit(waiting, *args, **options)

    setattr(owner, waiting.__name__, _like(call, owner, waiting))


def _at_once(owner, method):
    def call(self, *args, **options):
        return method(self._client, *args, **options)

    setattr(owner, method.__name__, _like(call, owner, method))


def _value(owner, name, known):
    def get(self):
        return getattr(self._client, name)

    setattr(owner, name, property(get, doc=known.__doc__))


def _workflow(waiting):
    """One of the functions over a client, for an `AsyncClient`."""

    async def call(client, *args, **options):
        return await client._submit(waiting, *args, **options)

    return _like(call, None, waiting)


audit = _workflow(_native.audit)
ensure = _workflow(_native.ensure)
plan_revocation = _workflow(_native.plan_revocation)
revoke = _workflow(_native.revoke)
rotate = _workflow(_native.rotate)
resume_rotations = _workflow(_native.resume_rotations)

for _name in _METHODS:
    _method(AsyncClient, getattr(_native.Client, _name))
for _name in _AT_ONCE:
    _at_once(AsyncClient, getattr(_native.Client, _name))
for _name in _VALUES:
    _value(AsyncClient, _name, getattr(_native.Client, _name))
for _name in ("get", "reject"):
    _method(AsyncSessionProvider, getattr(_native.SessionProvider, _name))
del _name
