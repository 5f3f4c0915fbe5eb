"""Whoever creates a token is told its id, whatever happens next: an output that cannot be written,
a signal at any moment, a failure nobody foresaw. The value itself is never part of that.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from conftest import NEW, OLD, Ended, Shell, write_config
from kaltura_app_token.sandbox import Sandbox
from test_command import order_fault, value_of
from test_command_output import requests_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kaltura_app_token.model import AppToken

CREATING = [
    [NEW, "create"],
    [NEW, "create", "--quiet"],
    [NEW, "create", "--format", "json"],
    [NEW, "create", "--format", "csv"],
    [NEW, "create", "--start-session"],
    [NEW, "ensure", "--description", "mine"],
    [NEW, "ensure", "--description", "mine", "--format", "jsonl"],
    [OLD, "--create"],
    [OLD, "--create", "--start_session"],
]
CREATORS = [
    [NEW, "create", "--description", "mine"],
    [NEW, "ensure", "--description", "mine"],
    [OLD, "--description", "mine"],
]
SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]


def name_of(words: Sequence[str]) -> str:
    return " ".join([Path(words[0]).name, *words[1:]])


@pytest.fixture
def shell(shell: Shell, sandbox: Sandbox) -> Shell:
    """The shell of the new command, in a directory that serves the old one as well."""
    write_config(shell.directory, sandbox)
    return shell


def only_token(sandbox: Sandbox) -> AppToken:
    (token,) = sandbox.client().tokens(with_secrets=True)
    return token


def assert_told(ended: Ended, token: AppToken, words: Sequence[str]) -> None:
    """The id is on stderr with the way to the value, which is not."""
    assert token.id in ended.err
    way = f"kaltura-app-token get {token.id}" if words[0] == NEW else "--list --show_secrets"
    assert way in ended.err
    assert value_of(token) not in ended.err
    assert "Traceback" not in ended.err


class TestAnOutputThatIsLost:
    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
    @pytest.mark.parametrize("words", CREATING, ids=name_of)
    def test_on_a_full_disk_the_new_token_is_named_on_stderr(
        self, shell: Shell, sandbox: Sandbox, words: list[str]
    ) -> None:
        ended = shell.run("sh", "-c", '"$@" > /dev/full', "sh", *words)
        assert ended.code == 7, ended
        assert "No space left on device" in ended.err
        assert_told(ended, only_token(sandbox), words)

    @pytest.mark.parametrize("words", CREATING, ids=name_of)
    def test_in_a_closed_pipe_the_new_token_is_named_on_stderr(
        self, shell: Shell, sandbox: Sandbox, words: list[str]
    ) -> None:
        ended = shell.into_a_closed_pipe(*words)
        assert ended.code == 7, ended
        assert_told(ended, only_token(sandbox), words)

    def test_a_program_that_reads_nothing_does_not_lose_it(
        self, shell: Shell, sandbox: Sandbox
    ) -> None:
        script = '{ sleep 0.5; "$@"; echo "rc $?" >&2; } | true'
        ended = shell.run("bash", "-c", script, "sh", NEW, "create")
        assert "rc 7" in ended.err
        assert_told(ended, only_token(sandbox), [NEW])

    def test_a_token_that_was_there_before_is_not_called_new(
        self, shell: Shell, sandbox: Sandbox
    ) -> None:
        words = [NEW, "ensure", "--description", "mine"]
        assert shell.run(*words).code == 0
        ended = shell.into_a_closed_pipe(*words)
        assert ended.code == 141
        assert ended.err == f"kaltura-app-token: found {only_token(sandbox).id}\n"

    def test_the_exit_code_tells_it_where_stderr_is_lost_too(
        self, shell: Shell, sandbox: Sandbox
    ) -> None:
        ended = shell.run("sh", "-c", '"$@" > /dev/full 2>&1', "sh", NEW, "create")
        assert ended.code == 7
        only_token(sandbox)


@contextmanager
def started(shell: Shell, *words: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(  # noqa: S603
        words,
        cwd=shell.directory,
        env=shell.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def end_of(process: subprocess.Popen[str], *, within: float) -> Ended:
    out, err = process.communicate(timeout=within)
    return Ended(process.returncode, out, err)


def wait_for(sandbox: Sandbox, action: str, times: int = 1) -> None:
    """Waits until that many requests for an action have arrived."""
    deadline = time.monotonic() + 20
    while [one["action"] for one in requests_of(sandbox)].count(action) < times:
        assert time.monotonic() < deadline
        time.sleep(0.02)


class TestASignal:
    @pytest.mark.parametrize(("number", "code"), SIGNALS)
    @pytest.mark.parametrize("words", CREATORS, ids=name_of)
    def test_during_the_call_the_token_that_it_made_is_named(
        self, shell: Shell, sandbox: Sandbox, words: list[str], number: signal.Signals, code: int
    ) -> None:
        order_fault(sandbox, action="appToken.add", fault="latency", ms=20000, after=True)
        with started(shell, *words) as process:
            wait_for(sandbox, "add")
            process.send_signal(number)
            ended = end_of(process, within=10)
        assert (ended.code, ended.out) == (code, ""), ended
        assert "may" in ended.err
        assert_told(ended, only_token(sandbox), words)

    @pytest.mark.parametrize(("number", "code"), SIGNALS)
    @pytest.mark.parametrize("words", CREATORS, ids=name_of)
    def test_before_the_server_has_acted_it_is_said_that_nobody_can_tell(
        self, shell: Shell, sandbox: Sandbox, words: list[str], number: signal.Signals, code: int
    ) -> None:
        order_fault(sandbox, action="appToken.add", fault="latency", ms=20000)
        with started(shell, *words) as process:
            wait_for(sandbox, "add")
            process.send_signal(number)
            ended = end_of(process, within=10)
        assert (ended.code, ended.out) == (code, ""), ended
        assert "may have been created" in ended.err
        assert "proves nothing" in ended.err
        assert ("kaltura-app-token list" if words[0] == NEW else "--list") in ended.err

    def test_another_token_with_the_same_description_is_not_taken_for_it(
        self, shell: Shell, sandbox: Sandbox
    ) -> None:
        other = sandbox.client().add_token(description="mine", session_privileges="sview:*")
        order_fault(sandbox, action="appToken.add", fault="latency", ms=20000)
        with started(shell, NEW, "create", "--description", "mine") as process:
            wait_for(sandbox, "add")
            process.send_signal(signal.SIGINT)
            ended = end_of(process, within=10)
        assert other.id not in ended.err

    def test_the_search_for_it_ends_after_two_seconds(self, shell: Shell, sandbox: Sandbox) -> None:
        order_fault(sandbox, action="appToken.add", fault="latency", ms=20000, after=True)
        with started(shell, NEW, "create") as process:
            wait_for(sandbox, "add")
            order_fault(sandbox, action="appToken.list", fault="latency", ms=20000, times=9)
            begun = time.monotonic()
            process.send_signal(signal.SIGINT)
            ended = end_of(process, within=10)
        assert ended.code == 130
        assert 1.5 < time.monotonic() - begun < 4
        assert "may have been created" in ended.err
        assert "could not be listed" in ended.err

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_second_one_ends_the_search_at_once(
        self, shell: Shell, sandbox: Sandbox, number: signal.Signals
    ) -> None:
        order_fault(sandbox, action="appToken.add", fault="latency", ms=20000, after=True)
        with started(shell, NEW, "create") as process:
            wait_for(sandbox, "add")
            order_fault(sandbox, action="appToken.list", fault="latency", ms=20000, times=9)
            process.send_signal(number)
            time.sleep(0.7)
            begun = time.monotonic()
            process.send_signal(number)
            ended = end_of(process, within=10)
        assert time.monotonic() - begun < 0.7
        assert ended.code == -number
        assert "may have been created" in ended.err

    def test_sent_twice_at_once_is_one(self, shell: Shell, sandbox: Sandbox) -> None:
        # As `timeout` and wrappers that pass on a terminal's Ctrl-C do it.
        order_fault(sandbox, action="appToken.add", fault="latency", ms=20000, after=True)
        with started(shell, NEW, "create") as process:
            wait_for(sandbox, "add")
            for _ in range(2):
                process.send_signal(signal.SIGTERM)
                time.sleep(0.1)
            ended = end_of(process, within=10)
        assert ended.code == 143
        assert_told(ended, only_token(sandbox), [NEW])

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_during_the_second_look_of_ensure_the_token_is_named(
        self, shell: Shell, sandbox: Sandbox, number: signal.Signals
    ) -> None:
        order_fault(sandbox, action="appToken.list", fault="latency", ms=3000, skip=1)
        with started(shell, NEW, "ensure", "--description", "mine") as process:
            wait_for(sandbox, "list", 2)
            process.send_signal(number)
            ended = end_of(process, within=10)
        assert ended.code == 128 + number
        assert_told(ended, only_token(sandbox), [NEW])

    @pytest.mark.parametrize(("number", "code"), SIGNALS)
    @pytest.mark.parametrize(
        ("words", "module", "printing"),
        [
            (["create"], "tokens", "_print_token"),
            (["ensure", "--description", "mine"], "workflows", "print_token"),
            (["--create"], "legacy", "_print_details"),
        ],
    )
    def test_between_the_answer_and_the_output_the_token_is_named(
        self,
        shell: Shell,
        sandbox: Sandbox,
        words: list[str],
        module: str,
        printing: str,
        number: signal.Signals,
        code: int,
    ) -> None:
        interrupt = f"lambda *_, **__: os.kill(os.getpid(), {int(number)})"
        ended = run_with(shell, words, module, printing, interrupt)
        assert ended.code == code, ended
        assert "Traceback" not in ended.err
        assert_told(ended, only_token(sandbox), [OLD if module == "legacy" else NEW])

    def test_that_the_caller_ignores_is_ignored(self, shell: Shell, sandbox: Sandbox) -> None:
        order_fault(sandbox, action="appToken.add", fault="latency", ms=3000)
        ignoring = ("sh", "-c", 'trap "" INT TERM; exec "$@"', "sh")
        with started(shell, *ignoring, NEW, "create") as process:
            wait_for(sandbox, "add")
            process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGTERM)
            ended = end_of(process, within=10)
        assert (ended.code, ended.err) == (0, "")
        assert only_token(sandbox).id in ended.out


def run_with(shell: Shell, words: list[str], module: str, name: str, instead: str) -> Ended:
    """Runs a command in a process of its own, one of its functions replaced."""
    program = (
        "import os, sys\n"
        "from kaltura_app_token import legacy\n"
        "from kaltura_app_token.command import main, tokens, workflows\n"
        "class Panic(BaseException): pass\n"
        "def panic(*_, **__): raise Panic('a secret')\n"
        f"setattr({module}, {name!r}, {instead})\n"
        f"sys.exit({'legacy' if module == 'legacy' else 'main'}.main(sys.argv[1:]))\n"
    )
    return shell.run(sys.executable, "-c", program, *words)


def test_what_ensure_created_is_printed_although_the_second_look_fails(
    shell: Shell, sandbox: Sandbox
) -> None:
    order_fault(sandbox, action="appToken.list", fault="exception", code="X_FAILED", skip=1)
    ended = shell.new("ensure", "--description", "mine")
    assert ended.code == 0, ended
    assert f"token: {value_of(only_token(sandbox))}" in ended.lines


class TestAFailureNobodyForesaw:
    @pytest.mark.parametrize(
        ("words", "module", "printing"),
        [
            (["create"], "tokens", "_print_token"),
            (["ensure", "--description", "mine"], "workflows", "print_token"),
            (["--create"], "legacy", "_print_details"),
        ],
    )
    def test_after_the_creation_ends_with_70_and_names_the_token(
        self, shell: Shell, sandbox: Sandbox, words: list[str], module: str, printing: str
    ) -> None:
        ended = run_with(shell, words, module, printing, "panic")
        assert ended.code == 70
        assert "internal error: Panic in __main__:" in ended.err
        assert "a secret" not in ended.err
        assert_told(ended, only_token(sandbox), [OLD if module == "legacy" else NEW])

    def test_where_nothing_is_created_is_one_line(self, shell: Shell) -> None:
        ended = run_with(shell, ["list"], "tokens", "print_tokens", "panic")
        assert (ended.code, ended.out) == (70, "")
        assert ended.err == "kaltura-app-token: internal error: Panic in __main__:5\n"


def test_the_library_leaves_the_signals_of_its_host_alone(sandbox: Sandbox) -> None:
    from kaltura_app_token.command import main

    before = [signal.getsignal(number) for number, _ in SIGNALS]
    sandbox.client().add_token()
    environment = dict(os.environ)
    try:
        os.environ |= {
            "KALTURA_PARTNER_ID": str(sandbox.partner_id),
            "KALTURA_ADMIN_SECRET": sandbox.admin_secret,
            "KALTURA_SERVICE_URL": sandbox.service_url,
        }
        assert main.main(["create", "--quiet"]) == 0
    finally:
        os.environ.clear()
        os.environ |= environment
    assert [signal.getsignal(number) for number, _ in SIGNALS] == before
