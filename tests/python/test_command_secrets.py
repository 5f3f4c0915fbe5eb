"""The canary sweep over `exec`, `ks`, `hash`, `doctor`, `config` and dry runs: secrets that occur
nowhere else go in by every way there is, and come out only where a command was asked for them.
"""

from __future__ import annotations

import contextlib

import pytest
from conftest import NEW, OLD, Shell, write_config
from kaltura_app_token import legacy
from kaltura_app_token.command import main
from kaltura_app_token.command.arguments import parse
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
    ["doctor", "--format", "csv", "--user", "x", "--type", "ADMIN", "--duration", "2d"],
    ["doctor", "--send-secret"],
    ["doctor", "--admin-session", "started"],
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


@pytest.mark.parametrize("command", [*main.COMMANDS, "the old one"])
def test_what_is_wrong_on_a_command_line_is_said_without_its_words(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = legacy.setup_parser() if command == "the old one" else main.load(command)[1]
    flags = sorted({flag for action in parser._actions for flag in action.option_strings})
    abbreviations = {flag[:length] for flag in flags for length in range(3, len(flag))}
    lines = [
        *([flag, TOKEN] for flag in flags),
        *([f"{flag}={TOKEN}"] for flag in [*flags, *abbreviations]),
        *([flag, TOKEN, TOKEN, "--unknown"] for flag in flags),
        *([f"-{letter}{TOKEN}"] for letter in "htDP"),
        *([TOKEN, f"-{letter}{TOKEN}"] for letter in "htDP"),
        [TOKEN],
        [TOKEN] * 4,
        ["--unknown", TOKEN],
        [f"--unknown={TOKEN}"],
        ["--", TOKEN, TOKEN],
    ]
    for words in lines:
        with contextlib.suppress(SystemExit):
            parse(parser, words)
        out, err = capsys.readouterr()
        assert "canary" not in (out + err).lower(), words


def test_a_value_in_the_place_of_an_id_is_not_repeated(
    shell: Shell, sandbox: Sandbox, secrets: dict[str, str]
) -> None:
    write_config(shell.directory, sandbox)
    for words in (
        [NEW, "get", TOKEN],
        [NEW, "update", TOKEN, "--description", "x"],
        [NEW, "delete", TOKEN_ID, TOKEN],
        [NEW, "delete", TOKEN, "--dry-run"],
        [NEW, "list", "--id", TOKEN],
        [NEW, "audit", "--id", TOKEN],
        [NEW, "revoke", TOKEN, "--yes"],
        [NEW, "rotate", TOKEN, "-o", "file"],
        [NEW, "session", TOKEN],
        [NEW, "exec", TOKEN, "--", "true"],
        [NEW, "doctor", "--app-token-id", TOKEN],
        [OLD, "--update", TOKEN, "--description", "x"],
        [OLD, "--delete", TOKEN],
    ):
        ended = shell.run(*words, KALTURA_APP_TOKEN=TOKEN)
        assert ended.code == 2, ended
        assert "looks like a secret" in ended.err
        assert_silent(ended)
    for name in ("session", "doctor", "exec"):
        ended = shell.new(name, *["--", "true"][: 2 * (name == "exec")], KALTURA_APP_TOKEN_ID=TOKEN)
        assert ended.code in (2, 6), ended
        assert "looks like a secret" in ended.err + ended.out
        assert_silent(ended)
    assert_silent(shell.new("config", "show", KALTURA_APP_TOKEN_ID=TOKEN))
    assert_silent(shell.new("config", "show", "--format", "json", KALTURA_APP_TOKEN_ID=TOKEN))


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
    ended = shell.new("hash", "--explain", **secrets)
    assert_silent(ended)
    for secret in (TOKEN, secrets["KALTURA_KS"]):
        assert f"{secret[:2]}****" not in ended.err
        assert f"****{secret[-2:]}" not in ended.err


def test_what_was_asked_for_is_all_that_comes_out(shell: Shell, secrets: dict[str, str]) -> None:
    del secrets["KALTURA_KS"]
    generate, session = ["ks", "generate"], ["session", "--duration", "2d", "--type", "ADMIN"]
    for words in (
        generate,
        [*generate, "--format", "json"],
        *([*session, "--format", name] for name in ("text", "json", "env", "headers")),
    ):
        ended = shell.new(*words, **secrets)
        assert ended.out.count(KS) == 1
        assert KS not in ended.err
        assert "canary" not in (ended.out + ended.err).replace(TOKEN_ID, "")
