"""Bad input to both commands: one line that names the thing, one line with the next step, the exit
code of the error table, nothing on stdout, and nothing changed on the server.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Shell, account_of, clean_environment, write_config
from kaltura_app_token.sandbox import Sandbox

CLOSED_PORT = "http://127.0.0.1:1/api_v3"


def state(sandbox: Sandbox) -> list[tuple[object, ...]]:
    return [
        (token.id, token.description, token.session_privileges, token.updated_at)
        for token in sandbox.client().tokens()
    ]


@pytest.mark.parametrize(
    ("words", "environment", "code", "error", "hint"),
    [
        pytest.param(
            ["list", "--nonsense"], {}, 2, "unknown option: --nonsense", "--help", id="flag"
        ),
        pytest.param(["destroy"], {}, 2, "unknown command: destroy", "create, list", id="command"),
        pytest.param(["get"], {}, 2, "arguments are required: ID", "--help", id="no id"),
        pytest.param(
            ["list", "--format", "xml"],
            {},
            2,
            "invalid choice (choose from table, csv",
            "--help",
            id="format",
        ),
        pytest.param(
            ["list", "--config", "nowhere.json"],
            {},
            2,
            "Configuration file 'nowhere.json' not found.",
            "config.template.json",
            id="missing config",
        ),
        pytest.param(
            ["list", "--config", "broken.json"],
            {},
            2,
            "Configuration file 'broken.json' contains invalid JSON.",
            "line 1",
            id="broken config",
        ),
        pytest.param(
            ["create"],
            {"KALTURA_ADMIN_SECRET": "0" * 32},
            3,
            "INVALID_KS",
            "check the admin secret",
            id="wrong secret",
        ),
        pytest.param(
            ["create", "--admin-session", "started"],
            {"KALTURA_ADMIN_SECRET": "0" * 32},
            3,
            "START_SESSION_ERROR",
            "admin secret",
            id="wrong secret, started",
        ),
        pytest.param(
            ["create"],
            {"KALTURA_PARTNER_ID": "zero"},
            2,
            "KALTURA_PARTNER_ID is not a partner id",
            None,
            id="partner",
        ),
        pytest.param(
            ["update", "0_unknown", "--description", "x"],
            {},
            3,
            "APP_TOKEN_ID_NOT_FOUND",
            "the id is unknown here",
            id="update unknown",
        ),
        pytest.param(
            ["get", "0_unknown"], {}, 3, "APP_TOKEN_ID_NOT_FOUND", "unknown", id="get unknown"
        ),
        pytest.param(
            ["delete", "0_unknown"], {}, 3, "APP_TOKEN_ID_NOT_FOUND", "unknown", id="delete unknown"
        ),
        pytest.param(
            ["session", "0_unknown"],
            {"KALTURA_APP_TOKEN": "x"},
            3,
            "APP_TOKEN_ID_NOT_FOUND",
            "unknown",
            id="session unknown",
        ),
        pytest.param(
            ["create", "--max-retries", "0"],
            {"KALTURA_SERVICE_URL": CLOSED_PORT},
            4,
            "127.0.0.1",
            "check the service URL",
            id="unreachable",
        ),
        pytest.param(
            ["create"],
            {"KALTURA_SERVICE_URL": "http://kaltura.example.com"},
            2,
            "http to kaltura.example.com would send credentials in the clear",
            "--allow-http",
            id="plain http",
        ),
        pytest.param(
            ["create"],
            {"KALTURA_SERVICE_URL": "ftp://kaltura.example.com"},
            2,
            "ftp is neither https nor http",
            None,
            id="scheme",
        ),
        pytest.param(
            ["create", "--expiry", "2001-01-01T00:00:00Z"],
            {},
            2,
            "expiry: 978307200 is",
            None,
            id="expiry in the past",
        ),
        pytest.param(["create", "--expiry", "0"], {}, 2, "expiry: 0", None, id="expiry 0"),
        pytest.param(
            ["create", "--expiry", "2030-01-01T00:00:00"],
            {},
            2,
            "--expiry: a time without a zone",
            "--help",
            id="expiry without zone",
        ),
        pytest.param(
            ["create", "--session-duration", "0"], {}, 2, "sessionDuration: 0", None, id="duration"
        ),
        pytest.param(
            ["create", "--session-duration", "soon"],
            {},
            2,
            "--session-duration: not a duration",
            "--help",
            id="no duration",
        ),
        pytest.param(
            ["create", "--privilege", "iprestrict:1.2.3.4,5.6.7.8"],
            {},
            2,
            "a privilege cannot hold a comma",
            "--help",
            id="comma",
        ),
        pytest.param(
            ["create", "--preset", "upload:x"],
            {},
            2,
            "upload takes no value",
            "--help",
            id="preset",
        ),
        pytest.param(
            ["create", "--preset", "analytics-tagged"],
            {},
            2,
            "analytics-tagged needs a value",
            "--help",
            id="preset value",
        ),
        pytest.param(
            ["update", "0_x", "--description", "x", "--clear", "description"],
            {},
            2,
            "description is both set and cleared",
            None,
            id="set and cleared",
        ),
        pytest.param(
            ["update", "0_x"], {}, 2, "the update changes nothing", None, id="empty update"
        ),
        pytest.param(
            ["list", "--limit", "3", "--page-size", "5"], {}, 2, "--limit", "one of", id="limit"
        ),
        pytest.param(["list", "--page-size", "501"], {}, 2, "pageSize: 501", None, id="page size"),
        pytest.param(
            ["session"], {}, 2, "no token is named", "KALTURA_APP_TOKEN_ID", id="no token"
        ),
        pytest.param(
            ["session", "0_x"],
            {},
            2,
            "the value of token 0_x is not given",
            "--app-token-file",
            id="no value",
        ),
        pytest.param(
            ["session", "0_x", "--app-token-file", "nowhere"],
            {},
            2,
            "--app-token-file: nowhere cannot be read: No such file",
            "standard input",
            id="no file",
        ),
        pytest.param(
            ["session", "0_x", "--app-token-file", "empty"],
            {},
            2,
            "--app-token-file: empty is empty",
            None,
            id="empty file",
        ),
        pytest.param(
            ["session", "0_x", "--app-token-file", "-", "--admin-secret-file", "-"],
            {},
            2,
            "standard input can hold only one secret",
            None,
            id="stdin twice",
        ),
        pytest.param(
            ["create", "--ca-file", "nowhere.pem"],
            {"KALTURA_SERVICE_URL": "https://127.0.0.1:1"},
            2,
            "CA file nowhere.pem",
            None,
            id="ca",
        ),
    ],
)
def test_the_new_command(
    shell: Shell,
    sandbox: Sandbox,
    words: list[str],
    environment: dict[str, str],
    code: int,
    error: str,
    hint: str | None,
) -> None:
    (shell.directory / "broken.json").write_text("{", encoding="utf-8")
    (shell.directory / "empty").write_text("\n", encoding="utf-8")
    sandbox.client().add_token(description="kept")
    before = state(sandbox)
    ended = shell.new(*words, **environment)
    assert (ended.code, ended.out) == (code, ""), ended
    lines = ended.err.splitlines()
    if code == 3 and words[0] in ("update", "delete"):
        assert lines.pop(0).startswith("kaltura-app-token: account ")
    first, *rest = lines
    assert first.startswith("kaltura-app-token: error: ")
    assert error in first
    assert len(rest) <= 1
    assert all(line.startswith("  hint: ") for line in rest)
    if hint is not None:
        assert hint in rest[0]
    assert state(sandbox) == before


@pytest.mark.parametrize(
    ("words", "changes", "code", "error", "hint"),
    [
        pytest.param(
            ["--nonsense"],
            {},
            2,
            "kaltura_app_token_manager.py: error: unknown option: --nonsense",
            "--help",
            id="flag",
        ),
        pytest.param(
            ["--list"],
            None,
            2,
            "Configuration file 'config.json' not found.",
            "config.template.json",
            id="missing config",
        ),
        pytest.param(
            ["--list"],
            "{",
            2,
            "Configuration file 'config.json' contains invalid JSON.",
            "line 1",
            id="broken config",
        ),
        pytest.param(
            ["--create"],
            {"ADMIN_SECRET": "0" * 32},
            3,
            "Error creating new App Token: INVALID_KS",
            "check the admin secret",
            id="wrong secret",
        ),
        pytest.param(
            ["--create", "--start_admin_session"],
            {"ADMIN_SECRET": "0" * 32},
            3,
            "Error creating new App Token: START_SESSION_ERROR",
            "admin secret",
            id="wrong secret, started",
        ),
        pytest.param(
            ["--list"],
            {"ADMIN_SECRET": "0" * 32},
            3,
            "Failed to list App Tokens: INVALID_KS",
            "check the admin secret",
            id="wrong secret, list",
        ),
        pytest.param(
            ["--update", "0_unknown", "--description", "x"],
            {},
            3,
            "Error updating App Token with ID 0_unknown: APP_TOKEN_ID_NOT_FOUND",
            "the id is unknown here",
            id="update unknown",
        ),
        pytest.param(
            ["--delete", "0_unknown"],
            {},
            3,
            "Error deleting App Token with ID 0_unknown: APP_TOKEN_ID_NOT_FOUND",
            "the id is unknown here",
            id="delete unknown",
        ),
        pytest.param(
            ["--delete", ""],
            {},
            2,
            "kaltura_app_token_manager.py: error: argument --delete: the id is empty",
            "kaltura_app_token_manager.py --help",
            id="empty id",
        ),
        pytest.param(
            ["--create"],
            {"KALTURA_SERVICE_URL": CLOSED_PORT},
            4,
            "Error creating new App Token: ",
            "check the service URL",
            id="unreachable",
        ),
        pytest.param(
            ["--create"],
            {"KALTURA_SERVICE_URL": "http://kaltura.example.com"},
            2,
            "Error: service URL: http to kaltura.example.com would send credentials",
            "--allow_http",
            id="plain http",
        ),
        pytest.param(
            ["--create"], {"PARTNER_ID": None}, 2, "the partner id is missing", None, id="partner"
        ),
        pytest.param(
            ["--create"],
            {"EXPIRY": -1},
            2,
            "Configuration file 'config.json': EXPIRY is not a number of seconds",
            None,
            id="admin session's expiry",
        ),
    ],
)
def test_the_old_command(
    sandbox: Sandbox,
    tmp_path: Path,
    words: list[str],
    changes: dict[str, object] | str | None,
    code: int,
    error: str,
    hint: str | None,
) -> None:
    if isinstance(changes, str):
        (tmp_path / "config.json").write_text(changes, encoding="utf-8")
    elif changes is not None:
        write_config(tmp_path, sandbox, **changes)
    sandbox.client().add_token(description="kept")
    before = state(sandbox)
    ended = Shell(tmp_path, clean_environment()).old(*words)
    assert (ended.code, ended.out) == (code, ""), ended
    lines = [line for line in ended.err.splitlines() if ": note: " not in line]
    assert lines[0].startswith(error)
    assert len(lines) <= 2
    assert all(line.startswith("  hint: ") for line in lines[1:])
    if hint is not None:
        assert hint in lines[1]
    assert state(sandbox) == before


def test_a_token_in_doubt_ends_with_5_and_is_not_created_twice(
    shell: Shell, sandbox: Sandbox
) -> None:
    from test_command import order_fault

    order_fault(sandbox, action="appToken.add", fault="reset", after=True)
    ended = shell.new("create", "--description", "in doubt")
    assert (ended.code, ended.out) == (5, "")
    (token,) = sandbox.client().tokens()
    assert token.id in ended.err
    assert "list the tokens before creating another" in ended.err


def test_a_wrong_value_of_a_token_is_explained(shell: Shell, sandbox: Sandbox) -> None:
    token = sandbox.client().add_token()
    ended = shell.new("session", token.id, KALTURA_APP_TOKEN="0" * 32)
    assert (ended.code, ended.out) == (3, "")
    assert "INVALID_APP_TOKEN_HASH" in ended.err
    assert "check the hash type" in ended.err


def test_a_config_json_of_another_program_is_an_error_only_when_it_is_needed(
    bare: Shell, sandbox: Sandbox
) -> None:
    (bare.directory / "config.json").write_text(json.dumps({"port": 80}), encoding="utf-8")
    ended = bare.new("list")
    assert ended.code == 2
    assert "no account is configured" in ended.err
    assert bare.new("list", **account_of(sandbox)).code == 0


@pytest.mark.parametrize("words", [["--description", "\udcff"], ["--privileges", "\udcff"]])
def test_arguments_that_are_not_text_are_a_usage_error(
    shell: Shell, sandbox: Sandbox, words: list[str]
) -> None:
    # A surrogate stands for the byte 0xff.
    ended = shell.new("create", *words)
    assert (ended.code, ended.out) == (2, "")
    assert "holds characters that are no text" in ended.err
    assert len(ended.err.splitlines()) == 1
    assert state(sandbox) == []
