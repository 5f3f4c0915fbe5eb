"""The command's name and the package's version, for those who must know them without loading the
native half. A test holds the version against the native half's own.
"""

from __future__ import annotations

PROGRAM = "kaltura-app-token"
VERSION = "0.1.0"
