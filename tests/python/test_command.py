"""The command `kaltura-app-token`: what each subcommand does on the server and prints."""

from __future__ import annotations

import csv
import io
import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import NEW, Ended, Shell, account_of, clean_environment, write_config
from kaltura_app_token._version import VERSION
from kaltura_app_token.command import main, tokens
from kaltura_app_token.model import AppToken
from kaltura_app_token.sandbox import Sandbox

FIELDS = [
    "id",
    "token",
    "partnerId",
    "status",
    "sessionType",
    "sessionDuration",
    "sessionPrivileges",
    "sessionUserId",
    "hashType",
    "description",
    "expiry",
    "createdAt",
    "updatedAt",
]
TIMES = ["expiresAt", "createdAtTime", "updatedAtTime"]
NAMES = ["statusName", "sessionTypeName"]


def value_of(token: AppToken) -> str:
    assert token.token is not None
    return token.token.reveal()


def account_line(sandbox: Sandbox, place: str = "the environment") -> str:
    """What a command says before it changes something."""
    account = f"account {sandbox.partner_id} at {sandbox.service_url}"
    return f"kaltura-app-token: {account} (from {place})"


class TestCreate:
    def test_it_prints_the_token_with_its_value(self, shell: Shell, sandbox: Sandbox) -> None:
        ended = shell.new("create", "--description", "mine", "--privileges", "sview:*,list:*")
        assert (ended.code, ended.err) == (0, "")
        printed = dict(line.split(": ", 1) for line in ended.lines)
        token = sandbox.client().get_token(printed["id"])
        assert printed["token"] == value_of(token)
        assert printed["description"] == "mine"
        assert printed["sessionPrivileges"] == "sview:*,list:*"
        assert (printed["sessionType"], printed["hashType"]) == ("USER", "SHA256")
        assert printed["expiry"] == "never"

    @pytest.mark.parametrize(
        ("words", "field", "value"),
        [
            (["--description", "x"], "description", "x"),
            (["--description=-x"], "description", "-x"),
            (["--privileges", "edit:1_a"], "sessionPrivileges", "edit:1_a"),
            (["--privilege", "edit:1_a"], "sessionPrivileges", "edit:1_a"),
            (
                ["--preset", "upload", "--privileges", "list:*", "--privilege", "a:b"],
                "sessionPrivileges",
                "edit:*,sview:*,list:*,a:b",
            ),
            (
                ["--preset", "read-only-playback:PORTAL"],
                "sessionPrivileges",
                "sview:*,enableentitlement,privacycontext:PORTAL",
            ),
            (
                ["--preset", "single-entry-playback:1_abc"],
                "sessionPrivileges",
                "sview:1_abc,setrole:PLAYBACK_BASE_ROLE,actionslimit:10",
            ),
            (
                ["--preset", "analytics-tagged:my-app"],
                "sessionPrivileges",
                "sview:*,list:*,appId:my-app",
            ),
            (["--session-user-id", "jane"], "sessionUserId", "jane"),
            (["--hash-type", "sha512"], "hashType", "SHA512"),
            (["--session-type", "admin"], "sessionType", 2),
            (["--session-type", "unset"], "sessionType", None),
            (["--session-duration", "3600"], "sessionDuration", 3600),
            (["--session-duration", "12h"], "sessionDuration", 43200),
            (["--expiry", "1893456000"], "expiry", 1893456000),
            (["--expiry", "2030-01-01T02:00:00+02:00"], "expiry", 1893456000),
            (["--expiry", "2030-01-01T00:00:00Z"], "expiry", 1893456000),
        ],
    )
    def test_a_field_that_is_given_is_set(
        self, shell: Shell, words: list[str], field: str, value: object
    ) -> None:
        ended = shell.new("create", *words, "--format", "json")
        assert ended.code == 0, ended
        assert ended.json[field] == value

    def test_a_relative_expiry_counts_from_now(self, shell: Shell) -> None:
        expiry = shell.new("create", "--expiry", "+30d", "--format", "json").json["expiry"]
        assert 0 <= time.time() + 30 * 86400 - expiry < 60

    def test_it_can_start_a_session_too(self, shell: Shell, sandbox: Sandbox) -> None:
        words = ["create", "--hash-type", "SHA1", "--privileges", "sview:*", "--start-session"]
        session = shell.new(*words, "--format", "json").json["session"]
        assert sandbox.client().session_info(session["ks"]).expiry == session["expiry"]
        line = next(line for line in shell.new(*words).lines if line.startswith("session KS: "))
        assert sandbox.client().session_info(line.removeprefix("session KS: "))
        (row,) = csv.DictReader(io.StringIO(shell.new(*words, "--format", "csv").out))
        assert sandbox.client().session_info(row["ks"])

    def test_the_value_is_printed_even_if_the_session_cannot_be_started(
        self, shell: Shell, sandbox: Sandbox
    ) -> None:
        order_fault(sandbox, action="appToken.startSession", fault="exception", code="X_FAILED")
        ended = shell.new("create", "--start-session")
        assert ended.code == 3
        assert "error: X_FAILED" in ended.err
        (token,) = sandbox.client().tokens(with_secrets=True)
        assert f"token: {value_of(token)}" in ended.lines

    def test_privileges_that_will_not_work_are_warned_of(self, shell: Shell) -> None:
        ended = shell.new("create", "--privileges", "enableentitlement:True")
        assert ended.code == 0
        assert "kaltura-app-token: warning: privilege enableentitlement:True:" in ended.err


def order_fault(sandbox: Sandbox, **fault: Any) -> None:
    sandbox.fault(**fault)


def control(sandbox: Sandbox, call: str, body: object) -> None:
    from urllib.request import ProxyHandler, Request, build_opener

    url = sandbox.service_url.removesuffix("/api_v3") + f"/_sandbox/{call}"
    order = Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})  # noqa: S310
    with build_opener(ProxyHandler({})).open(order, timeout=10) as answer:
        answer.read()


class TestFormats:
    def test_json_has_the_apis_names_and_readable_times(
        self, shell: Shell, sandbox: Sandbox
    ) -> None:
        token = sandbox.client().add_token(expiry=1893456000)
        for words in (["get", token.id], ["update", token.id, "--description", "x"]):
            document = shell.new(*words, "--format", "json").json
            assert list(document) == FIELDS + TIMES + NAMES
            assert document["expiresAt"] == "2030-01-01T00:00:00Z"
            assert document["token"] == "****"
        (listed,) = shell.new("list", "--format", "json").json
        assert list(listed) == FIELDS + TIMES + NAMES

    def test_jsonl_is_one_document_on_each_line(self, shell: Shell, sandbox: Sandbox) -> None:
        ids = [sandbox.client().add_token().id for _ in range(3)]
        lines = shell.new("list", "--format", "jsonl").lines
        assert sorted(json.loads(line)["id"] for line in lines) == sorted(ids)
        assert len(shell.new("get", ids[0], "--format", "jsonl").lines) == 1

    def test_csv_has_the_apis_names_and_disarms_formulas(
        self, shell: Shell, sandbox: Sandbox
    ) -> None:
        nasty = ["=1+1", "+1", "-1", "@x", "\tx", 'a "quoted", text\nin two lines']
        for description in nasty:
            sandbox.client().add_token(description=description)
        ended = shell.new("list", "--format", "csv")
        rows = list(csv.DictReader(io.StringIO(ended.out)))
        assert list(rows[0]) == FIELDS + TIMES + NAMES
        printed = {row["description"] for row in rows}
        assert printed == {f"'{text}" for text in nasty[:5]} | {nasty[5]}

    def test_quiet_prints_ids_alone(self, shell: Shell, sandbox: Sandbox) -> None:
        created = shell.new("create", "--quiet").out
        assert shell.new("list", "--quiet").out == created
        token_id = created.strip()
        assert shell.new("get", token_id, "--quiet").out == created
        assert shell.new("update", token_id, "--description", "x", "--quiet").out == created
        assert shell.new("delete", token_id, "--quiet").out == created

    @pytest.mark.parametrize("output_format", ["table", "csv", "json", "jsonl"])
    def test_values_come_out_only_when_asked_for(
        self, shell: Shell, sandbox: Sandbox, output_format: str
    ) -> None:
        token = sandbox.client().add_token()
        value = value_of(token)
        for words in (["list"], ["get", token.id], ["update", token.id, "--description", "x"]):
            command = [*words, "--format", output_format]
            assert value not in shell.new(*command).out
            assert value in shell.new(*command, "--show-secrets").out

    def test_an_empty_list_is_empty_in_every_format(self, shell: Shell) -> None:
        outputs = {name: shell.new("list", "--format", name).out for name in ("table", "csv")}
        assert outputs == {"table": "", "csv": ""}
        assert shell.new("list", "--format", "json").json == []

    def test_a_table_in_a_pipe_cuts_nothing(self, shell: Shell, sandbox: Sandbox) -> None:
        description = "long " * 60 + "end"
        token = sandbox.client().add_token(description=description, session_user_id="jane")
        heading, row = shell.new("list").lines
        assert heading.split() == [
            "ID",
            "TYPE",
            "HASH",
            "EXPIRES",
            "DESCRIPTION",
            "PRIVILEGES",
            "USER",
        ]
        assert row.startswith(token.id)
        assert description in row

    @pytest.mark.parametrize("columns", [40, 60, 80, 200])
    def test_a_table_on_a_terminal_fits_it(
        self, shell: Shell, sandbox: Sandbox, columns: int
    ) -> None:
        token = sandbox.client().add_token(
            description="ein längerer Text 説明 " * 4,
            session_privileges="sview:1_aaaaaaaa,edit:1_bbbbbbbb,list:*",
        )
        ended = shell.on_a_terminal(NEW, "list", columns=columns)
        assert ended.code == 0, ended
        assert max(map(len, ended.lines)) <= columns
        assert any(line.startswith(token.id) for line in ended.lines)

    def test_text_from_the_server_cannot_drive_the_terminal(
        self, shell: Shell, sandbox: Sandbox
    ) -> None:
        token = sandbox.client().add_token(description="one\ntwo\u202e\u009b")
        for words in (["list"], ["get", token.id]):
            assert "one\\ntwo\\u202e\\x9b" in shell.new(*words).out


class TestList:
    @pytest.fixture
    def rows(self, sandbox: Sandbox) -> None:
        common = {"partnerId": sandbox.partner_id, "updatedAt": 1700000000, "status": 2}
        rows = [
            {"id": "0_aaaaaaaa", "createdAt": 1500000000, "hashType": "SHA1", "sessionType": 2},
            {"id": "0_bbbbbbbb", "createdAt": 1600000000, "hashType": "SHA256", "sessionType": 0},
            {"id": "0_cccccccc", "createdAt": 1700000000, "hashType": "SHA1", "sessionType": 0},
        ]
        rows[1]["sessionUserId"] = "jane"
        rows[2] |= {"status": 1, "updatedAt": 1800000000}
        control(
            sandbox,
            f"partners/{sandbox.partner_id}/tokens",
            [{"token": "0" * 32} | common | row for row in rows],
        )

    @pytest.mark.usefixtures("rows")
    @pytest.mark.parametrize(
        ("words", "found"),
        [
            ([], "abc"),
            (["--id", "0_aaaaaaaa", "--id", "0_cccccccc"], "ac"),
            (["--status", "active"], "ab"),
            (["--status", "ACTIVE", "--status", "DISABLED"], "abc"),
            (["--created-after", "1600000000"], "bc"),
            (["--created-before", "2020-09-13T12:26:40Z"], "ab"),
            (["--updated-after", "1700000001"], "c"),
            (["--updated-before", "1700000001"], "ab"),
            (["--created-after", "1d"], ""),
            (["--user", "JANE"], "b"),
            (["--hash-type", "sha1"], "ac"),
            (["--session-type", "user"], "bc"),
            (["--page-size", "2", "--order-by=-createdAt"], "cb"),
            (["--page-size", "2", "--page-index", "2", "--order-by=+createdAt"], "c"),
        ],
    )
    def test_a_filter_narrows_the_list(self, shell: Shell, words: list[str], found: str) -> None:
        ended = shell.new("list", "--quiet", *words)
        assert ended.code == 0, ended
        assert ended.lines == [f"0_{letter * 8}" for letter in found]

    @pytest.mark.usefixtures("rows")
    def test_a_table_names_what_is_not_usual(self, shell: Shell) -> None:
        heading, first, *_ = shell.new("list").lines
        assert "STATUS" in heading
        assert "ACTIVE" in first

    def test_all_pages_are_listed(self, shell: Shell, sandbox: Sandbox) -> None:
        client = sandbox.client()
        ids = {client.add_token().id for _ in range(40)}
        assert set(shell.new("list", "--quiet").lines) == ids
        page = shell.new("list", "--quiet", "--page-size", "30")
        assert len(page.lines) == 30
        assert page.err == "page 1: 30 of 40 tokens\n"


class TestUpdate:
    def test_only_what_is_given_changes(self, shell: Shell, sandbox: Sandbox) -> None:
        before = sandbox.client().add_token(description="old", session_privileges="edit:*")
        assert shell.new("update", before.id, "--session-user-id", "jane").code == 0
        after = sandbox.client().get_token(before.id)
        assert after.session_user_id == "jane"
        assert (after.description, after.session_privileges) == ("old", "edit:*")

    @pytest.mark.parametrize("field", sorted(tokens._CLEARABLE))
    def test_a_field_can_be_cleared(self, shell: Shell, sandbox: Sandbox, field: str) -> None:
        token = sandbox.client().add_token(
            description="x",
            session_duration=60,
            session_privileges="edit:*",
            session_user_id="jane",
            expiry=1893456000,
        )
        ended = shell.new("update", token.id, "--clear", field, "--format", "json")
        assert ended.code == 0, ended
        assert ended.json[field] is None

    def test_an_unset_session_type_is_a_cleared_one(self, shell: Shell, sandbox: Sandbox) -> None:
        token = sandbox.client().add_token()
        ended = shell.new("update", token.id, "--session-type", "unset")
        assert "sessionType: unset (whoever exchanges the token chooses" in ended.out
        assert sandbox.client().get_token(token.id).session_type is None

    def test_another_hash_type_is_taken_and_remarked_on(
        self, shell: Shell, sandbox: Sandbox
    ) -> None:
        token = sandbox.client().add_token()
        ended = shell.new("update", token.id, "--hash-type", "SHA512")
        assert ended.code == 0
        assert "from now on the token is exchanged with SHA512" in ended.err


class TestDelete:
    def test_one_is_deleted_without_a_question(self, shell: Shell, sandbox: Sandbox) -> None:
        token = sandbox.client().add_token()
        assert shell.new("delete", token.id).lines == [f"deleted: {token.id}"]
        assert list(sandbox.client().tokens()) == []

    def test_several_need_yes_in_a_pipe(self, shell: Shell, sandbox: Sandbox) -> None:
        ids = [sandbox.client().add_token().id for _ in range(2)]
        refused = shell.new("delete", *ids)
        assert (refused.code, refused.out) == (2, "")
        assert "--yes" in refused.err
        assert len(list(sandbox.client().tokens())) == 2
        assert shell.new("delete", "--yes", *ids).code == 0
        assert list(sandbox.client().tokens()) == []

    @pytest.mark.parametrize(("answer", "code", "left"), [("y", 0, 0), ("", 130, 2)])
    def test_several_are_asked_for_on_a_terminal(
        self, shell: Shell, sandbox: Sandbox, answer: str, code: int, left: int
    ) -> None:
        ids = [sandbox.client().add_token().id for _ in range(2)]
        question = f"Delete 2 tokens: {', '.join(ids)}? [y/N]"
        ended = shell.on_a_terminal(NEW, "delete", *ids, answers=[(question, answer)])
        assert ended.code == code, ended
        assert len(list(sandbox.client().tokens())) == left

    def test_each_failure_is_reported_and_the_others_are_deleted(
        self, shell: Shell, sandbox: Sandbox
    ) -> None:
        token = sandbox.client().add_token()
        ended = shell.new("delete", "--yes", "0_missing1", token.id, "0_missing2")
        assert ended.code == 3
        assert ended.lines == [f"deleted: {token.id}"]
        assert "0_missing1 was not deleted" in ended.err
        assert "0_missing2 was not deleted" in ended.err


class TestSession:
    @pytest.fixture
    def token(self, sandbox: Sandbox) -> AppToken:
        return sandbox.client().add_token(session_privileges="sview:*")

    def check(self, ended: Ended, sandbox: Sandbox, token: AppToken) -> None:
        assert (ended.code, ended.err) == (0, "")
        assert ended.out.count("\n") == 1
        info = sandbox.client().session_info(ended.out.strip())
        assert f"apptoken:{token.id}" in (info.privileges or "")

    def test_it_prints_the_ks_alone(self, shell: Shell, sandbox: Sandbox, token: AppToken) -> None:
        path = shell.directory / "value"
        path.write_bytes(value_of(token).encode() + b"\r\n")
        for ended in (
            shell.new("session", token.id, "--app-token-file", str(path)),
            shell.new("session", "--app-token-id", token.id, "--app-token-file", str(path)),
            shell.new("session", token.id, "--app-token-file", "-", stdin=value_of(token) + "\n"),
            shell.new("session", token.id, KALTURA_APP_TOKEN=value_of(token)),
            shell.new("session", KALTURA_APP_TOKEN_ID=token.id, KALTURA_APP_TOKEN=value_of(token)),
        ):
            self.check(ended, sandbox, token)

    def test_it_needs_no_admin_secret(self, bare: Shell, sandbox: Sandbox, token: AppToken) -> None:
        account = account_of(sandbox)
        del account["KALTURA_ADMIN_SECRET"]
        self.check(
            bare.new("session", token.id, KALTURA_APP_TOKEN=value_of(token), **account),
            sandbox,
            token,
        )

    def test_the_value_is_asked_for_on_a_terminal_and_not_shown(
        self, shell: Shell, sandbox: Sandbox, token: AppToken
    ) -> None:
        question = f"Value of token {token.id}: "
        ended = shell.on_a_terminal(NEW, "session", token.id, answers=[(question, value_of(token))])
        assert ended.code == 0, ended
        assert value_of(token) not in ended.out
        assert sandbox.client().session_info(ended.lines[-1])

    def test_the_value_of_another_token_is_not_used(self, shell: Shell, token: AppToken) -> None:
        ended = shell.new(
            "session", token.id, KALTURA_APP_TOKEN_ID="0_other", KALTURA_APP_TOKEN="x"
        )
        assert ended.code == 2
        assert f"the value of token {token.id} is not given" in ended.err

    def test_json_tells_everything_about_it(self, shell: Shell, token: AppToken) -> None:
        ended = shell.new(
            *("session", token.id, "--format", "json", "--user", "jane", "--expiry", "10m"),
            *("--privileges", "edit:*,my-own:1"),
            KALTURA_APP_TOKEN=value_of(token),
        )
        assert ended.code == 0, ended
        session = ended.json
        assert 0 <= time.time() + 600 - session["expiry"] < 60
        assert session["expiresAt"] == time.strftime(
            "%Y-%m-%dT%H:%M:%SZ", time.gmtime(session["expiry"])
        )
        assert (session["userId"], session["droppedPrivileges"]) == ("jane", ["edit:*"])
        assert "my-own:1" in session["privileges"]
        assert "warning: the server dropped these privileges: edit:*" in ended.err

    def test_its_type_can_be_chosen_where_the_token_leaves_it_open(
        self, shell: Shell, sandbox: Sandbox
    ) -> None:
        token = sandbox.client().add_token(session_type=None, hash_type="MD5")
        words = ["session", token.id, "--type", "admin", "--hash-type", "md5", "--format", "json"]
        ended = shell.new(*words, KALTURA_APP_TOKEN=value_of(token))
        assert ended.json["sessionType"] == 2


class TestAccount:
    def test_it_can_be_given_by_options(self, bare: Shell, sandbox: Sandbox) -> None:
        path = bare.directory / "secret"
        path.write_text(sandbox.admin_secret + "\n", encoding="utf-8")
        options = ["--service-url", sandbox.service_url, "--partner-id", str(sandbox.partner_id)]
        with_file = bare.new("create", *options, "--admin-secret-file", str(path))
        assert with_file.code == 0, with_file
        secret = sandbox.admin_secret
        assert bare.new("list", *options, "--admin-secret-file", "-", stdin=secret).code == 0
        ks = sandbox.client().sign_admin_session().ks.reveal()
        assert bare.new("list", *options, "--ks-file", "-", stdin=ks).code == 0

    def test_it_can_be_given_by_a_file(self, bare: Shell, sandbox: Sandbox) -> None:
        path = write_config(bare.directory, sandbox)
        assert bare.new("list").code == 0
        path = path.rename(bare.directory / "other.json")
        assert bare.new("list").code == 2
        assert bare.new("list", "--config", str(path)).code == 0

    def test_options_come_before_the_environment_and_that_before_the_file(
        self, shell: Shell, sandbox: Sandbox
    ) -> None:
        with Sandbox() as other:
            path = write_config(shell.directory, other)
            assert shell.new("create").code == 0
            assert len(list(sandbox.client().tokens())) == 1
            assert shell.new("create", "--config", str(path)).code == 0
            assert len(list(other.client().tokens())) == 1

    def test_a_strangers_config_json_does_not_matter_to_who_needs_none(self, shell: Shell) -> None:
        (shell.directory / "config.json").write_text("not ours", encoding="utf-8")
        assert shell.new("list").code == 0

    def test_sources_are_not_mixed(self, shell: Shell, sandbox: Sandbox) -> None:
        ended = shell.new("list", "--partner-id", "7")
        assert ended.code == 2
        assert f"partner {sandbox.partner_id} in the environment" in ended.err
        assert "partner 7 in the explicit options" in ended.err

    @pytest.mark.parametrize("mode", ["signed", "signed-v1", "started"])
    def test_the_admin_session_is_made_as_asked(self, shell: Shell, mode: str) -> None:
        assert shell.new("list", "--admin-session", mode).code == 0


class TestTheCommandItself:
    def test_help_and_version(self, bare: Shell) -> None:
        for flag in ("-h", "--help"):
            ended = bare.new(flag)
            assert (ended.code, ended.err) == (0, "")
            assert all(f"\n  {name} " in ended.out for name in main.COMMANDS)
        assert bare.new("--version").out == f"kaltura-app-token {VERSION}\n"

    @pytest.mark.parametrize("name", list(main.COMMANDS))
    def test_each_command_has_a_help(self, bare: Shell, name: str) -> None:
        ended = bare.new(*name.split(), "--help")
        assert (ended.code, ended.err) == (0, "")
        assert ended.out.startswith("usage: ")

    def test_without_a_command_the_help_is_on_stderr(self, bare: Shell) -> None:
        ended = bare.new()
        assert (ended.code, ended.out) == (2, "")
        assert ended.err.startswith("usage: kaltura-app-token COMMAND")

    def test_it_is_also_a_module(self, bare: Shell) -> None:
        ended = bare.run(sys.executable, "-m", "kaltura_app_token", "--version")
        assert ended.out == f"kaltura-app-token {VERSION}\n"

    def test_the_version_is_that_of_the_native_half(self) -> None:
        from kaltura_app_token import _native

        assert _native.__version__ == VERSION

    @pytest.mark.parametrize("words", [["--list"], ["--create", "--description", "x"], ["--foo"]])
    def test_old_flags_are_not_guessed_at(self, bare: Shell, words: list[str]) -> None:
        ended = bare.new(*words)
        assert (ended.code, ended.out) == (2, "")
        assert f"unknown option: {words[0]}" in ended.err
        assert "kaltura_app_token_manager.py" in ended.err


@pytest.mark.parametrize("words", [["list"], ["get", "ID"], ["--help"]])
def test_a_closed_stdout_ends_a_command_that_only_reads_quietly(
    shell: Shell, sandbox: Sandbox, words: list[str]
) -> None:
    token = sandbox.client().add_token()
    words = [token.id if word == "ID" else word for word in words]
    ended = shell.into_a_closed_pipe(NEW, *words)
    assert (ended.code, ended.err) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_an_error_of_one_line(shell: Shell) -> None:
    assert shell.new("create").code == 0
    ended = shell.run("sh", "-c", f'"{NEW}" list > /dev/full')
    assert (ended.code, ended.err) == (
        70,
        "kaltura-app-token: error: No space left on device\n",
    )


def test_an_interrupt_ends_the_command_quietly(shell: Shell, sandbox: Sandbox) -> None:
    order_fault(sandbox, action="appToken.list", fault="latency", ms=20000)
    program = (
        "import signal, subprocess, sys, time\n"
        "process = subprocess.Popen(sys.argv[1:])\n"
        "time.sleep(1)\n"
        "process.send_signal(signal.SIGINT)\n"
        "sys.exit(process.wait(timeout=5))\n"
    )
    ended = shell.run(sys.executable, "-c", program, NEW, "list")
    assert (ended.code, ended.out, ended.err) == (130, "", "")


def test_an_encoding_that_cannot_show_a_text_is_no_obstacle(shell: Shell, sandbox: Sandbox) -> None:
    sandbox.client().add_token(description="naïve 説明")
    for output_format in ("table", "csv", "json"):
        ended = shell.new("list", "--format", output_format, PYTHONIOENCODING="ascii")
        assert ended.code == 0, ended


def test_the_clean_environment_is_clean() -> None:
    assert not any(name.startswith("KALTURA_") for name in clean_environment())


def test_nothing_is_done_for_a_stdout_that_is_closed(shell: Shell, sandbox: Sandbox) -> None:
    for words in ("create --description lost", "session 0_abcdefgh", "list"):
        ended = shell.run("sh", "-c", f"exec {NEW} {words} >&-")
        assert (ended.code, "standard output is closed" in ended.err) == (141, True), words
    assert list(sandbox.client().tokens()) == []


def test_a_stdin_that_is_closed_is_an_empty_one(shell: Shell) -> None:
    for words in ("session 0_abcdefgh --app-token-file -", "ks inspect -"):
        ended = shell.run("sh", "-c", f"exec {NEW} {words} <&-")
        assert (ended.code, "internal" in ended.err) == (2, False), ended


def test_a_service_url_by_itself_is_not_dropped_for_the_default(bare: Shell) -> None:
    ended = bare.new(
        "list",
        "--partner-id",
        "102",
        "--admin-secret",
        "x" * 32,
        KALTURA_SERVICE_URL="https://video.example",
    )
    assert ended.code == 2
    assert "the environment" in ended.err
