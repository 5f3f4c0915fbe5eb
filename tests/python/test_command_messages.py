"""What the command says on stderr of what it does: --verbose, --debug, and a terminal's line during
a wait.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from conftest import NEW, Shell
from kaltura_app_token.sandbox import Sandbox


def values(sandbox: Sandbox, shell: Shell) -> list[str]:
    """What must be in no message."""
    token = sandbox.client().add_token()
    assert token.token is not None
    (shell.directory / "value").write_text(token.token.reveal(), encoding="utf-8")
    shell.environment["KALTURA_APP_TOKEN_ID"] = token.id
    return [token.token.reveal(), sandbox.admin_secret]


def test_verbose_says_which_account_and_what_is_tried_again(shell: Shell, sandbox: Sandbox) -> None:
    secrets = values(sandbox, shell)
    sandbox.fault("*", "status", status=503, times=1)
    ended = shell.new("session", "--app-token-file", "value", "--verbose")
    assert ended.code == 0, ended
    lines = ended.err.splitlines()
    assert all(line.startswith("kaltura-app-token: ") for line in lines)
    where = f"partner {sandbox.partner_id} of the environment, at {sandbox.service_url}"
    assert lines[0] == f"kaltura-app-token: {where}"
    assert any("attempt 1: " in line and "again in" in line for line in lines)
    assert not any(" ms: answered" in line for line in lines)
    assert not any(secret in ended.err for secret in [*secrets, ended.out.strip()])


def test_debug_says_each_request_too(shell: Shell, sandbox: Sandbox) -> None:
    secrets = values(sandbox, shell)
    sandbox.fault("*", "status", status=503, times=1)
    ended = shell.new("session", "--app-token-file", "value", "--debug")
    assert ended.code == 0, ended
    for request in ("session.startWidgetSession", "appToken.startSession"):
        assert f"kaltura-app-token: {request} in " in ended.err
    assert ended.err.count("again in") == 1
    assert " ms: answered" in ended.err
    assert not any(secret in ended.err for secret in [*secrets, ended.out.strip()])


def test_nothing_is_said_unless_asked_for(shell: Shell, sandbox: Sandbox) -> None:
    sandbox.fault("*", "status", status=503, times=1)
    assert shell.new("list").err == ""


class TestWaits:
    def test_a_terminal_is_told_who_is_waited_for(self, shell: Shell, sandbox: Sandbox) -> None:
        sandbox.client().add_token()
        sandbox.fault("*", "latency", ms=1600)
        ended = shell.on_a_terminal(NEW, "list")
        host = sandbox.service_url.split("/")[2]
        told = f"waiting for {host} ... 1 s"
        assert ended.code == 0
        assert f"\r{told}" in ended.out
        # Erased before anything else is printed.
        assert f"\r{told}\r{' ' * len(told)}\r" in ended.out, ended

    def test_and_which_attempt_it_is(self, shell: Shell, sandbox: Sandbox) -> None:
        sandbox.fault("*", "status", status=503, times=2)
        ended = shell.on_a_terminal(NEW, "list")
        assert ended.code == 0
        assert "(attempt 3 of 4) ..." in ended.out

    def test_nothing_is_told_where_there_is_no_terminal(
        self, shell: Shell, sandbox: Sandbox
    ) -> None:
        sandbox.fault("*", "latency", ms=1600)
        assert shell.new("list").err == ""


class TestPipesForSecrets:
    """A pipe in the place of a file: what it holds is read, and it is not waited for in vain."""

    @pytest.fixture
    def pipe(self, shell: Shell) -> Path:
        path = shell.directory / "pipe"
        os.mkfifo(path, 0o600)
        return path

    def listing(self, shell: Shell) -> str:
        """A line without an account in the environment, to which a path is to be added."""
        account = [
            shell.environment.pop(f"KALTURA_{name}") for name in ("PARTNER_ID", "SERVICE_URL")
        ]
        del shell.environment["KALTURA_ADMIN_SECRET"]
        options = f"--partner-id {account[0]} --service-url {account[1]}"
        return f"{NEW} list {options} --admin-secret-file"

    def test_what_comes_late_is_read(self, shell: Shell, sandbox: Sandbox, pipe: Path) -> None:
        script = f"(sleep 1; cat secret > pipe) & {self.listing(shell)} pipe"
        (shell.directory / "secret").write_text(sandbox.admin_secret + "\n", encoding="utf-8")
        ended = shell.run("sh", "-c", script)
        assert ended.code == 0, ended

    def test_a_pipe_of_the_shell_is_read(self, shell: Shell, sandbox: Sandbox) -> None:
        script = f"{self.listing(shell)} <(sleep 0.3; cat secret)"
        (shell.directory / "secret").write_text(sandbox.admin_secret, encoding="utf-8")
        assert shell.run("bash", "-c", script).code == 0

    @pytest.mark.parametrize("words", [["--admin-secret-file", "pipe"], ["--config", "pipe"]])
    def test_ctrl_c_ends_the_wait(self, shell: Shell, pipe: Path, words: list[str]) -> None:
        environment = shell.environment | {"KALTURA_ADMIN_SECRET": ""}
        process = subprocess.Popen(  # noqa: S603
            [NEW, "list", *words], cwd=shell.directory, env=environment, stderr=subprocess.PIPE
        )
        time.sleep(1)
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
        assert process.returncode == 130, err
        # The native half looks up when its own patience ends.
        assert time.monotonic() - begun < (6 if "--config" in words else 2)

    def test_nobody_is_waited_for_for_ever(self, shell: Shell, pipe: Path) -> None:
        del shell.environment["KALTURA_ADMIN_SECRET"]
        ended = shell.new("list", KALTURA_ADMIN_SECRET_FILE=str(pipe))
        assert (ended.code, ended.out) == (2, "")
        assert "nothing was written into it within 5s" in ended.err
        ended = shell.new("list", "--admin-secret-file", "pipe")
        assert (ended.code, ended.out) == (2, "")
        assert "pipe is a pipe that nobody wrote into for 10 seconds" in ended.err


def test_a_session_that_is_used_in_place_of_the_secret_is_said(
    shell: Shell, sandbox: Sandbox
) -> None:
    ks = sandbox.client().sign_admin_session().ks.reveal()
    ended = shell.new("list", KALTURA_KS=ks)
    assert ended.code == 0
    assert "note: the session in the environment is used, and not the admin secret" in ended.err


def test_a_proxy_that_is_not_used_is_said(shell: Shell) -> None:
    ended = shell.new("list", "--proxy", "http://127.0.0.1:1")
    assert (ended.code, "--proxy is not used" in ended.err) == (0, True)


def test_the_help_is_a_command_too(bare: Shell) -> None:
    assert bare.new("help").out == bare.new("--help").out
    assert bare.new("help", "ks").out == bare.new("ks", "--help").out
    assert bare.new("help", "ks", "inspect").out == bare.new("ks", "inspect", "--help").out
    assert bare.new("help", "list").out == bare.new("list", "--help").out
    assert bare.new("-V").out == bare.new("--version").out
