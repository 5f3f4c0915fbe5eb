"""`kaltura-app-token exec`: what the program that it runs sees, and how that ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest
from conftest import NEW, Ended, Shell
from kaltura_app_token.model import AppToken
from kaltura_app_token.sandbox import Sandbox

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
    words = ["exec", "--user", "jane", "--expiry", "10m", "--privileges", "edit:*", "--", *program]
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
