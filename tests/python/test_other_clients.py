"""Other people's clients work against the sandbox: the official Python client, and plain curl."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from kaltura_app_token.sandbox import Sandbox

HERE = Path(__file__).resolve().parent
OFFICIAL = HERE.parents[1] / "build" / "official" / "bin" / "python"


def needs(there: bool, what: str) -> None:
    """Skips loudly where something cannot be had; in CI nothing is skipped."""
    if not there:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(what)


def test_the_official_client_completes_the_whole_flow() -> None:
    needs(OFFICIAL.exists(), "the official client is not installed: make build/official/.ready")
    with Sandbox() as sandbox:
        done = subprocess.run(  # noqa: S603
            [
                str(OFFICIAL),
                # Its own modules warn about their escapes when they are first compiled.
                "-W",
                "ignore",
                str(HERE / "official_client_flow.py"),
                sandbox.service_url.removesuffix("/api_v3"),
                str(sandbox.partner_id),
                sandbox.admin_secret,
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert (done.returncode, done.stdout.strip()) == (0, "done"), done.stderr


def test_plain_curl_completes_the_guides_exchange() -> None:
    needs(shutil.which("curl") is not None, "curl is not installed")
    with Sandbox() as sandbox:
        token = sandbox.client().add_token(session_privileges="sview:*,list:*")
        assert token.token is not None
        done = subprocess.run(  # noqa: S603
            ["bash", str(HERE / "curl_flow.sh")],  # noqa: S607
            env=os.environ
            | {
                "KALTURA_SERVICE_URL": sandbox.service_url,
                "KALTURA_PARTNER_ID": str(sandbox.partner_id),
                "APP_TOKEN_ID": token.id,
                "APP_TOKEN_VALUE": token.token.reveal(),
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["objectType"] == "KalturaMediaListResponse"
