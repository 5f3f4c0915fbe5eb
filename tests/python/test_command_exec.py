"""`kaltura-app-token session` and `exec`: in which forms a session is handed over, what a program
that is run with one sees, and how that ends.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import NEW, Ended, Shell
from kaltura_app_token.model import AppToken
from kaltura_app_token.sandbox import Sandbox
from test_command import order_fault
from test_command_output import requests_of

SEE = "import json, os, sys; print(json.dumps([sys.argv[1:], dict(os.environ)]))"


@pytest.fixture
def token(sandbox: Sandbox) -> AppToken:
    return sandbox.client().add_token(session_privileges="sview:*")


@pytest.fixture
def exchange(token: AppToken) -> dict[str, str]:
    """The environment that names the token."""
    assert token.token is not None
    return {"KALTURA_APP_TOKEN_ID": token.id, "KALTURA_APP_TOKEN": token.token.reveal()}


def run(shell: Shell, exchange: dict[str, str], *program: str, **environment: str) -> Ended:
    return shell.new("exec", "--", *program, **(exchange | environment))


def test_the_program_has_a_session_and_its_account(
    shell: Shell, sandbox: Sandbox, exchange: dict[str, str]
) -> None:
    ended = run(shell, exchange, sys.executable, "-c", SEE, "--format", "a b", "--")
    assert (ended.code, ended.err) == (0, "")
    words, environment = ended.json
    assert words == ["--format", "a b", "--"]
    info = sandbox.client().session_info(environment["KALTURA_KS"])
    assert f"apptoken:{exchange['KALTURA_APP_TOKEN_ID']}" in (info.privileges or "")
    assert environment["KALTURA_PARTNER_ID"] == str(sandbox.partner_id)
    assert environment["KALTURA_SERVICE_URL"] == sandbox.service_url


def test_the_program_has_none_of_the_secrets(
    shell: Shell, sandbox: Sandbox, exchange: dict[str, str]
) -> None:
    value = exchange["KALTURA_APP_TOKEN"]
    aliases = {"KALTURA_TOKEN": value, "TOKEN": value, "TOKEN_ID": "x", "KALTURA_KS": ""}
    ended = run(shell, exchange, sys.executable, "-c", SEE, **aliases)
    assert ended.code == 0, ended
    assert value not in ended.out
    assert sandbox.admin_secret not in ended.out


def test_a_token_of_somebody_else_is_left_alone(shell: Shell, exchange: dict[str, str]) -> None:
    _, environment = run(shell, exchange, sys.executable, "-c", SEE, TOKEN="other").json
    assert environment["TOKEN"] == "other"


def test_a_value_on_our_command_line_is_not_on_the_programs(shell: Shell, token: AppToken) -> None:
    assert token.token is not None
    value = token.token.reveal()
    program = "print(open('/proc/self/cmdline').read()); print(open('/proc/self/environ').read())"
    words = ["exec", token.id, "--app-token", value, "--", sys.executable, "-c", program]
    ended = shell.new(*words)
    assert ended.code == 0, ended
    assert "KALTURA_KS=" in ended.out
    assert value not in ended.out + ended.err
    assert "warning: --app-token: a command line can be read" in ended.err


def test_a_session_is_asked_for_as_by_the_command_session(
    shell: Shell, sandbox: Sandbox, exchange: dict[str, str]
) -> None:
    program = [sys.executable, "-c", SEE]
    words = [
        "exec",
        "--user",
        "jane",
        "--duration",
        "10m",
        "--privileges",
        "edit:*",
        "--",
        *program,
    ]
    ended = shell.new(*words, **exchange)
    info = sandbox.client().session_info(json.loads(ended.out)[1]["KALTURA_KS"])
    assert info.user_id == "jane"
    assert info.expiry is not None
    assert 0 <= time.time() + 600 - info.expiry < 60
    assert "the server dropped these privileges: edit:*" in ended.err


def test_the_exit_code_is_the_programs(shell: Shell, exchange: dict[str, str]) -> None:
    assert run(shell, exchange, "sh", "-c", "exit 7").code == 7
    assert run(shell, exchange, "sh", "-c", "kill -TERM $$").code == -signal.SIGTERM


def test_a_signal_reaches_the_program(shell: Shell, exchange: dict[str, str]) -> None:
    script = "trap 'echo caught; exit 5' TERM; echo ready; while :; do sleep 0.02; done"
    with subprocess.Popen(  # noqa: S603
        [NEW, "exec", "--", "sh", "-c", script],
        env=shell.environment | exchange,
        cwd=shell.directory,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == "caught\n"
        assert process.wait(timeout=10) == 5


def test_a_broken_pipe_ends_the_program_as_from_a_shell(
    shell: Shell, exchange: dict[str, str]
) -> None:
    # Python ignores SIGPIPE, and a program that inherits that writes for ever.
    ended = run(shell, exchange, "sh", "-c", "yes | head -1; echo done")
    assert (ended.lines, ended.err) == (["y", "done"], "")


@pytest.mark.parametrize(
    ("program", "code", "complaint"),
    [
        (["no-such-program"], 127, "no-such-program: No such file or directory"),
        (["/no/such/program"], 127, "/no/such/program: No such file or directory"),
        (["/"], 126, "/: Permission denied"),
        ([], 2, "no program is named"),
    ],
)
def test_a_program_that_cannot_be_run_is_an_error(
    shell: Shell, exchange: dict[str, str], program: list[str], code: int, complaint: str
) -> None:
    ended = run(shell, exchange, *program)
    assert (ended.code, ended.out) == (code, "")
    assert f"error: {complaint}" in ended.err


def test_nothing_is_run_without_a_session(shell: Shell, exchange: dict[str, str]) -> None:
    ended = run(shell, exchange, "echo", "ran", KALTURA_APP_TOKEN="wrong")
    assert (ended.code, ended.out) == (3, "")
    assert "INVALID_APP_TOKEN_HASH" in ended.err


def test_files_and_directories_of_secrets(
    shell: Shell, sandbox: Sandbox, exchange: dict[str, str], tmp_path: Path
) -> None:
    """What names a file of ours is not passed on; a directory of the program's own secrets is."""
    path = tmp_path / "value"
    path.write_text(exchange.pop("KALTURA_APP_TOKEN"), encoding="utf-8")
    secret = tmp_path / "secret"
    secret.write_text(sandbox.admin_secret, encoding="utf-8")
    del shell.environment["KALTURA_ADMIN_SECRET"]
    files = {"KALTURA_APP_TOKEN_FILE": str(path), "KALTURA_ADMIN_SECRET_FILE": str(secret)}
    directory = {"CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")}
    _, seen = run(shell, exchange, sys.executable, "-c", SEE, **files, **directory).json
    assert not files.keys() & seen.keys()
    assert seen["CREDENTIALS_DIRECTORY"] == directory["CREDENTIALS_DIRECTORY"]


def test_a_program_starts_with_signals_and_files_as_from_a_shell(
    shell: Shell, exchange: dict[str, str]
) -> None:
    script = "grep -E '^Sig(Blk|Ign)' /proc/self/status; ls /proc/self/fd"
    plain = shell.run("sh", "-c", script)
    assert run(shell, exchange, "sh", "-c", script).lines == plain.lines


def test_an_interrupt_before_the_program_runs_ends_it_all(
    shell: Shell, sandbox: Sandbox, exchange: dict[str, str]
) -> None:
    order_fault(sandbox, action="appToken.startSession", fault="latency", ms=20_000)
    with subprocess.Popen(  # noqa: S603
        [NEW, "exec", "--", "echo", "ran"],
        env=shell.environment | exchange,
        cwd=shell.directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + 10
        while not any(one["action"] == "startSession" for one in requests_of(sandbox)):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (130, "", "")


class TestFormats:
    """In which forms `session` prints what it was given."""

    def test_env_is_for_a_shell(self, shell: Shell, exchange: dict[str, str]) -> None:
        script = (
            f'eval "$({NEW} session --format env)"; '
            'printf "%s\\n" "$KALTURA_KS" "$KALTURA_PARTNER_ID" "$KALTURA_SERVICE_URL"'
        )
        names = ("KALTURA_PARTNER_ID", "KALTURA_SERVICE_URL")
        ended = shell.run("sh", "-c", script, **exchange)
        ks, *account = ended.lines
        assert account == [shell.environment[name] for name in names]
        assert shell.new("ks", "inspect", "-", "--online", stdin=ks).code == 0

    def test_env_is_for_files_that_know_no_quotes(
        self, shell: Shell, exchange: dict[str, str]
    ) -> None:
        ended = shell.new("session", "--format", "env", **exchange)
        assert len(ended.lines) == 3
        for line in ended.lines:
            assert re.fullmatch(r"KALTURA_[A-Z_]+=[A-Za-z0-9_.~:/%@=+\[\]-]+", line)

    def test_headers_are_an_object_for_programs_that_ask_for_them(
        self, shell: Shell, exchange: dict[str, str]
    ) -> None:
        ended = shell.new("session", "--format", "headers", **exchange)
        assert (ended.code, len(ended.lines)) == (0, 1)
        scheme, ks = ended.json.pop("Authorization").split(" ")
        assert scheme == "KS"
        assert shell.new("ks", "inspect", "-", "--online", stdin=ks).code == 0

    def test_help_says_what_each_is(self, shell: Shell) -> None:
        told = shell.new("session", "--help").out
        for name in ("text", "json", "env", "headers"):
            assert f"\n  {name} " in told


class TestWhatTheTokenFixes:
    @pytest.fixture
    def fixed(self, sandbox: Sandbox) -> dict[str, str]:
        token = sandbox.client().add_token(session_user_id="bob", session_duration=600)
        assert token.token is not None
        return {"KALTURA_APP_TOKEN_ID": token.id, "KALTURA_APP_TOKEN": token.token.reveal()}

    @pytest.mark.parametrize(
        ("words", "told"),
        [
            (["--user", "jane"], ["--user is not heeded: the token gives user bob"]),
            (["--type", "admin"], ["--type is not heeded: the token gives USER"]),
            (["--duration", "1h"], ["--duration is not heeded: the token gives 10 minutes"]),
            (["--user", "bob", "--type", "USER", "--duration", "10m"], []),
            ([], []),
        ],
    )
    @pytest.mark.parametrize("offset", [0, 7200])
    def test_is_said_where_something_else_was_asked_for(
        self,
        shell: Shell,
        sandbox: Sandbox,
        fixed: dict[str, str],
        words: list[str],
        told: list[str],
        offset: int,
    ) -> None:
        from test_command import control

        control(sandbox, "clock", {"offset": offset})
        ended = shell.new("session", *words, **fixed)
        assert ended.code == 0
        assert ended.err.splitlines() == [f"kaltura-app-token: warning: {one}" for one in told]

    def test_the_older_name_of_the_duration_is_heeded_and_not_shown(
        self, shell: Shell, sandbox: Sandbox, exchange: dict[str, str]
    ) -> None:
        for option in ("--duration", "--expiry"):
            ended = shell.new("session", option, "10m", "--format", "json", **exchange)
            assert 0 <= time.time() + 600 - ended.json["expiry"] < 60
            generated = shell.new("ks", "generate", option, "10m", "--format", "json")
            assert 0 <= time.time() + 600 - generated.json["expiry"] < 60
        for words in (["session"], ["exec"], ["doctor"], ["ks", "generate"]):
            told = shell.new(*words, "--help").out
            assert ("--duration" in told, "--expiry" in told) == (True, False)


@pytest.mark.parametrize("words", [["session"], ["exec"], ["doctor"], ["ks", "generate"]])
def test_a_session_of_no_length_is_refused_by_name(shell: Shell, words: list[str]) -> None:
    ended = shell.new(*words, "--duration", "0")
    assert (ended.code, ended.out) == (2, "")
    assert "argument --duration: a session of no length has expired" in ended.err


def test_the_examples_in_the_docstrings_are_true() -> None:
    import doctest

    from kaltura_app_token.command import sessions

    result = doctest.testmod(sessions)
    assert (result.attempted > 0, result.failed) == (True, 0)
