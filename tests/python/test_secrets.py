"""The canary sweep: secrets that occur nowhere else are given to every command, and may come out
only where a command was asked for them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from conftest import Ended, Shell, account_of, clean_environment, write_config
from kaltura_app_token import sign_ks
from kaltura_app_token.sandbox import Sandbox
from test_command import control, order_fault

ADMIN_SECRET = "canary0admin0secret0canary0admin"
WRONG_SECRET = "canary0wrong0secret0canary0wrong"
TOKEN = "canary0token0value0canary0token0"
WRONG_TOKEN = "canary0other0value0canary0other0"
TOKEN_ID = "0_canary00"
PARTNER = 123456

# How every KS of version 2 begins: base64 of "v2|".
KS = "djJ8"


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    account = {
        "id": PARTNER,
        "adminSecret": ADMIN_SECRET,
        "userSecret": "canary0user0secret",
        "maxSessionDuration": 86400,
        "anonymousUser": True,
    }
    path = tmp_path / "accounts.json"
    path.write_text(json.dumps({"partners": [account]}), encoding="utf-8")
    with Sandbox(accounts=path) as running:
        row = {
            "id": TOKEN_ID,
            "token": TOKEN,
            "partnerId": PARTNER,
            "status": 2,
            "hashType": "SHA256",
            "sessionType": 0,
            "sessionDuration": 86400,
            "createdAt": 1700000000,
            "updatedAt": 1700000000,
        }
        control(running, f"partners/{PARTNER}/tokens", [row])
        yield running


def assert_silent(ended: Ended) -> None:
    for text in (ended.out, ended.err):
        assert "canary" not in text.replace(TOKEN_ID, ""), ended
        assert KS not in text, ended


NEW_COMMANDS: list[list[str]] = [
    ["list"],
    ["list", "--format", "json"],
    ["list", "--format", "csv"],
    ["list", "--page-size", "5"],
    ["get", TOKEN_ID],
    ["get", TOKEN_ID, "--format", "jsonl"],
    ["get", "0_unknown"],
    ["update", TOKEN_ID, "--description", "x"],
    ["update", TOKEN_ID, "--description", "x", "--format", "csv"],
    ["delete", TOKEN_ID],
    ["list", "--admin-session", "started"],
    ["list", "--admin-session", "signed-v1"],
    ["session", "0_unknown"],
    ["session", TOKEN_ID, "--hash-type", "SHA1"],
    ["list", "--nonsense"],
    ["--help"],
    ["list", "--help"],
]


@pytest.mark.parametrize("words", NEW_COMMANDS, ids=" ".join)
def test_the_new_command_keeps_secrets_to_itself(
    shell: Shell, sandbox: Sandbox, words: list[str]
) -> None:
    assert sandbox.admin_secret == ADMIN_SECRET
    assert_silent(shell.new(*words, KALTURA_APP_TOKEN=TOKEN))
    order_fault(sandbox, action="*", fault="ks_echo", times=100)
    assert_silent(shell.new(*words, KALTURA_APP_TOKEN=TOKEN))


@pytest.mark.parametrize("mode", ["signed", "signed-v1", "started"])
def test_a_wrong_secret_is_not_quoted(shell: Shell, mode: str) -> None:
    for words in (["list"], ["create"], ["delete", TOKEN_ID]):
        ended = shell.new(*words, "--admin-session", mode, KALTURA_ADMIN_SECRET=WRONG_SECRET)
        assert ended.code == 3
        assert_silent(ended)


def test_a_wrong_value_of_a_token_is_not_quoted(shell: Shell) -> None:
    for value in (WRONG_TOKEN, f"{TOKEN} ", f"{TOKEN}\n{TOKEN}"):
        ended = shell.new("session", TOKEN_ID, "--app-token-file", "-", stdin=value)
        assert ended.code in (2, 3)
        assert_silent(ended)


@pytest.mark.parametrize("words", [["list"], ["session", TOKEN_ID]])
def test_a_session_in_place_of_the_secret_is_not_quoted(
    bare: Shell, sandbox: Sandbox, words: list[str]
) -> None:
    account = account_of(sandbox)
    del account["KALTURA_ADMIN_SECRET"]
    for secret in (ADMIN_SECRET, WRONG_SECRET):
        ks = sign_ks(
            secret,
            partner_id=PARTNER,
            session_type="ADMIN",
            duration=timedelta(hours=1),
            privileges="canary",
        )
        ended = bare.new(*words, KALTURA_KS=ks.reveal(), KALTURA_APP_TOKEN=WRONG_TOKEN, **account)
        assert_silent(ended)


@pytest.mark.parametrize(
    "words",
    [
        ["list", "--secret", ADMIN_SECRET],
        ["list", f"--secret={ADMIN_SECRET}"],
        ["session", "--token", TOKEN],
        ["session", TOKEN_ID, TOKEN],
        ["session", TOKEN_ID, "--value", TOKEN],
        ["session", TOKEN_ID, f"--value={TOKEN}"],
        ["list", "--partner-id", ADMIN_SECRET],
        ["--admin-secret", ADMIN_SECRET, "list"],
        [f"--admin-secret={ADMIN_SECRET}", "list"],
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_a_secret_where_none_belongs_is_not_repeated(shell: Shell, words: list[str]) -> None:
    ended = shell.new(*words)
    assert (ended.code, ended.out) == (2, "")
    assert_silent(ended)
    assert "hint: " in ended.err


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (f'{{"PARTNER_ID": 1, "ADMIN_SECRET": "{ADMIN_SECRET}"', "invalid JSON"),
        (f'{{"PARTNER_ID": "{ADMIN_SECRET}"}}', "PARTNER_ID is not a partner id"),
        (f'{{"ADMIN_SECRET": ["{ADMIN_SECRET}"]}}', "a value of the wrong kind"),
        (f'{{"EXPIRY": "{ADMIN_SECRET}"}}', "EXPIRY is not a number"),
        (f'{{"ADMIN_SECRET": "{ADMIN_SECRET}"}}', "the partner id is missing"),
    ],
)
def test_a_config_json_that_cannot_be_used_is_not_quoted(
    bare: Shell, text: str, complaint: str
) -> None:
    (bare.directory / "config.json").write_text(text, encoding="utf-8")
    for ended in (bare.new("list"), bare.old("--list")):
        assert ended.code == 2
        assert complaint in ended.err
        assert_silent(ended)


@pytest.mark.parametrize(
    "words",
    [
        ["--list"],
        ["--list", "--start_admin_session"],
        ["--update", TOKEN_ID, "--description", "x"],
        ["--delete", TOKEN_ID],
        ["--delete", "0_unknown"],
        ["--update", "0_unknown", "--edit", "*"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("fault", [None, "ks_echo", "html", "garbage"])
def test_the_old_command_keeps_secrets_to_itself(
    sandbox: Sandbox, tmp_path: Path, words: list[str], fault: str | None
) -> None:
    write_config(tmp_path, sandbox)
    if fault is not None:
        order_fault(sandbox, action="*", fault=fault, times=100)
    ended = Shell(tmp_path, clean_environment()).old(*words)
    assert ended.out == "" or fault is None
    assert_silent(ended)


def test_what_was_asked_for_is_all_that_comes_out(
    sandbox: Sandbox, shell: Shell, tmp_path: Path
) -> None:
    write_config(tmp_path, sandbox)
    old = Shell(tmp_path, clean_environment()).old
    created = old("--create", "--start_session")
    assert created.out.count(KS) == 1
    assert "canary" not in created.out + created.err
    assert old("--list", "--show_secrets").out.count(TOKEN) == 1
    session = shell.new("session", TOKEN_ID, KALTURA_APP_TOKEN=TOKEN)
    assert session.out.count(KS) == 1
    assert "canary" not in (session.out + session.err).replace(TOKEN_ID, "")
