"""Command lines that are wrong, in the table of `tests/scenarios/wrong_lines.json` and made of
every option of every command: what is said of them, and that nothing happens.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import kaltura_app_token
import pytest
from conftest import ROOT, Ended, Shell
from kaltura_app_token.sandbox import Sandbox
from wrong_lines import filled_in

PATH = ROOT / "tests/scenarios/wrong_lines.json"
TABLE = json.loads(PATH.read_text(encoding="utf-8"))
SECRET = TABLE["secret"]
PROCESSES = [line for line in filled_in(TABLE["lines"], SECRET) if line.get("process")]

# The parser leans on parts of argparse that no document promises, and Pythons differ in its words.
_PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
PYTHONS = [sys.executable, *(str(path) for path in sorted(_PYENV.glob("3.1[0-9].*/bin/python")))]


def assert_said(line: dict[str, Any], ended: Ended) -> None:
    """One line names the thing, and at most one more the next step."""
    told = f"{line['words']}: {ended}"
    assert ended.code == line.get("code", 2), told
    assert ended.out == "", told
    assert SECRET not in ended.err.lower(), told
    said_before = (": warning: ", ": note: ", ": account ")
    lines = [text for text in ended.err.splitlines() if not any(it in text for it in said_before)]
    old = line.get("program") == "old"
    program = "kaltura_app_token_manager.py" if old else "kaltura-app-token"
    assert lines[0].startswith(f"{program}: error: "), told
    assert all(words in lines[0] for words in line["error"]), told
    assert len(lines) <= 2, told
    if lines[1:] or line.get("hint") or not line.get("one_line"):
        assert lines[1].startswith("  hint: "), told
        assert line.get("hint", "") in lines[1], told


@pytest.fixture
def place(shell: Shell, sandbox: Sandbox) -> Shell:
    """A directory with the files that the lines name, and a home without any."""
    sandbox.client().add_token(description="it stays as it is")
    for name, text in TABLE["files"].items():
        path = shell.directory / name
        path.write_text(text.replace("{secret}", SECRET), encoding="utf-8")
        path.chmod(0o600)
    shell.environment |= {"HOME": str(shell.directory), "XDG_CONFIG_HOME": ""}
    return shell


def state(sandbox: Sandbox) -> list[object]:
    return [(token.id, token.description, token.updated_at) for token in sandbox.client().tokens()]


@pytest.mark.parametrize("python", PYTHONS, ids=lambda path: "-".join(path.split("/")[-3:]))
def test_wrong_lines_are_explained_and_change_nothing(
    place: Shell, sandbox: Sandbox, python: str, tmp_path: Path
) -> None:
    before = state(sandbox)
    packages = tmp_path / "packages"
    packages.mkdir()
    (packages / "kaltura_app_token").symlink_to(Path(kaltura_app_token.__file__).parent)
    script = str(ROOT / "tests/python/wrong_lines.py")
    ended = place.run(python, script, str(PATH), PYTHONPATH=str(packages))
    assert (ended.code, ended.err) == (0, ""), ended.err[-2000:]
    results = ended.json
    assert len(results) >= 300
    for result in results:
        assert_said(result["line"], Ended(result["code"], result["out"], result["err"]))
    assert state(sandbox) == before
    assert not (place.directory / ".config").exists()


@pytest.mark.parametrize("line", PROCESSES, ids=lambda line: " ".join(line["words"]))
def test_a_wrong_line_of_a_process_is_explained(
    place: Shell, sandbox: Sandbox, line: dict[str, Any]
) -> None:
    before = state(sandbox)
    command = place.old if line.get("program") == "old" else place.new
    assert_said(line, command(*line["words"]))
    assert state(sandbox) == before


def test_every_command_is_in_the_table() -> None:
    from kaltura_app_token.command.main import COMMANDS

    assert list(TABLE["commands"]) == list(COMMANDS)
