"""The fixture `kaltura_sandbox` for tests of code that talks to Kaltura.

Load it with `pytest_plugins = ["kaltura_app_token.pytest_plugin"]` in `conftest.py`. This is the
one module of the package that needs pytest.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kaltura_app_token.sandbox import Sandbox


@pytest.fixture
def kaltura_sandbox() -> Iterator[Sandbox]:
    """A fresh local Kaltura for one test: see `kaltura_app_token.sandbox`."""
    with Sandbox() as sandbox:
        yield sandbox
