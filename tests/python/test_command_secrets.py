"""The canary sweep over `exec`, `ks`, `hash`, `doctor`, `config` and dry runs: secrets that occur
nowhere else go in by every way there is, and come out only where a command was asked for them.
"""

from __future__ import annotations

import pytest
from conftest import Shell
from kaltura_app_token.sandbox import Sandbox
from test_command import order_fault
from test_secrets import (
    ADMIN_SECRET,
    KS,
    TOKEN,
    TOKEN_ID,
    WRONG_SECRET,
    WRONG_TOKEN,
    assert_silent,
    sandbox,
)

__all__ = ["sandbox"]

SILENT: list[list[str]] = [
    ["doctor"],
    ["doctor", "--format", "json"],
    ["doctor", "--hash-type", "SHA1", "--privileges", "edit:*"],
    ["doctor", "0_unknown"],
    ["config", "show"],
    ["config", "show", "--format", "csv"],
    ["config", "path"],
    ["ks", "inspect"],
    ["ks", "inspect", "--online", "--format", "json"],
    ["ks", "end", "--dry-run"],
    ["ks", "end"],
    ["ks", "end", "--yes"],
    ["create", "--dry-run"],
    ["update", TOKEN_ID, "--dry-run", "--description", "x", "--format", "json"],
    ["delete", TOKEN_ID, "--dry-run"],
    ["completion", "bash"],
    ["exec", "--", "true"],
    ["exec", "--", "no-such-program"],
    ["ks", "nonsense"],
]


@pytest.fixture
def secrets(sandbox: Sandbox) -> dict[str, str]:
    """All that the environment can hold."""
    return {
        "KALTURA_APP_TOKEN_ID": TOKEN_ID,
        "KALTURA_APP_TOKEN": TOKEN,
        "KALTURA_KS": sandbox.client().sign_admin_session().ks.reveal(),
    }


@pytest.mark.parametrize("fault", [None, "ks_echo"])
@pytest.mark.parametrize("words", SILENT, ids=" ".join)
def test_secrets_of_the_environment_stay_there(
    shell: Shell, sandbox: Sandbox, secrets: dict[str, str], words: list[str], fault: str | None
) -> None:
    if fault is not None:
        order_fault(sandbox, action="*", fault=fault, times=100)
    assert_silent(shell.new(*words, **secrets))


@pytest.mark.parametrize("words", [["doctor"], ["ks", "inspect", "--online"], ["exec", "--", "x"]])
def test_wrong_secrets_are_not_quoted(
    shell: Shell, secrets: dict[str, str], words: list[str]
) -> None:
    wrong = {"KALTURA_ADMIN_SECRET": WRONG_SECRET, "KALTURA_APP_TOKEN": WRONG_TOKEN}
    ended = shell.new(*words, **(secrets | wrong))
    assert ended.code != 0
    assert_silent(ended)


@pytest.mark.parametrize(
    "words",
    [
        ["list", "--admin-secret", ADMIN_SECRET],
        ["list", f"--admin-secret={ADMIN_SECRET}"],
        ["list", "--ks", ADMIN_SECRET],
        ["doctor", "--admin-secret", ADMIN_SECRET],
        ["doctor", TOKEN_ID, "--app-token", WRONG_TOKEN],
        ["ks", "inspect", ADMIN_SECRET],
        ["ks", "end", ADMIN_SECRET],
        ["ks", "generate", "--ks", ADMIN_SECRET],
        ["hash", ADMIN_SECRET],
        ["exec", TOKEN_ID, "--app-token", WRONG_TOKEN, "--", "true"],
        ["exec", TOKEN_ID, TOKEN, "--", "true"],
        ["config", "show", "--admin-secret", ADMIN_SECRET, "--ks", TOKEN],
        ["completion", ADMIN_SECRET],
        ["ks", ADMIN_SECRET],
    ],
    ids=lambda words: " ".join(words[:3]),
)
def test_secrets_of_the_command_line_are_not_repeated(shell: Shell, words: list[str]) -> None:
    assert_silent(shell.new(*words))


def test_a_program_sees_the_session_alone(shell: Shell, secrets: dict[str, str]) -> None:
    show = "cat /proc/self/environ /proc/self/cmdline /proc/$$/cmdline"
    for words in (["exec"], ["exec", TOKEN_ID, "--app-token", TOKEN]):
        ended = shell.new(*words, "--", "sh", "-c", show, **secrets)
        assert ended.code == 0, ended
        shown = (ended.out + ended.err).replace(TOKEN_ID, "")
        assert "canary" not in shown
        assert shown.count(KS) == 1


def test_the_explanation_of_a_hash_shows_neither_part(
    shell: Shell, secrets: dict[str, str]
) -> None:
    assert_silent(shell.new("hash", "--explain", **secrets))


def test_what_was_asked_for_is_all_that_comes_out(shell: Shell, secrets: dict[str, str]) -> None:
    del secrets["KALTURA_KS"]
    for words in (["ks", "generate"], ["ks", "generate", "--format", "json"]):
        ended = shell.new(*words, **secrets)
        assert ended.out.count(KS) == 1
        assert "canary" not in ended.out + ended.err
