"""`kaltura-app-token doctor`: what it finds, what it advises, and the exit code."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import NEW, Ended, Shell, account_of, clean_environment, write_config
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
    "session use",
    "privileges",
]


@pytest.fixture
def token(sandbox: Sandbox) -> AppToken:
    return sandbox.client().add_token(session_privileges="sview:*")


def value_of(token: AppToken) -> str:
    assert token.token is not None
    return token.token.reveal()


def set_duration(sandbox: Sandbox, token: AppToken, duration: int | None) -> None:
    """Stores what the API itself would refuse or change."""
    row = {
        "id": token.id,
        "token": value_of(token),
        "hashType": token.hash_type,
        "sessionType": 0,
        "sessionDuration": duration,
    }
    control(sandbox, f"partners/{sandbox.partner_id}/tokens", [row])


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
        # For the server's time, which refuses it, and to try the token's session.
        "session.get",
        "appToken.startSession",
    }


def test_the_secret_stays_here_unless_it_is_told_to_send_it(shell: Shell, sandbox: Sandbox) -> None:
    for words in ([], ["--no-send-secret"]):
        ended = doctor(shell, None, *words)
        assert "session.start" not in ended.out
        assert "a session that is signed with it here is accepted" in ended.out
    assert all("secret" not in one["params"] for one in requests_of(sandbox))
    refused = doctor(shell, None, "--admin-session", "started")
    assert (refused.code, refused.out) == (2, "")
    assert "--send-secret" in refused.err
    assert all("secret" not in one["params"] for one in requests_of(sandbox))
    sent = doctor(shell, None, "--send-secret", "--admin-session", "started")
    assert "the admin secret was sent to the server" in sent.out
    assert "the server gave a session for it, which it accepts" in sent.out
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
        ({"sessionDuration": 0}, "token", "have expired when they start", "--session-duration 1h"),
        ({"sessionDuration": -9}, "token", "duration is -9: its", "--session-duration 1h"),
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
    told = findings(ended)["admin session"]
    assert told.startswith("problem: SERVICE_FORBIDDEN")
    assert "-> the commands use it in place of the admin secret: leave it out" in told
    assert "a session that is signed with it here is accepted" in ended.out


def test_two_accounts_are_told_apart(shell: Shell, sandbox: Sandbox) -> None:
    path = write_config(shell.directory, sandbox)
    ended = doctor(shell, None)
    assert "from the environment; the account in config.json is not used" in ended.lines[0]
    path.chmod(0o644)
    ended = doctor(Shell(shell.directory, {}), None)
    assert (ended.code, ended.err) == (6, "")
    assert "can be read by other users: chmod 600" in findings(ended)["configuration"]


def test_help_lists_every_exit_code(shell: Shell) -> None:
    told = shell.new("doctor", "--help").out.split("exit codes:\n")[1]
    assert [line.split()[0] for line in told.splitlines()] == ["0", "2", "4", "6"]


class TestTheSessionIsUsed:
    """A token whose sessions are refused is not called well."""

    def use(self, shell: Shell, sandbox: Sandbox, privileges: str, **fields: object) -> Ended:
        token = sandbox.client().add_token(session_privileges=privileges, **fields)  # type: ignore[arg-type]
        return doctor(shell, token)

    @pytest.mark.parametrize(
        ("privileges", "found", "step"),
        [
            (
                "iprestrict:10.1.2.3/10.4.5.6",
                "iprestrict allows 10.1.2.3 or 10.4.5.6 alone",
                "such",
            ),
            ("iprestrict:10.1.2.3", "address on the way there is 127.0.0.1", "compared as a whole"),
            ("iprestrict:10.1.2.3", "(INVALID_KS)", "--privileges"),
            ("urirestrict:/p/*|/q", "urirestrict allows /p/* or /q alone", "/api_v3/service/media"),
            ("urirestrict:/p/*", "for /api_v3/service/session/action/get:", "up to a * at its end"),
            ("actionslimit:0", "refuses its first call: actionslimit is 0", "number of calls"),
        ],
    )
    def test_a_restriction_that_refuses_it_is_explained(
        self, shell: Shell, sandbox: Sandbox, privileges: str, found: str, step: str
    ) -> None:
        ended = self.use(shell, sandbox, privileges)
        assert ended.code == 6, ended
        told, _, following = findings(ended)["session use"].partition(" -> ")
        assert told.startswith("problem: the server refuses")
        assert found in told
        assert step in following

    @pytest.mark.parametrize(
        ("privileges", "told"),
        [
            ("sview:*", "it, though not for session.get, which needs ADMIN"),
            ("iprestrict:127.0.0.1", "iprestrict allows 127.0.0.1, where this was asked from"),
            ("urirestrict:/api_v3/*", "where /api_v3/service/session/action/get belongs"),
            ("actionslimit:1", "one of the 1 calls that actionslimit gives this session"),
        ],
    )
    def test_a_restriction_that_lets_it_pass_is_told(
        self, shell: Shell, sandbox: Sandbox, privileges: str, told: str
    ) -> None:
        ended = self.use(shell, sandbox, privileges)
        assert ended.code == 0, ended
        (use,) = [one for one in map(json.loads, ended.lines) if one["check"] == "session use"]
        assert use["found"].startswith("the server accepts ")
        assert told in use["found"]

    def test_an_admins_session_is_asked_what_it_is(self, shell: Shell, sandbox: Sandbox) -> None:
        ended = self.use(shell, sandbox, "list:*", session_type="ADMIN")
        assert (ended.code, "session.get was called with it" in ended.out) == (0, True)

    def test_other_calls_of_the_api_are_left_to_whoever_makes_them(
        self, shell: Shell, sandbox: Sandbox
    ) -> None:
        ended = self.use(shell, sandbox, "urirestrict:/api_v3/service/media/*")
        assert ended.code == 0, ended
        told = findings(ended)["session use"]
        assert told.startswith("skipped: not tried: urirestrict allows /api_v3/service/media/* ")
        assert "-> make one of those calls" in told

    def test_a_token_whose_session_was_ended_is_found(
        self, shell: Shell, sandbox: Sandbox, token: AppToken
    ) -> None:
        client = sandbox.client()
        client.end_session(client.start_session(token.id, value_of(token)).ks)
        ended = doctor(shell, token)
        assert ended.code == 6
        told = findings(ended)["session use"]
        assert "session.end was called with a session of this token" in told
        assert f"rotate {token.id}` makes one like it" in told

    @pytest.mark.parametrize(
        ("code", "privileges", "found", "step"),
        [
            ("INVALID_OBJECT_ID", "setrole:NONE", "role NONE, which is unknown", "setrole:ROLE_ID"),
            ("INVALID_SET_ROLE", "setrole:-1", "role -1, which is unknown", "its system name"),
            ("INVALID_ACTIONS_LIMIT", "actionslimit:x", "is x, which is no", "number of calls"),
            ("SERVICE_FORBIDDEN_CONTENT_BLOCKED", "list:*", "BLOCKED", "check the partner id"),
            ("SOMETHING_NEW", "list:*", "the server refuses it: SOMETHING_NEW", "None"),
        ],
    )
    def test_what_the_server_says_of_it_is_explained(
        self,
        bare: Shell,
        sandbox: Sandbox,
        code: str,
        privileges: str,
        found: str,
        step: str,
    ) -> None:
        token = sandbox.client().add_token(session_privileges=privileges)
        account = account_of(sandbox)
        del account["KALTURA_ADMIN_SECRET"]
        # The first one is asked for the time.
        fault = {"fault": "exception", "code": code, "message": "told"}
        order_fault(sandbox, action="session.get", skip=1, times=9, **fault)
        ended = doctor(bare, token, **account)
        assert ended.code == 6, ended
        told, _, following = findings(ended)["session use"].partition(" -> ")
        assert told.startswith("problem: ")
        assert found in told
        assert step in following

    def test_a_server_that_fails_over_it_is_no_refusal(
        self, bare: Shell, sandbox: Sandbox, token: AppToken
    ) -> None:
        order_fault(sandbox, action="session.get", skip=1, times=9, fault="status", status=503)
        account = account_of(sandbox)
        del account["KALTURA_ADMIN_SECRET"]
        ended = doctor(bare, token, "--max-retries", "0", **account)
        assert ended.code == 6
        told = findings(ended)["session use"]
        assert told.startswith("problem: it could not be tried: ")
        assert "try again later" in told

    @pytest.mark.parametrize(
        ("words", "check"), [(["--privileges", "_e:1"], "session"), ([], "token value")]
    )
    def test_what_cannot_be_sent_is_told_where_it_belongs(
        self, shell: Shell, token: AppToken, words: list[str], check: str
    ) -> None:
        path = shell.directory / "value"
        path.write_text(value_of(token) + " " * (not words), encoding="utf-8")
        ended = doctor(shell, None, token.id, "--app-token-file", str(path), *words)
        assert ended.code == 6
        assert findings(ended)[check].startswith("problem: ")

    def test_what_was_asked_for_and_is_not_given_is_told(
        self, shell: Shell, sandbox: Sandbox
    ) -> None:
        token = sandbox.client().add_token(session_user_id="bob")
        ended = doctor(shell, token, "--user", "jane")
        assert ended.code == 6
        assert "--user is not heeded: the token gives user bob" in findings(ended)["session"]


class TestDeadAtBirth:
    """A token whose sessions have expired when they start."""

    @pytest.fixture
    def lasting(self, tmp_path: Path) -> Iterator[Sandbox]:
        """An account that sets no maximum for sessions that say nothing themselves."""
        account = {
            "id": 104,
            "adminSecret": "an-admin-secret",
            "userSecret": "a-user-secret",
            "maxSessionDuration": None,
            "anonymousUser": True,
        }
        path = tmp_path / "accounts.json"
        path.write_text(json.dumps({"partners": [account]}), encoding="utf-8")
        with Sandbox(accounts=path) as running:
            yield running

    @pytest.fixture
    def at_it(self, lasting: Sandbox, tmp_path: Path) -> Shell:
        return Shell(tmp_path, clean_environment() | account_of(lasting))

    @pytest.mark.parametrize("duration", [None, 0, -5])
    def test_it_is_found_and_the_step_that_is_named_helps(
        self, at_it: Shell, lasting: Sandbox, duration: int | None
    ) -> None:
        token = lasting.client().add_token()
        set_duration(lasting, token, duration)
        ended = doctor(at_it, token)
        assert ended.code == 6, ended
        told, _, step = findings(ended)["session"].partition(" -> ")
        assert "had expired when it started" in told
        assert at_it.run(NEW, *shlex.split(step)[1:]).code == 0
        assert doctor(at_it, token).code == 0

    @pytest.mark.parametrize("duration", [None, 0, -5])
    @pytest.mark.parametrize("words", [["session"], ["exec"]])
    def test_no_dead_session_is_handed_out(
        self, at_it: Shell, lasting: Sandbox, duration: int | None, words: list[str]
    ) -> None:
        token = lasting.client().add_token()
        set_duration(lasting, token, duration)
        program = ["--", "echo", "ran"] if words == ["exec"] else []
        ended = at_it.new(*words, token.id, *program, KALTURA_APP_TOKEN=value_of(token))
        assert (ended.code, ended.out) == (2, "")
        assert f"the sessions of token {token.id} are dead at birth" in ended.err
        assert f"update {token.id} --session-duration 1h" in ended.err

    def test_without_its_value_the_record_tells(self, at_it: Shell, lasting: Sandbox) -> None:
        token = lasting.client().add_token()
        ended = doctor(at_it, None, token.id)
        assert ended.code == 6
        assert "it has no session duration" in findings(ended)["token"]


@pytest.mark.parametrize(
    ("environment", "told", "step"),
    [
        (
            {"KALTURA_SERVICE_URL": "https://127.0.0.1:1"},
            "nothing listens there: no conn",
            "firewall",
        ),
        (
            {"KALTURA_SERVICE_URL": "https://none.invalid"},
            "looked up: no connection to none.invalid",
            "spelling",
        ),
        ({"KALTURA_SERVICE_URL": "https://127.0.0.1:PORT"}, "speaks no TLS", "port speaks https"),
        (
            {"KALTURA_SERVICE_URL": "https://192.0.2.1", "HTTPS_PROXY": "http://127.0.0.1:1"},
            "the proxy does not let through",
            "--proxy names another",
        ),
    ],
)
def test_why_there_is_no_connection_is_told(
    shell: Shell, sandbox: Sandbox, environment: dict[str, str], told: str, step: str
) -> None:
    port = sandbox.service_url.split(":")[2].split("/")[0]
    named = {name: value.replace("PORT", port) for name, value in environment.items()}
    ended = doctor(shell, None, "--timeout", "20", **named)
    assert ended.code == 4, ended
    found, _, following = findings(ended)["connection"].partition(" -> ")
    assert told in found
    assert step in following


def test_another_regions_server_is_told_with_the_regions(shell: Shell) -> None:
    ended = doctor(shell, None, KALTURA_PARTNER_ID="7")
    told = findings(ended)["partner"]
    assert "INVALID_WIDGET_ID" in told
    assert told.endswith("the regions, for --service-url: us, de, eu, sg, ca, ap")


def test_the_examples_in_the_docstrings_are_true() -> None:
    import doctest

    from kaltura_app_token.command.doctor import restrictions

    result = doctest.testmod(restrictions)
    assert (result.attempted > 0, result.failed) == (True, 0)
