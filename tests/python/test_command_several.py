"""`kaltura-app-token` with several ids, in an order, and in every format that reports."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import time
from typing import Any

import pytest
from conftest import NEW, Ended, Shell, write_config
from kaltura_app_token.sandbox import Sandbox
from test_command import account_line, control, order_fault, value_of
from test_command_creation import end_of, started, wait_for


@pytest.fixture
def three(sandbox: Sandbox) -> list[str]:
    return [sandbox.client().add_token(description=f"number {n}").id for n in range(3)]


def documents(ended: Ended, output_format: str) -> list[dict[str, Any]]:
    """The rows of a report, whatever its format."""
    if output_format == "csv":
        return list(csv.DictReader(io.StringIO(ended.out)))
    if output_format == "jsonl":
        return [json.loads(line) for line in ended.lines]
    found: list[dict[str, Any]] = ended.json
    return found


DOCUMENTS = ["csv", "json", "jsonl"]


class TestGet:
    def test_several_are_shown_one_below_the_other(self, shell: Shell, three: list[str]) -> None:
        ended = shell.new("get", *three, three[0])
        assert (ended.code, ended.err) == (0, "")
        paragraphs = ended.out.split("\n\n")
        assert [part.splitlines()[0] for part in paragraphs] == [f"id: {one}" for one in three]
        assert shell.new("get", *three, "--quiet").lines == three

    @pytest.mark.parametrize("output_format", DOCUMENTS)
    def test_one_that_is_not_there_keeps_no_other_from_being_shown(
        self, shell: Shell, three: list[str], output_format: str
    ) -> None:
        ended = shell.new("get", three[0], "0_unknown0", three[2], "--format", output_format)
        assert ended.code == 3
        rows = documents(ended, output_format)
        assert [row["id"] for row in rows] == [three[0], three[2]]
        assert {row["statusName"] for row in rows} == {"ACTIVE"}
        assert "error: 0_unknown0 is not shown: APP_TOKEN_ID_NOT_FOUND" in ended.err


class TestUpdate:
    WORDS = ("--description", "all the same")

    def test_several_need_yes_in_a_pipe(
        self, shell: Shell, sandbox: Sandbox, three: list[str]
    ) -> None:
        refused = shell.new("update", *three, *self.WORDS)
        assert (refused.code, refused.out) == (2, "")
        assert "--yes" in refused.err
        assert "all the same" not in str(descriptions(sandbox))
        ended = shell.new("update", *three, *self.WORDS, "--yes", "--quiet")
        assert (ended.code, ended.lines) == (0, three)
        assert descriptions(sandbox) == {"all the same"}

    @pytest.mark.parametrize(("answer", "code"), [("y", 0), ("", 130)])
    def test_several_are_asked_for_on_a_terminal(
        self, shell: Shell, sandbox: Sandbox, three: list[str], answer: str, code: int
    ) -> None:
        question = f"Change 3 tokens: {', '.join(three)}? [y/N]"
        words = ["update", *three, *self.WORDS]
        ended = shell.on_a_terminal(NEW, *words, answers=[(question, answer)])
        assert ended.code == code, ended
        assert (descriptions(sandbox) == {"all the same"}) is (answer == "y")

    @pytest.mark.parametrize("output_format", DOCUMENTS)
    def test_a_failure_of_one_goes_on_and_what_was_changed_is_told(
        self, shell: Shell, three: list[str], output_format: str
    ) -> None:
        words = ["update", three[0], "0_unknown0", three[2], *self.WORDS, "--yes"]
        ended = shell.new(*words, "--format", output_format)
        assert ended.code == 3
        rows = documents(ended, output_format)
        assert [row["id"] for row in rows] == [three[0], three[2]]
        assert "error: 0_unknown0 was not changed: APP_TOKEN_ID_NOT_FOUND" in ended.err

    @pytest.mark.parametrize("ids", [["0_a", " "], ["0_a", ""]])
    def test_an_empty_id_among_them_changes_nothing(self, shell: Shell, ids: list[str]) -> None:
        for words in (["update", *ids, *self.WORDS], ["delete", *ids], ["revoke", *ids]):
            ended = shell.new(*words, "--yes")
            assert (ended.code, "one of the ids is empty" in ended.err) == (2, True), ended

    def test_requests_that_are_shown_are_one_document(self, shell: Shell) -> None:
        for words in (["update", "0_a", "0_b", *self.WORDS], ["delete", "0_a", "0_b"]):
            shown = shell.new(*words, "--dry-run", "--format", "json").json
            assert [request["parameters"]["id"] for request in shown] == ["0_a", "0_b"]
            rows = documents(shell.new(*words, "--dry-run", "--format", "csv"), "csv")
            ids = [(row["request"], row["value"]) for row in rows if row["name"] == "id"]
            assert ids == [("1", "0_a"), ("2", "0_b")]


def descriptions(sandbox: Sandbox) -> set[str | None]:
    return {token.description for token in sandbox.client().tokens()}


class TestReports:
    @pytest.mark.parametrize("output_format", DOCUMENTS)
    @pytest.mark.parametrize(("command", "word"), [("delete", "deleted"), ("revoke", "revoked")])
    def test_what_is_gone_and_what_is_not(
        self, shell: Shell, three: list[str], command: str, word: str, output_format: str
    ) -> None:
        words = [command, *three, "0_unknown0", "--yes", "--format", output_format]
        ended = shell.new(*words)
        assert ended.code == 3
        rows = {row["id"]: row for row in documents(ended, output_format)}
        assert set(rows) == {*three, "0_unknown0"}
        assert all(str(rows[one][word]) == "True" for one in three)
        assert str(rows["0_unknown0"][word]) == "False"
        assert rows["0_unknown0"]["error"]

    @pytest.mark.parametrize("output_format", ["table", *DOCUMENTS])
    def test_what_would_be_revoked(
        self, shell: Shell, three: list[str], output_format: str
    ) -> None:
        ended = shell.new("revoke", *three, "--dry-run", "--format", output_format)
        assert (ended.code, ended.err) == (0, "")
        if output_format == "table":
            assert {line.split()[0] for line in ended.lines} == {"ID", *three}
        else:
            assert {row["id"] for row in documents(ended, output_format)} == set(three)

    def test_without_a_connection_the_others_are_not_tried(
        self, shell: Shell, three: list[str]
    ) -> None:
        nowhere = {"KALTURA_SERVICE_URL": "http://127.0.0.1:9"}
        ended = shell.new("delete", *three, "--yes", "--max-retries", "0", **nowhere)
        assert ended.code == 4
        assert f"error: {three[0]} was not deleted" in ended.err
        assert f"not tried: {three[1]}, {three[2]}\n" in ended.err

    def test_an_interrupt_tells_what_is_done_and_what_is_not(
        self, shell: Shell, sandbox: Sandbox, three: list[str]
    ) -> None:
        import signal

        order_fault(sandbox, action="appToken.delete", fault="latency", ms=20000, skip=1)
        words = [NEW, "delete", *three, "--yes", "--format", "json"]
        with started(shell, *words) as process:
            wait_for(sandbox, "delete", 2)
            process.send_signal(signal.SIGINT)
            ended = end_of(process, within=10)
        assert ended.code == 130
        assert [row["id"] for row in ended.json] == [three[0]]
        assert f"interrupted: {three[1]} may be deleted; not tried: {three[2]}" in ended.err

    @pytest.mark.parametrize(
        "words",
        [
            ["create"],
            ["ensure", "--description", "x"],
            ["list"],
            ["get", "0_a"],
            ["update", "0_a", "--description", "x"],
            ["delete", "0_a"],
            ["revoke", "0_a"],
            ["audit"],
        ],
        ids=lambda words: words[0],
    )
    def test_quiet_and_a_format_are_an_error_that_names_both(
        self, bare: Shell, words: list[str]
    ) -> None:
        for output_format in ("table", "json"):
            ended = bare.new(*words, "--quiet", "--format", output_format)
            assert (ended.code, ended.out) == (2, "")
            first = ended.err.splitlines()[0]
            assert "--quiet" in first
            assert "--format" in first


class TestTheAccountActedOn:
    def test_is_said_before_something_is_changed(
        self, shell: Shell, sandbox: Sandbox, three: list[str]
    ) -> None:
        for words in (
            ["update", three[0], "--description", "x"],
            ["rotate", three[0], "-o", "f", "--journal", "j"],
            ["delete", three[0]],
            ["revoke", three[1], "--yes"],
        ):
            ended = shell.new(*words)
            assert ended.code == 0, ended
            assert ended.err.splitlines().count(account_line(sandbox)) == 1, words

    def test_is_said_once_where_the_command_line_names_the_place(
        self, shell: Shell, sandbox: Sandbox, three: list[str]
    ) -> None:
        path = write_config(shell.directory, sandbox).rename(shell.directory / "other.json")
        ended = shell.new("delete", three[0], "--config", str(path))
        assert ended.err.count(sandbox.service_url) == 1
        assert str(path) in ended.err

    def test_is_not_said_where_nothing_is_changed(self, shell: Shell, three: list[str]) -> None:
        for words in (["list"], ["get", three[0]], ["delete", three[0], "--dry-run"]):
            assert shell.new(*words).err == ""


class TestList:
    @pytest.fixture
    def rows(self, sandbox: Sandbox) -> None:
        common = {"partnerId": sandbox.partner_id, "status": 2, "hashType": "SHA256"}
        rows = [
            {"id": f"0_{letter * 8}", "createdAt": created, "updatedAt": updated}
            for letter, created, updated in (
                ("a", 1500000000, 1900000000),
                ("b", 1600000000, 1700000000),
                ("c", 1600000001, 1800000000),
                ("d", 1700000000, 1700000000),
            )
        ]
        for row, description in zip(rows, ("Nightly Export", "player", "export", ""), strict=True):
            row["description"] = description
        control(
            sandbox,
            f"partners/{sandbox.partner_id}/tokens",
            [{"token": "0" * 32} | common | row for row in rows],
        )

    @pytest.mark.usefixtures("rows")
    @pytest.mark.parametrize(
        ("words", "found"),
        [
            (["--description", "EXPORT"], "ac"),
            (["--description", "nightly e"], "a"),
            (["--description", "nothing"], ""),
            (["--limit", "3"], "abc"),
            (["--limit", "9"], "abcd"),
            (["--newest-first"], "dcba"),
            (["--newest-first", "--limit", "1"], "d"),
            (["--newest-first", "--limit", "9"], "dcba"),
            (["--newest-first", "--description", "export", "--limit", "1"], "c"),
            (["--newest-first", "--hash-type", "SHA256", "--limit", "1"], "d"),
            (["--order-by=-createdAt"], "dcba"),
            (["--order-by=+createdAt"], "abcd"),
            (["--order-by=+updatedAt"], "bdca"),
            (["--order-by=-updatedAt", "--limit", "2"], "ac"),
        ],
        ids=lambda words: " ".join(words),
    )
    def test_order_and_number(self, shell: Shell, words: list[str], found: str) -> None:
        ended = shell.new("list", "--quiet", *words)
        assert (ended.code, ended.err) == (0, "")
        assert ended.lines == [f"0_{letter * 8}" for letter in found]

    def test_another_order_holds_over_several_pages(self, shell: Shell, sandbox: Sandbox) -> None:
        client = sandbox.client()
        for _ in range(520):
            client.add_token()
        forwards = shell.new("list", "--quiet").lines
        assert len(forwards) == 520
        assert shell.new("list", "--quiet", "--newest-first").lines == forwards[::-1]
        assert len(shell.new("list", "--quiet", "--limit", "510").lines) == 510

    @pytest.mark.parametrize(
        ("words", "complaint"),
        [
            (["--limit", "0"], "--limit"),
            (["--description", ""], "is empty"),
            (["--description", "x", "--page-size", "3"], "--description is for all tokens"),
            (["--limit", "3", "--page-index", "2"], "--limit is for all tokens"),
            (["--newest-first", "--order-by=+createdAt"], "not allowed with"),
        ],
    )
    def test_what_cannot_be_meant_is_refused(
        self, shell: Shell, words: list[str], complaint: str
    ) -> None:
        ended = shell.new("list", *words)
        assert (ended.code, ended.out) == (2, "")
        assert complaint in ended.err

    def test_an_empty_list_says_so_on_a_terminal(self, shell: Shell) -> None:
        ended = shell.on_a_terminal(NEW, "list")
        assert ended.lines == ["kaltura-app-token: the account has no token"]
        ended = shell.on_a_terminal(NEW, "list", "--description", "x")
        assert ended.lines == ["kaltura-app-token: no token is like that"]
        assert shell.new("list").err == ""

    @pytest.mark.parametrize("columns", [8, 20, 40, 80, 200])
    def test_neither_a_secret_nor_an_id_is_wrapped(
        self, shell: Shell, sandbox: Sandbox, columns: int
    ) -> None:
        tokens = [sandbox.client().add_token(description="long " * 20) for _ in range(2)]
        words = ["list", "--show-secrets"]
        ended = shell.on_a_terminal(NEW, *words, columns=columns)
        for token in tokens:
            assert any(token.id in line and value_of(token) in line for line in ended.lines)


def test_numbers_have_their_names_beside_them(shell: Shell, sandbox: Sandbox) -> None:
    token = sandbox.client().add_token(session_type="ADMIN", expiry=1893456000)
    document = shell.new("get", token.id, "--format", "json").json
    (row,) = documents(shell.new("get", token.id, "--format", "csv"), "csv")
    for names in (document, row):
        assert (str(names["status"]), names["statusName"]) == ("2", "ACTIVE")
        assert (str(names["sessionType"]), names["sessionTypeName"]) == ("2", "ADMIN")
        assert names["expiresAt"] == "2030-01-01T00:00:00Z"
        assert str(names["expiry"]) == "1893456000"
    session = shell.new("create", "--start-session", "--format", "json").json["session"]
    assert (session["sessionType"], session["sessionTypeName"]) == (0, "USER")
    open_type = sandbox.client().add_token(session_type=None)
    assert shell.new("get", open_type.id, "--format", "json").json["sessionTypeName"] is None
    (created,) = documents(shell.new("ensure", "--description", "new", "--format", "csv"), "csv")
    assert created["created"] == "True"


def test_a_second_ctrl_c_ends_a_command_without_a_trace(shell: Shell, sandbox: Sandbox) -> None:
    import signal

    order_fault(sandbox, action="appToken.list", fault="latency", ms=20000)
    for pause in (0.0, 0.02, 0.3):
        with started(shell, NEW, "list") as process:
            wait_for(sandbox, "list")
            process.send_signal(signal.SIGINT)
            time.sleep(pause)
            process.send_signal(signal.SIGINT)
            try:
                ended = end_of(process, within=10)
            except subprocess.TimeoutExpired:
                pytest.fail("the command did not end")
        assert ended.code in (130, -signal.SIGINT), ended
        assert ended.err == ""
        control(sandbox, "reset", {})
        order_fault(sandbox, action="appToken.list", fault="latency", ms=20000)
