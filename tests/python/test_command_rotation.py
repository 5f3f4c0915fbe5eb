"""What `kaltura-app-token rotate` says when it does not come to its end: which tokens there are,
why, and the commands that go on. The commands are run as they are printed.
"""

from __future__ import annotations

import csv
import io
import json
import os
import shlex
import signal
import time
from pathlib import Path

import pytest
from conftest import NEW, Ended, Shell, account_of
from kaltura_app_token.model import AppToken
from kaltura_app_token.sandbox import Sandbox
from test_command import control, order_fault
from test_command_creation import SIGNALS, end_of, started, wait_for
from test_command_workflows import after, assert_silent, ids, literally, surroundings

# A file-size limit stands for a disk that is full at one moment.
_LIMITED = """
import os, resource, sys
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.fixture
def shell(tmp_path: Path, sandbox: Sandbox) -> Shell:
    return Shell(tmp_path, surroundings(tmp_path) | account_of(sandbox))


@pytest.fixture
def old(sandbox: Sandbox) -> AppToken:
    return sandbox.client().add_token(description="mine", session_privileges="sview:*")


class TestASignal:
    @pytest.mark.parametrize(("number", "code"), SIGNALS)
    def test_names_the_tokens_and_the_command_that_goes_on(
        self, shell: Shell, sandbox: Sandbox, old: AppToken, number: signal.Signals, code: int
    ) -> None:
        order_fault(sandbox, action="appToken.startSession", fault="latency", ms=20000)
        with started(shell, NEW, "rotate", old.id, "-o", "token.json") as process:
            wait_for(sandbox, "startSession")
            process.send_signal(number)
            ended = end_of(process, within=10)
        assert (ended.code, ended.out) == (code, ""), ended
        (new_id,) = ids(sandbox) - {old.id}
        assert f"in the journal: {old.id} -> {new_id}\n" in ended.err
        assert_silent(ended, sandbox)
        resumed = literally(shell, after(ended.err, "go on with: "))
        assert resumed.code == 0, resumed
        assert json.loads((shell.directory / "token.json").read_text())["id"] == new_id

    def test_sent_twice_ends_it_at_once_and_says_the_same(
        self, shell: Shell, old: AppToken
    ) -> None:
        # What took the token does not care, and holds up the first one.
        program = "trap '' INT; cat > got; touch ready; sleep 3"
        words = [NEW, "rotate", old.id, "--", "sh", "-c", program]
        with started(shell, *words) as process:
            until = time.monotonic() + 20
            while not (shell.directory / "ready").exists():
                assert time.monotonic() < until
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            time.sleep(0.5)
            process.send_signal(signal.SIGINT)
            ended = end_of(process, within=10)
        assert ended.code in (130, -signal.SIGINT)
        assert "Traceback" not in ended.err
        assert old.id in after(ended.err, "what was begun is in the journal")
        assert after(ended.err, "go on with: ").startswith("kaltura-app-token rotate --resume ")

    def test_that_the_caller_ignores_is_ignored(
        self, shell: Shell, sandbox: Sandbox, old: AppToken
    ) -> None:
        order_fault(sandbox, action="appToken.startSession", fault="latency", ms=1500)
        ignoring = ("sh", "-c", 'trap "" INT TERM; exec "$@"', "sh")
        with started(shell, *ignoring, NEW, "rotate", old.id, "-o", "t") as process:
            wait_for(sandbox, "startSession")
            for number in (signal.SIGINT, signal.SIGTERM):
                process.send_signal(number)
            ended = end_of(process, within=20)
        assert ended.code == 0, ended


class TestAFailure:
    def test_that_many_share_is_said_once_with_their_ids(
        self, shell: Shell, sandbox: Sandbox
    ) -> None:
        old = [sandbox.client().add_token(description=str(n)).id for n in range(30)]
        order_fault(
            sandbox, action="appToken.startSession", fault="exception", code="X_NO", times=30
        )
        ended = shell.new("rotate", *old, "-o", "t-{id}")
        assert ended.code == 3, ended
        assert ended.err.count("X_NO") == 1
        assert "error: 30 tokens were not replaced: X_NO" in ended.err
        assert after(ended.err, "ID is: ").split(", ") == old
        assert len(ended.err.splitlines()) < 12, ended.err

    def test_names_the_new_tokens_that_are_there(self, shell: Shell, sandbox: Sandbox) -> None:
        old = [sandbox.client().add_token(description=str(n)).id for n in range(3)]
        order_fault(sandbox, action="appToken.startSession", fault="status", status=403, times=99)
        ended = shell.new("rotate", *old, "-o", "t-{id}")
        assert ended.code == 4
        pairs = [pair.split(" -> ") for pair in after(ended.err, "ID is: ").split(", ")]
        assert {first for first, _ in pairs} == set(old)
        assert {second for _, second in pairs} == ids(sandbox) - set(old)
        assert ended.err.count("finish with: ") == ended.err.count("or undo with: ") == 1

    @pytest.mark.parametrize("output_format", ["text", "csv", "json", "jsonl"])
    def test_of_a_proof_names_the_way_back(
        self, shell: Shell, sandbox: Sandbox, old: AppToken, output_format: str
    ) -> None:
        order_fault(sandbox, action="appToken.startSession", fault="status", status=403)
        words = ["rotate", old.id, "-o", "token.json", "--format", output_format]
        ended = shell.new(*words)
        assert ended.code == 4
        assert len(ids(sandbox)) == 2
        if output_format == "text":
            undo = after(ended.err, "or undo with: ")
        elif output_format == "csv":
            (row,) = csv.DictReader(io.StringIO(ended.out))
            undo = row["undo"]
        else:
            undo = shlex.join((ended.json if output_format == "jsonl" else ended.json[0])["undo"])
        undone = literally(shell, undo)
        assert undone.code == 0, undone
        assert ids(sandbox) == {old.id}

    def test_that_is_no_mistake_of_the_caller_has_the_code_of_a_proof(
        self, shell: Shell, sandbox: Sandbox, old: AppToken
    ) -> None:
        # By the time of the exchange the new token's sessions have no life left.
        order_fault(sandbox, action="appToken.startSession", fault="latency", ms=1500)
        with started(shell, NEW, "rotate", old.id, "-o", "token.json") as process:
            wait_for(sandbox, "startSession")
            (new_id,) = ids(sandbox) - {old.id}
            patch(sandbox, f"tokens/{new_id}", {"sessionDuration": None})
            ended = end_of(process, within=20)
        assert "dead at birth" in ended.err
        assert ended.code == 8, ended
        assert "or undo with: " in ended.err

    def test_to_write_the_last_line_is_not_called_a_failure_to_delete(
        self, shell: Shell, sandbox: Sandbox, old: AppToken
    ) -> None:
        # As long as the other's: ids and times have one length.
        words = ["--delete-now", "-o", "token.json"]
        assert shell.new("rotate", old.id, *words, "--journal", "first").code == 0
        length = (shell.directory / "first").stat().st_size
        (shell.directory / "token.json").unlink()
        (token_id,) = ids(sandbox)
        ended = limited(shell, length - 1, "rotate", token_id, *words, "--journal", "second")
        assert ended.code == 7, ended
        (new_id,) = ids(sandbox)
        assert new_id != token_id
        assert "was not deleted" not in ended.err
        assert f"{token_id} is replaced by {new_id} and deleted, but the journal" in ended.err
        assert literally(shell, after(ended.err, "finish with: ")).code == 0
        assert ids(sandbox) == {new_id}

    def test_to_delete_that_nobody_asked_for_is_not_said(
        self, shell: Shell, sandbox: Sandbox, old: AppToken
    ) -> None:
        assert shell.new("rotate", old.id, "-o", "token.json", "--journal", "first").code == 0
        length = (shell.directory / "first").stat().st_size
        (shell.directory / "token.json").unlink()
        again = ["rotate", old.id, "-o", "token.json", "--journal", "second"]
        ended = limited(shell, length - 1, *again)
        assert ended.code == 7, ended
        assert "was not deleted" not in ended.err
        assert "but the rotation is not ended" in ended.err


def limited(shell: Shell, length: int, *words: str) -> Ended:
    import sys

    return shell.run(sys.executable, "-c", _LIMITED, str(length), NEW, *words)


def patch(sandbox: Sandbox, path: str, body: object) -> None:
    from urllib.request import ProxyHandler, Request, build_opener

    url = sandbox.service_url.removesuffix("/api_v3") + f"/_sandbox/{path}"
    order = Request(  # noqa: S310
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}, method="PATCH"
    )
    with build_opener(ProxyHandler({})).open(order, timeout=10) as answer:
        answer.read()


def test_a_fifo_is_no_file_for_a_token_or_a_journal(
    shell: Shell, sandbox: Sandbox, old: AppToken
) -> None:
    os.mkfifo(shell.directory / "fifo")
    for words in (["-o", "fifo"], ["-o", "fifo", "--force"], ["--journal", "fifo"]):
        ended = shell.new("rotate", old.id, *words)
        assert (ended.code, ended.out) == (2, ""), ended
        assert "not a regular file" in ended.err
    assert ids(sandbox) == {old.id}


def test_a_report_as_csv_says_what_came_of_each(
    shell: Shell, sandbox: Sandbox, old: AppToken
) -> None:
    ended = shell.new("rotate", old.id, "0_unknown0", "-o", "{id}.json", "--format", "csv")
    assert ended.code == 3
    first, second = csv.DictReader(io.StringIO(ended.out))
    assert (first["oldId"], first["state"], first["error"]) == (old.id, "done", "")
    assert (second["oldId"], "NOT_FOUND" in second["error"]) == ("0_unknown0", True)
    control(sandbox, "reset", {})
