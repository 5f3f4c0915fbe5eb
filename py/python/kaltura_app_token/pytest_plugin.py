"""The fixture `kaltura_sandbox` for tests of code that talks to Kaltura.

pytest finds it by itself where this package is installed. This is the one module of the package
that needs pytest; it loads nothing else before a test uses the fixture.
"""

from __future__ import annotations

import pytest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from kaltura_app_token.sandbox import Sandbox


@pytest.fixture
def kaltura_sandbox() -> Iterator[Sandbox]:
    """A fresh local Kaltura for one test: see `kaltura_app_token.sandbox`."""
    from kaltura_app_token.sandbox import Sandbox

    with Sandbox() as sandbox:
        yield sandbox
