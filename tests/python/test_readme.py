"""What the README shows works as it stands there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from kaltura_app_token.errors import exit_code
from kaltura_app_token.sandbox import Sandbox

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")
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
    rows = re.findall(r"^\| (\w+)[^|]*\| ([^|]*)\| ([^|]*)\| (\d+) \|", README, re.MULTILINE)
    shown = {kind: (statuses, classes, int(code)) for kind, statuses, classes, code in rows}
    table = json.loads((ROOT / "tests/scenarios/errors.json").read_text("utf-8"))
    for row in table["kinds"]:
        # What comes from a fork stands in the row of misuse; what was cancelled is Python's own.
        statuses, classes, code = shown["misuse" if row["kind"] == "Forked" else row["kind"]]
        assert f"`{row['status']}`" in statuses
        assert code == row["exit"]
        named = re.findall(r"`(\w+)`", classes)
        if row["kind"] == "Cancelled":
            assert (named, exit_code(KeyboardInterrupt())) == (["KeyboardInterrupt"], code)
        else:
            ways = {way.get("python", row["python"]) for way in row["of"]}
            assert {row["python"], *ways} <= set(named)
        if "also" in row and row["kind"] != "Forked":
            assert f"`{row['also']}`)" in classes


def console(after: str) -> str:
    """The commands of the console block that follows a text."""
    block = README.split(after, 1)[1].split("```console\n", 1)[1].split("```", 1)[0]
    return block.replace("$ ", "", 1).replace("\n$ ", "\n")


def test_the_commands_quick_start_works_as_it_is_typed(tmp_path: Path) -> None:
    with Sandbox() as sandbox:
        (tmp_path / ".kaltura-secret").write_text(sandbox.admin_secret)

        def type_in(commands: str) -> str:
            done = subprocess.run(  # noqa: S603
                ["bash", "-eu", "-c", commands.replace("=eu ", f"={sandbox.service_url} ")],  # noqa: S607
                cwd=tmp_path,
                env={"HOME": str(tmp_path), "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert (done.returncode, done.stderr) == (0, ""), done
            return done.stdout

        listed = type_in(console("tells the options of each command."))
        token = json.loads((tmp_path / "token.json").read_text())
        assert token["id"] in listed
        assert token["token"] not in listed
        (tmp_path / "token.txt").write_text(token["token"] + "\n")
        used = console("without the admin secret:").replace("1_ab12cd34", token["id"])
        assert type_in(used).startswith("djJ8")
