"""What the tests share: a sandbox for each, and the installed commands as real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kaltura_app_token.sandbox import Sandbox

SCRIPTS = Path(sysconfig.get_path("scripts"))
NEW = str(SCRIPTS / "kaltura-app-token")
OLD = str(SCRIPTS / "kaltura_app_token_manager.py")
ROOT = Path(__file__).resolve().parents[2]

# Runs its arguments on a terminal of their own, whose input and output are its own.
_ON_A_TERMINAL = """
import os, pty, sys
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))
"""

_INTO_A_CLOSED_PIPE = """
import os, subprocess, sys
read, write = os.pipe()
os.close(read)
sys.exit(subprocess.run(sys.argv[1:], stdout=write).returncode)
"""

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Ignored by nohup, cron or a job in the background, and what is ignored stays so in the
    # processes that the tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    # By nohup. A function that does nothing ignores it here as well, and not in other programs.
    signal.signal(signal.SIGHUP, lambda _number, _frame: None)


@dataclass(frozen=True)
class Ended:
    """How a process ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Shell:
    """Runs commands in one directory and one environment."""

    directory: Path
    environment: dict[str, str]

    def run(self, *words: str, stdin: str = "", **environment: str) -> Ended:
        done = subprocess.run(  # noqa: S603
            words,
            cwd=self.directory,
            env=self.environment | environment,
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def new(self, *words: str, stdin: str = "", **environment: str) -> Ended:
        """`kaltura-app-token`, in a pipe."""
        return self.run(NEW, *words, stdin=stdin, **environment)

    def old(self, *words: str, **environment: str) -> Ended:
        """`kaltura_app_token_manager.py`, in a pipe."""
        return self.run(OLD, *words, **environment)

    def into_a_closed_pipe(self, *words: str) -> Ended:
        """Runs a command whose output nobody reads: the reading end is closed before it starts."""
        return self.run(sys.executable, "-c", _INTO_A_CLOSED_PIPE, *words)

    def on_a_terminal(
        self, *words: str, columns: int = 80, answers: Sequence[tuple[str, str]] = ()
    ) -> Ended:
        """Runs a command on a terminal, and answers its questions as they come."""
        with subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", _ON_A_TERMINAL, *words],
            cwd=self.directory,
            env=self.environment | {"COLUMNS": str(columns)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            seen = b""
            for question, answer in answers:
                while question.encode() not in seen:
                    chunk = os.read(process.stdout.fileno(), 4096)
                    assert chunk, seen
                    seen += chunk
                process.stdin.write(answer.encode() + b"\n")
                process.stdin.flush()
            rest, _ = process.communicate(timeout=60)
            text = (seen + rest).decode().replace("\r\n", "\n")
            return Ended(process.returncode, text, "")


def clean_environment() -> dict[str, str]:
    """The environment without what would configure the commands."""
    ours = ("KALTURA_", "TOKEN", "COLUMNS", "PYTHON")
    proxies = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(ours) and name.lower() not in proxies
    }


def account_of(sandbox: Sandbox) -> dict[str, str]:
    """The environment that names a sandbox's account."""
    return {
        "KALTURA_PARTNER_ID": str(sandbox.partner_id),
        "KALTURA_ADMIN_SECRET": sandbox.admin_secret,
        "KALTURA_SERVICE_URL": sandbox.service_url,
    }


def write_config(directory: Path, sandbox: Sandbox, **changes: object) -> Path:
    """A `config.json` for a sandbox's account, readable by its owner only."""
    path = directory / "config.json"
    config = {
        "PARTNER_ID": sandbox.partner_id,
        "ADMIN_SECRET": sandbox.admin_secret,
        "KALTURA_SERVICE_URL": sandbox.service_url,
    }
    path.write_text(json.dumps(config | changes), encoding="utf-8")
    path.chmod(0o600)
    return path


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A fresh local Kaltura."""
    with Sandbox() as running:
        yield running


@pytest.fixture
def bare(tmp_path: Path) -> Shell:
    """A shell in an empty directory that knows no account."""
    return Shell(tmp_path, clean_environment())


@pytest.fixture
def shell(tmp_path: Path, sandbox: Sandbox) -> Shell:
    """A shell with the sandbox's account in its environment, for the new command."""
    return Shell(tmp_path, clean_environment() | account_of(sandbox))


@pytest.fixture
def old(tmp_path: Path, sandbox: Sandbox) -> Callable[..., Ended]:
    """The old command in a directory whose `config.json` names the sandbox."""
    write_config(tmp_path, sandbox)
    return Shell(tmp_path, clean_environment()).old


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI nothing is skipped: a tool that is missing there is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
