"""The package's version, for those who must know it without loading the native half.

A test holds it against the native half's own.
"""

from __future__ import annotations

VERSION = "0.1.0"
