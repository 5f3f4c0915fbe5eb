"""`kaltura-app-token`: requests that are shown in place of being sent; progress on terminals."""

from __future__ import annotations

import csv
import io
import sys
from typing import Any

import pytest
from conftest import NEW, Shell
from kaltura_app_token.command.output import text
from kaltura_app_token.sandbox import Sandbox
from test_command import order_fault


def requests_of(sandbox: Sandbox) -> list[dict[str, Any]]:
    """What arrived at the sandbox."""
    return [dict(request) for request in sandbox.requests()]


class TestDryRun:
    def test_create_shows_the_request(self, shell: Shell, sandbox: Sandbox) -> None:
        ended = shell.new("create", "--dry-run", "--description", "x", "--session-duration", "1h")
        assert (ended.code, ended.err) == (0, "")
        url = f"{sandbox.service_url}/service/appToken/action/add"
        assert ended.lines[0] == f"appToken.add: POST {url}"
        assert ended.lines[-1] == "  ks=****"
        assert {
            "  appToken[description]=x",
            "  appToken[hashType]=SHA256",
            "  appToken[sessionType]=0",
            "  appToken[sessionDuration]=3600",
        } <= set(ended.lines)

    def test_update_shows_what_changes_alone(self, shell: Shell, sandbox: Sandbox) -> None:
        words = ["update", "0_a", "--dry-run", "--privileges", "list:*", "--clear", "expiry"]
        document = shell.new(*words, "--format", "json").json
        assert document["request"] == "appToken.update"
        assert document["url"] == f"{sandbox.service_url}/service/appToken/action/update"
        assert document["parameters"]["id"] == "0_a"
        assert document["parameters"]["appToken[sessionPrivileges]"] == "list:*"
        assert "appToken[expiry__null]" in document["parameters"]
        assert "appToken[description]" not in document["parameters"]
        assert len(shell.new(*words, "--format", "jsonl").lines) == 1
        rows = list(csv.reader(io.StringIO(shell.new(*words, "--format", "csv").out)))
        assert rows[0] == ["name", "value"]
        assert ["ks", "****"] in rows

    def test_delete_shows_each_request_and_does_not_ask(self, shell: Shell) -> None:
        ended = shell.new("delete", "--dry-run", "0_a", "0_b")
        assert (ended.code, ended.err) == (0, "")
        assert [line for line in ended.lines if "id=" in line] == ["  id=0_a", "  id=0_b"]

    @pytest.mark.parametrize("mode", ["signed", "started"])
    def test_nothing_is_sent(self, shell: Shell, sandbox: Sandbox, mode: str) -> None:
        for words in (["create"], ["update", "0_a", "--description", "x"], ["delete", "0_a"]):
            ended = shell.new(*words, "--dry-run", "--admin-session", mode)
            assert ended.code == 0, ended
            assert sandbox.admin_secret not in ended.out
        assert requests_of(sandbox) == []

    @pytest.mark.parametrize(
        "words",
        [
            ["create", "--session-duration", "0"],
            ["create", "--expiry", "0"],
            ["create", "--privileges", "_e:1"],
            ["update", "0_a"],
            ["update", " ", "--description", "x"],
            ["update", "0_a", "--expiry", "5"],
        ],
        ids=" ".join,
    )
    def test_what_cannot_be_sent_is_refused_alike(
        self, shell: Shell, sandbox: Sandbox, words: list[str]
    ) -> None:
        really, shown = shell.new(*words), shell.new(*words, "--dry-run")
        assert (shown.code, shown.out, shown.err) == (2, "", really.err)
        assert requests_of(sandbox) == []


class TestProgress:
    # What a slow server's listing looks like, without one.
    SLOW = """
import sys, time
from kaltura_app_token.command.output import progress
progress._PROGRESS_AFTER = 0
progress._PROGRESS_EVERY = 0
streamed = sys.argv[1] == "streamed"
for item in progress.with_progress(range(3), "tokens", streamed=streamed):
    pass
print("done")
"""

    def test_it_counts_and_leaves_no_trace(self, bare: Shell) -> None:
        ended = bare.on_a_terminal(sys.executable, "-c", self.SLOW, "collected")
        counted = "".join(f"\r{number} tokens ..." for number in (1, 2, 3))
        assert ended.out == f"{counted}\r{' ' * 12}\rdone\n"

    def test_it_does_not_disturb_what_can_be_seen_to_come(self, bare: Shell) -> None:
        assert bare.on_a_terminal(sys.executable, "-c", self.SLOW, "streamed").out == "done\n"

    def test_it_is_for_terminals(self, bare: Shell) -> None:
        ended = bare.run(sys.executable, "-c", self.SLOW, "collected")
        assert (ended.out, ended.err) == ("done\n", "")

    def test_a_listing_that_takes_long_has_it(self, shell: Shell, sandbox: Sandbox) -> None:
        sandbox.client().add_token()
        order_fault(sandbox, action="appToken.list", fault="latency", ms=700)
        ended = shell.on_a_terminal("sh", "-c", f'"{NEW}" list --format csv > out')
        assert ended.out == f"\r1 tokens ...\r{' ' * 12}\r"
        assert len((shell.directory / "out").read_text().splitlines()) == 2

    def test_a_quick_listing_has_none(self, shell: Shell, sandbox: Sandbox) -> None:
        token = sandbox.client().add_token()
        assert shell.on_a_terminal(NEW, "list", "--quiet").out == f"{token.id}\n"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 seconds"),
        (1, "1 second"),
        (61, "1 minute 1 second"),
        (3600, "1 hour"),
        (3601, "1 hour"),
        (86399, "23 hours 59 minutes"),
        (864000, "10 days"),
    ],
)
def test_spans_of_time_in_words(seconds: int, words: str) -> None:
    assert text.span(seconds) == words
