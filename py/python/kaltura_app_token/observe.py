"""What clients and session providers tell of themselves: events and counters.

Loaded only when one of them is told: most programs look at none. The native half fills them.
"""

from __future__ import annotations

from dataclasses import dataclass

from .errors import KalturaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal, TypeAlias

    EventName: TypeAlias = Literal[
        "Retry",
        "SessionFetched",
        "DroppedPrivileges",
        "InDoubt",
        "CallsFail",
        "CallsSucceed",
        "OutageBegan",
        "OutageEnded",
        "RenewalFailed",
        "Other",
    ]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened within a call, for the `on_event` of a client.

    `str()` of it is the line that the log gets. Which fields are set depends on the name:

    | name | fields | what happened |
    |---|---|---|
    | `Retry` | request, attempts, error, wait | a request failed, and is sent again after a wait |
    | `SessionFetched` | request | a session that the client keeps was fetched |
    | `DroppedPrivileges` | request, privileges | the server granted fewer than were asked for |
    | `InDoubt` | error | a token may or may not have been created |
    | `CallsFail` | error | calls fail after their retries; said once |
    | `CallsSucceed` | lasted | a call succeeded again |
    | `OutageBegan` | token_id, error | a provider can start no sessions any more; said once |
    | `OutageEnded` | token_id, lasted | it can again |
    | `RenewalFailed` | error | a provider goes on with the session that it has |
    """

    name: EventName
    text: str
    """The line that the log gets, without any credential."""
    request: str | None = None
    """The request, as `service.action`."""
    attempts: int | None = None
    """How often it was sent, or tried to be sent."""
    error: KalturaError | None = None
    """What went wrong."""
    wait: float | None = None
    """How many seconds it takes to the next attempt."""
    privileges: tuple[str, ...] = ()
    """What is missing."""
    token_id: str | None = None
    """The token; empty when the token source does not name one."""
    lasted: float | None = None
    """How many seconds it lasted."""

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class SessionProviderStats:
    """What a session provider has done since it was made, and what it is doing."""

    handed_out: int
    """How often a session was handed out."""
    minted: int
    """How many sessions were minted, renewals included."""
    renewed: int
    """How many of them replaced one that was kept."""
    failed: int
    """How often an exchange failed, after the client's own retries."""
    refused: int
    """How many refusals of sessions were reported."""
    waiting: int
    """How many callers wait for a session now."""
    backing_off: int
    """For how many users and the like minting waits now, after a failure."""
    cached: int | None
    """How many sessions are kept in memory."""
