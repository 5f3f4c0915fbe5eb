"""Words and times for people: nothing here that a terminal would obey. Prints nothing."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with everything escaped that a terminal would obey instead of show.

    >>> printable("a\\x1b[2Jb")
    'a\\\\x1b[2Jb'
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def iso_time(unix: int | None) -> str | None:
    """Unix seconds as ISO 8601 in UTC; None for none, and for what no calendar holds.

    >>> iso_time(0)
    '1970-01-01T00:00:00Z'
    """
    if unix is None:
        return None
    import time

    try:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(unix))
    except (OverflowError, ValueError, OSError):
        return None


_SPANS = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))


def span(seconds: int) -> str:
    """A length of time in its two largest units.

    >>> span(93784)
    '1 day 2 hours'
    """
    parts = []
    for unit, length in _SPANS:
        number, seconds = divmod(seconds, length)
        if number:
            parts.append(f"{number} {unit}{'s' if number > 1 else ''}")
        elif parts:
            break
    return " ".join(parts[:2]) or "0 seconds"


def expiry_in_words(unix: int, now: float) -> str:
    """When an expiry is, seen from now.

    >>> expiry_in_words(3600, 0), expiry_in_words(0, 60)
    ('in 1 hour', 'expired 1 minute ago')
    """
    left = unix - int(now)
    return f"in {span(left)}" if left > 0 else f"expired {span(-left)} ago"
