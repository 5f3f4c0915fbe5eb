"""`kaltura-app-token doctor`: what it finds, what it advises, and the exit code."""

from __future__ import annotations

import json

import pytest
from conftest import NEW, Ended, Shell, account_of, write_config
from kaltura_app_token.model import AppToken
from kaltura_app_token.sandbox import Sandbox
from test_command import control, order_fault
from test_command_output import requests_of

CHECKS = [
    "configuration",
    "service URL",
    "connection",
    "clock",
    "partner",
    "admin secret",
    "token",
    "token value",
    "session",
    "privileges",
]


@pytest.fixture
def token(sandbox: Sandbox) -> AppToken:
    return sandbox.client().add_token(session_privileges="sview:*")


def value_of(token: AppToken) -> str:
    assert token.token is not None
    return token.token.reveal()


def doctor(shell: Shell, token: AppToken | None, *words: str, **environment: str) -> Ended:
    names = {}
    if token is not None:
        names = {"KALTURA_APP_TOKEN_ID": token.id, "KALTURA_APP_TOKEN": value_of(token)}
    return shell.new("doctor", "--format", "jsonl", *words, **(names | environment))


def findings(ended: Ended) -> dict[str, str]:
    """What is not ok, by its check: the status, what was found, what to do."""
    checks = [json.loads(line) for line in ended.lines]
    return {
        check["check"]: f"{check['status']}: {check['found']} -> {check['next']}"
        for check in checks
        if check["status"] != "ok"
    }


def test_all_is_well(shell: Shell, token: AppToken) -> None:
    ended = doctor(shell, token)
    assert (ended.code, ended.err) == (0, "")
    checks = [json.loads(line) for line in ended.lines]
    assert [check["check"] for check in checks] == CHECKS
    assert {check["status"] for check in checks} == {"ok"}


def test_it_reads_as_a_report(shell: Shell, sandbox: Sandbox, token: AppToken) -> None:
    ended = shell.new("doctor", token.id, KALTURA_APP_TOKEN=value_of(token))
    assert ended.code == 0, ended
    assert ended.lines[0] == (
        f"ok       configuration  partner {sandbox.partner_id} from the environment"
    )
    assert f"ok       service URL    {sandbox.service_url}" in ended.lines
    assert "privileges     sessionid:" in ended.lines[-1]
    assert "\x1b" not in ended.out


def test_json_and_csv_have_the_same(shell: Shell, token: AppToken) -> None:
    document = shell.new("doctor", "--format", "json").json
    assert [check["check"] for check in document] == CHECKS[:7]
    assert document[-1]["status"] == "skipped"
    lines = shell.new("doctor", "--format", "csv").lines
    assert lines[0] == "check,status,found,next"
    assert len(lines) == 8


@pytest.mark.parametrize(
    ("environment", "shown"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_colours_are_for_terminals_that_want_them(
    shell: Shell, environment: dict[str, str], shown: bool
) -> None:
    shell.environment.pop("NO_COLOR", None)
    shell.environment |= {"TERM": "xterm"} | environment
    ended = shell.on_a_terminal(NEW, "doctor", columns=60)
    assert ended.code == 0, ended
    assert ("\x1b[32mok" in ended.out) is shown
    plain = ended.out.replace("\x1b[32m", "").replace("\x1b[33m", "").replace("\x1b[0m", "")
    assert "\x1b" not in plain
    assert max(map(len, plain.splitlines())) <= 60


def test_it_changes_nothing_and_exchanging_needs_no_secret(
    bare: Shell, sandbox: Sandbox, token: AppToken
) -> None:
    account = account_of(sandbox)
    del account["KALTURA_ADMIN_SECRET"]
    ended = doctor(bare, token, **account)
    assert ended.code == 0, ended
    assert findings(ended) == {
        "admin secret": "skipped: none is given: exchanging needs none -> None"
    }
    assert {f"{one['service']}.{one['action']}" for one in requests_of(sandbox)[1:]} == {
        "session.startWidgetSession",
        # Refused, for the server's time.
        "session.get",
        "appToken.startSession",
    }


def test_the_secret_stays_here_unless_it_is_told_to_send_it(shell: Shell, sandbox: Sandbox) -> None:
    for words in ([], ["--no-send-secret"]):
        ended = doctor(shell, None, *words)
        assert "session.start" not in ended.out
        assert "a session that is signed with it here is accepted" in ended.out
    assert all("secret" not in one["params"] for one in requests_of(sandbox))
    sent = doctor(shell, None, "--send-secret")
    assert "the admin secret was sent to the server" in sent.out
    assert any("secret" in one["params"] for one in requests_of(sandbox))


@pytest.mark.parametrize(
    ("environment", "check", "found", "code"),
    [
        ({"KALTURA_PARTNER_ID": "x"}, "configuration", "KALTURA_PARTNER_ID is not a partner", 2),
        ({"KALTURA_PARTNER_ID": ""}, "configuration", "the partner id is missing", 2),
        ({"KALTURA_SERVICE_URL": "http://example.com"}, "service URL", "in the clear", 2),
        ({"KALTURA_SERVICE_URL": "http://127.0.0.1:1"}, "connection", "no connection", 4),
        ({"KALTURA_PARTNER_ID": "7"}, "partner", "INVALID_WIDGET_ID", 6),
        ({"KALTURA_ADMIN_SECRET": "x"}, "admin secret", "INVALID_KS", 6),
        ({"KALTURA_APP_TOKEN_ID": "0_x"}, "token", "APP_TOKEN_ID_NOT_FOUND", 6),
        ({"KALTURA_APP_TOKEN": "x"}, "token value", "under any hash type", 6),
        ({"KALTURA_PROFILE": "none"}, "configuration", "there is no file of profiles", 2),
    ],
)
def test_what_is_wrong_is_found(
    shell: Shell,
    token: AppToken,
    environment: dict[str, str],
    check: str,
    found: str,
    code: int,
) -> None:
    home = {"XDG_CONFIG_HOME": str(shell.directory)}
    ended = doctor(shell, token, **(home | environment))
    assert ended.code == code, ended
    report = findings(ended)
    assert report[check].startswith("problem: "), report
    assert found in report[check]
    assert not report[check].endswith("-> None") or check in ("configuration", "service URL")


def test_what_cannot_be_asked_is_skipped(shell: Shell, token: AppToken) -> None:
    ended = doctor(shell, token, KALTURA_SERVICE_URL="http://127.0.0.1:1")
    skipped = [name for name, text in findings(ended).items() if text.startswith("skipped")]
    assert skipped == ["clock", "partner", "admin secret", "token"]


@pytest.mark.parametrize("fault", ["html", "garbage", "empty"])
def test_a_server_that_is_not_kaltura_is_told(shell: Shell, sandbox: Sandbox, fault: str) -> None:
    order_fault(sandbox, action="*", fault=fault, times=100)
    ended = doctor(shell, None)
    assert ended.code == 4
    assert findings(ended)["connection"].startswith("problem: ")


@pytest.mark.parametrize("right", ["MD5", "SHA1", "SHA512"])
def test_the_right_hash_type_is_found(shell: Shell, sandbox: Sandbox, right: str) -> None:
    token = sandbox.client().add_token(hash_type=right)  # type: ignore[arg-type]
    ended = doctor(shell, token)
    assert ended.code == 6
    assert findings(ended) == {
        "token value": f"problem: right, but the token's hash type is {right}, not SHA256 -> "
        f"exchange it with --hash-type {right}"
    }
    assert doctor(shell, token, "--hash-type", right).code == 0


@pytest.mark.parametrize(
    ("fields", "check", "found", "step"),
    [
        ({"sessionType": None}, "token", "can choose ADMIN", "--session-type USER"),
        ({"sessionDuration": 0}, "token", "have expired when they start", "--clear sessionDur"),
        ({"expiry": 0}, "token", "never on some servers", "--clear expiry"),
        ({"status": 1}, "token", "it is disabled for good", "create a new one"),
        ({"status": 1}, "token value", "APP_TOKEN_NOT_ACTIVE", "create a new one"),
        ({"expiry": 1500000000}, "token", "it expired ", "--expiry +30d, or --clear expiry"),
        ({"sessionPrivileges": "list:*,enableentitlement:1"}, "privileges", "only works bare", ""),
    ],
)
def test_what_is_odd_about_a_token_is_told(
    shell: Shell, sandbox: Sandbox, fields: dict[str, object], check: str, found: str, step: str
) -> None:
    row = {
        "id": "0_aaaaaaaa",
        "token": "0" * 32,
        "partnerId": sandbox.partner_id,
        "status": 2,
        "hashType": "SHA256",
        "sessionType": 0,
        "sessionDuration": 86400,
        "createdAt": 1400000000,
        "updatedAt": 1400000000,
    }
    control(sandbox, f"partners/{sandbox.partner_id}/tokens", [row | fields])
    ended = doctor(shell, None, KALTURA_APP_TOKEN_ID="0_aaaaaaaa", KALTURA_APP_TOKEN="0" * 32)
    assert ended.code == 6, ended
    assert found in findings(ended)[check]
    assert step in findings(ended)[check]


def test_a_privilege_that_is_not_given_is_told(shell: Shell, token: AppToken) -> None:
    ended = doctor(shell, token, "--privileges", "edit:*")
    assert ended.code == 6
    assert "problem: edit:* was asked for and is not given" in findings(ended)["privileges"]


@pytest.mark.parametrize(("offset", "direction"), [(3600, "behind"), (-3600, "ahead of")])
def test_a_clock_that_is_wrong_is_told(
    shell: Shell, sandbox: Sandbox, offset: int, direction: str
) -> None:
    control(sandbox, "clock", {"offset": offset})
    ended = doctor(shell, None)
    assert ended.code == 6
    found = findings(ended)["clock"]
    assert f"{direction} the server's" in found
    assert "1 hour" in found or "59 minutes" in found


def test_a_session_in_place_of_the_secret_is_checked(bare: Shell, sandbox: Sandbox) -> None:
    account = account_of(sandbox)
    secret = account.pop("KALTURA_ADMIN_SECRET")
    ks = sandbox.client().sign_admin_session().ks.reveal()
    ended = doctor(bare, None, KALTURA_KS=ks, **account)
    assert ended.code == 0
    assert "the KS that is given is accepted, expires in" in ended.out
    user = sandbox.client(admin_secret=None).start_widget_session().ks.reveal()
    ended = doctor(bare, None, KALTURA_KS=user, KALTURA_ADMIN_SECRET=secret, **account)
    assert ended.code == 6
    assert findings(ended)["admin session"].startswith("problem: SERVICE_FORBIDDEN")
    assert "a session that is signed with it here is accepted" in ended.out


def test_two_accounts_are_told_apart(shell: Shell, sandbox: Sandbox) -> None:
    path = write_config(shell.directory, sandbox)
    ended = doctor(shell, None)
    assert "from the environment; the account in config.json is not used" in ended.lines[0]
    path.chmod(0o644)
    ended = doctor(Shell(shell.directory, {}), None)
    assert (ended.code, ended.err) == (6, "")
    assert "-> chmod 600" in findings(ended)["configuration"]
