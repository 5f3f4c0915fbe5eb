"""The upgrade page: its commands run as they stand, with each `config.json` that it shows, its
table is that of the scenarios, and its functions take the arguments that it names.
"""

from __future__ import annotations

import inspect
import json
import re
import time
from typing import TYPE_CHECKING, Any

import pytest
from conftest import ROOT, SCRIPTS, Ended, Shell, clean_environment
from kaltura_app_token import legacy
from old_command import TABLE

if TYPE_CHECKING:
    from pathlib import Path

    from kaltura_app_token.sandbox import Sandbox

PAGE = (ROOT / "docs/upgrading.md").read_text("utf-8")
COMMANDS = [
    *(command.strip() for command in re.findall(r"^ *\$ (.+)$", PAGE, re.MULTILINE)),
    *re.findall(r"`(kaltura[\w-]+(?:\.py)? -?-?\w[^`]*)`", PAGE.split("## What is different")[0]),
]
CONFIGURATIONS: list[dict[str, Any]] = [
    json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
]
WITH_A_URL = [config for config in CONFIGURATIONS if "KALTURA_SERVICE_URL" in config]
PAIRS = re.findall(r"^\| `(kaltura_app_\w+\.py .*)` \| `(kaltura-app-token .*)` \|$", PAGE, re.M)


def rows_after(heading: str) -> list[tuple[str, str]]:
    text = PAGE.split(f"## {heading}", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^\| (.*) \| (.*) \|$", text, re.MULTILINE)[1:]


def run(command: str, config: dict[str, Any], directory: Path, sandbox: Sandbox) -> Ended:
    """Types a command beside a `config.json` that is the page's but for the account."""
    token = sandbox.client().add_token(description="kept", session_privileges="edit:1_a")
    assert token.token is not None
    (directory / "token.txt").write_text(token.token.reveal(), encoding="utf-8")
    kind = type(config["PARTNER_ID"])
    written = config | {
        "PARTNER_ID": kind(sandbox.partner_id),
        "ADMIN_SECRET": sandbox.admin_secret,
        "KALTURA_SERVICE_URL": config["KALTURA_SERVICE_URL"].replace(
            "https://www.kaltura.com", sandbox.service_url.removesuffix("/api_v3")
        ),
    }
    path = directory / "config.json"
    path.write_text(json.dumps(written), encoding="utf-8")
    path.chmod(0o600)
    shell = Shell(directory, clean_environment() | {"PATH": f"{SCRIPTS}:/usr/bin:/bin"})
    return shell.run("sh", "-c", command.replace("1_ab12cd34", token.id))


def test_the_page_has_what_is_tested_here() -> None:
    assert len(COMMANDS) == 4 + 2 * len(PAIRS) == 22
    assert len(WITH_A_URL) == 3
    assert len(CONFIGURATIONS) == 4


@pytest.mark.parametrize("config", WITH_A_URL, ids=["the script's", "the template's", "quoted"])
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_works_with_every_configuration(
    command: str, config: dict[str, Any], tmp_path: Path, sandbox: Sandbox
) -> None:
    ended = run(command, config, tmp_path, sandbox)
    # An audit that finds something ends with 6.
    assert ended.code == (6 if "audit" in command else 0), ended
    assert "error" not in ended.err


@pytest.mark.parametrize(("before", "now"), PAIRS)
def test_both_commands_of_a_row_leave_the_same_tokens(
    before: str, now: str, tmp_path: Path, sandbox: Sandbox
) -> None:
    states = []
    for command in (before, now):
        assert run(command, CONFIGURATIONS[0], tmp_path, sandbox).code == 0
        tokens = list(sandbox.client().tokens())
        states.append(sorted((t.description or "", t.session_privileges or "") for t in tokens))
        for token in tokens:
            sandbox.client().delete_token(token.id)
    assert states[0] == states[1]


@pytest.mark.parametrize(
    ("config", "user", "seconds"),
    [(WITH_A_URL[0], "jane", 86400), (WITH_A_URL[1], "kapptoken-mgr", 1800)],
    ids=["the script's", "the template's"],
)
def test_the_admin_session_is_the_one_that_a_configuration_asks_for(
    config: dict[str, Any], user: str, seconds: int, tmp_path: Path, sandbox: Sandbox
) -> None:
    ended = run("kaltura_app_token_manager.py --list --show_secrets", config, tmp_path, sandbox)
    session = sandbox.client().session_info(ended.lines[0].removeprefix("KS: "))
    assert session.user_id == user
    assert session.expiry is not None
    assert abs(session.expiry - time.time() - seconds) < 60


def test_the_table_is_that_of_the_scenarios() -> None:
    differences = TABLE["differences"].values()
    assert rows_after("What is different") == [(d["it_did"], d["now"]) for d in differences]


def test_the_functions_take_the_arguments_that_are_named() -> None:
    named = rows_after("Programs that import the script")
    for signature, _ in named:
        name, arguments = signature.strip("`)").split("(")
        parameters = inspect.signature(getattr(legacy, name)).parameters.values()
        taken = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
        wanted = arguments.split(", ") if arguments else []
        assert taken[: len(wanted)] == wanted
    others = {"PRIVILEGE_HANDLERS", "handle_privilege", "main", "setup_parser"}
    assert {row.strip("`").split("(")[0] for row, _ in named} == set(legacy.__all__) - others
