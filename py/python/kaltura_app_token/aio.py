"""`AsyncClient` and `AsyncSessionProvider`: `Client` and `SessionProvider` for asyncio.

Calls run at the same time without a thread for each: they go to a queue of the event loop that
makes them, and the loop is woken through a file descriptor when one has ended. This module knows
asyncio and nothing of what the calls do. What it offers is typed in `aio.pyi`.
"""

from __future__ import annotations

import asyncio
import inspect
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
        self._client = _native.Client(*args, **options)
        # A loop that is gone takes its queue with it.
        self._bound = weakref.WeakKeyDictionary()

    @classmethod
    def _over(cls, client):
        self = cls.__new__(cls)
        self._client = client
        self._bound = weakref.WeakKeyDictionary()
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

    def _here(self):
        """The client bound to the running loop's queue."""
        return self._on_this_loop()[1]

    def _on_this_loop(self):
        loop = asyncio.get_running_loop()
        try:
            return self._bound[loop]
        except KeyError:
            queue = _native.LoopQueue()
            client = self._client._on(queue)
            loop.add_reader(queue.fileno(), queue.collect)
            bound = self._bound[loop] = (queue, client)
            return bound

    def tokens(self, **filters):
        """All tokens that pass the filter, oldest first, asked for page by page.

        Every token that exists from the start of the walk to its end comes exactly once.
        """
        return _AsyncTokens(self, filters)

    def sign_admin_session(self, *, version=2):
        """An ADMIN session signed here with the admin secret; nothing is sent."""
        return self._client.sign_admin_session(version=version)

    @property
    def service_url(self):
        return self._client.service_url

    @property
    def partner_id(self):
        return self._client.partner_id

    @property
    def clock_difference(self):
        return self._client.clock_difference

    async def aclose(self):
        """Closes the connections; this loop's calls under way are cancelled, later ones fail."""
        # First, so that no task makes another call meanwhile.
        self._client.close()
        loop = asyncio.get_running_loop()
        bound = self._bound.pop(loop, None)
        if bound is not None:
            queue, _ = bound
            queue.cancel_all()
            while queue.in_flight():
                # Until those who wait for them have been answered.
                await asyncio.sleep(0.001)
            loop.remove_reader(queue.fileno())

    async def __aenter__(self):
        return self

    async def __aexit__(self, *exc_info):
        await self.aclose()

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
            page = await self._client._here()._next_tokens(self._walk)
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

    def _here(self):
        queue, _ = self._client._on_this_loop()
        return self._provider._on(queue)

    def stats(self):
        """What it has done in this process since it was made, and what it is doing."""
        return self._provider.stats()

    def __repr__(self):
        return f"Async{self._provider!r}"

    def __reduce__(self):
        return self._provider.__reduce__()


def _method(owner, waiting):
    name = waiting.__name__

    async def call(self, *args, **options):
        return await getattr(self._here(), name)(*args, **options)

    call.__name__ = name
    call.__qualname__ = f"{owner.__name__}.{name}"
    call.__doc__ = waiting.__doc__
    call.__signature__ = inspect.signature(waiting)
    setattr(owner, name, call)


def _workflow(waiting):
    """One of the functions over a client, for an `AsyncClient`."""

    async def call(client, *args, **options):
        return await waiting(client._here(), *args, **options)

    call.__name__ = call.__qualname__ = waiting.__name__
    call.__doc__ = waiting.__doc__
    call.__signature__ = inspect.signature(waiting)
    return call


audit = _workflow(_native.audit)
ensure = _workflow(_native.ensure)
plan_revocation = _workflow(_native.plan_revocation)
revoke = _workflow(_native.revoke)
rotate = _workflow(_native.rotate)
resume_rotations = _workflow(_native.resume_rotations)

for _name in _METHODS:
    _method(AsyncClient, getattr(_native.Client, _name))
for _name in ("get", "reject"):
    _method(AsyncSessionProvider, getattr(_native.SessionProvider, _name))
del _name
