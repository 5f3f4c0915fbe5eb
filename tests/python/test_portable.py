"""The old command, `Client`, provider and sandbox need nothing of Python that only Unix has, and
importing the package needs next to nothing of Python at all.
"""

from __future__ import annotations

import subprocess
import sys

import pytest
from conftest import Shell, write_config
from kaltura_app_token.sandbox import Sandbox

# What Python's documentation says is not there on Windows, as far as anybody might use it here.
WITHOUT_UNIX = """
import os, signal, sys
for module in "fcntl grp pty pwd resource termios tty".split():
    sys.modules[module] = None
for name in '''
    SIGALRM SIGCHLD SIGCONT SIGHUP SIGPIPE SIGPROF SIGQUIT SIGUSR1 SIGUSR2 SIGWINCH SIGXFSZ
    SIG_BLOCK SIG_SETMASK SIG_UNBLOCK ITIMER_REAL alarm getitimer pause pthread_kill
    pthread_sigmask setitimer siginterrupt sigpending sigtimedwait sigwait
'''.split():
    delattr(signal, name)
for name in '''
    O_CLOEXEC O_DIRECTORY O_NOFOLLOW O_NONBLOCK chown chroot ctermid fchmod fchown fork forkpty
    geteuid getgid getgroups getpgid getuid killpg mkfifo openpty posix_spawn register_at_fork
    setsid uname wait4 waitid
'''.split():
    delattr(os, name)
"""

THE_LIBRARY = """
import kaltura_app_token as kat
from kaltura_app_token.sandbox import Sandbox
with Sandbox() as sandbox, sandbox.client() as client:
    token = client.add_token(description="mine")
    assert client.get_token(token.id).description == "mine"
    assert client.start_session(token.id, token.token).ks
    source = kat.TokenSource.callable(lambda: (token.id, token.token))
    provider = kat.SessionProvider(client, source)
    assert provider.get() and provider.stats().minted == 1
    kept = []
    sink = kat.Sink.callable(kept.append)
    rotated, = kat.rotate(client, [token.id], journal="journal", sink=sink, delete_now=True,
                          progress=lambda *_: None)
    assert [token.id for token in kept] == [rotated.new_id] and rotated.old_deleted
    try:
        client.get_token("1_nosuch00")
    except kat.TokenNotFound:
        print("well")
"""

THE_OLD_COMMAND = """
from kaltura_app_token import legacy
sys.argv[0] = "kaltura_app_token_manager.py"
sys.exit(legacy.main())
"""


def test_the_library_works_without_what_only_unix_has(bare: Shell) -> None:
    done = bare.run(sys.executable, "-c", WITHOUT_UNIX + THE_LIBRARY)
    assert (done.code, done.out, done.err) == (0, "well\n", "")


def test_the_old_command_works_without_what_only_unix_has(bare: Shell, sandbox: Sandbox) -> None:
    write_config(bare.directory, sandbox)
    words = [sys.executable, "-c", WITHOUT_UNIX + THE_OLD_COMMAND]
    for action in (["--create", "--description", "mine"], ["--list"]):
        done = bare.run(*words, *action)
        assert (done.code, "mine" in done.out) == (0, True), done.err


# Each of them takes longer to load than the package itself.
COSTLY = {
    *("_native", "argparse", "asyncio", "collections", "contextlib", "dataclasses", "datetime"),
    *("enum", "functools", "importlib.metadata", "inspect", "json", "logging", "re", "shutil"),
    *("signal", "socket", "ssl", "subprocess", "threading", "typing", "urllib", "warnings"),
}


@pytest.mark.parametrize(
    "program",
    [
        "import kaltura_app_token",
        "from kaltura_app_token.command.main import main; main(['--help'])",
        "from kaltura_app_token.command.main import main; main(['--version'])",
    ],
)
def test_what_is_costly_is_loaded_when_it_is_needed(program: str) -> None:
    """Compared to a Python that has loaded nothing: sites load things of their own."""

    def loaded(program: str) -> set[str]:
        words = [sys.executable, "-c", f"{program}\nimport sys\nprint(*sys.modules)"]
        done = subprocess.run(words, capture_output=True, encoding="utf-8", check=True)  # noqa: S603
        return set(done.stdout.splitlines()[-1].split())

    new = loaded(program) - loaded("")
    assert "kaltura_app_token.errors" in new
    assert {name.removeprefix("kaltura_app_token.") for name in new} & COSTLY == set()
