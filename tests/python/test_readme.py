"""What the README shows works as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from kaltura_app_token.errors import _BY_KIND, exit_code
from kaltura_app_token.sandbox import Sandbox

README = (Path(__file__).resolve().parents[2] / "README.md").read_text("utf-8")
PYTHON_BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("block", PYTHON_BLOCKS, ids=range(len(PYTHON_BLOCKS)))
def test_every_python_example_runs(block: str) -> None:
    with Sandbox() as sandbox:
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-W", "error", "-c", block],
            env=os.environ
            | {
                "KALTURA_PARTNER_ID": str(sandbox.partner_id),
                "KALTURA_ADMIN_SECRET": sandbox.admin_secret,
                "KALTURA_SERVICE_URL": sandbox.service_url,
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert sandbox.admin_secret not in done.stdout


def test_there_are_python_examples() -> None:
    assert len(PYTHON_BLOCKS) >= 2


def test_the_error_table_is_the_one_in_the_code() -> None:
    rows = re.findall(r"^\| (\w+)[^|]*\|[^|]*\| (?:`(\w+)`[^|]*)\| (\d+) \|", README, re.MULTILINE)
    table = {kind: (name, int(code)) for kind, name, code in rows}
    for kind in ("Config", "Connect", "Interrupted", "Timeout", "Http", "Decode", "Api"):
        name, code = table[kind]
        assert _BY_KIND[kind].__name__ == name
        assert exit_code(_BY_KIND[kind]("")) == code
    assert exit_code(_BY_KIND["OutcomeUnknown"]("")) == table["OutcomeUnknown"][1]
    assert exit_code(KeyboardInterrupt()) == table["Cancelled"][1]
