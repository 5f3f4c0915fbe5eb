"""`kaltura-app-token rotate`, `ensure`, `audit` and `revoke`: what they do, what they say, and that
the commands which they print work as printed.
"""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import shlex
import signal
import stat
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import NEW, SCRIPTS, Ended, Shell, account_of, clean_environment
from kaltura_app_token.model import AppToken
from kaltura_app_token.sandbox import Sandbox
from test_command import account_line, control, order_fault, value_of
from test_command_output import requests_of

KS = "djJ8"


def surroundings(directory: Path) -> dict[str, str]:
    """An environment in which printed commands are found, and whose journals are the test's own."""
    clean = clean_environment()
    return clean | {
        "PATH": f"{SCRIPTS}:{clean.get('PATH', '/usr/bin:/bin')}",
        "XDG_STATE_HOME": str(directory / "state"),
    }


@pytest.fixture
def shell(tmp_path: Path, sandbox: Sandbox) -> Shell:
    return Shell(tmp_path, surroundings(tmp_path) | account_of(sandbox))


@pytest.fixture
def bare(tmp_path: Path) -> Shell:
    return Shell(tmp_path, surroundings(tmp_path))


@pytest.fixture
def old(sandbox: Sandbox) -> AppToken:
    return sandbox.client().add_token(
        description="mine", session_privileges="sview:*,list:*", hash_type="SHA1"
    )


def journal_of(shell: Shell, sandbox: Sandbox) -> Path:
    name = f"rotation-{sandbox.partner_id}.journal"
    return shell.directory / "state" / "kaltura-app-token" / name


def ids(sandbox: Sandbox) -> set[str]:
    return {token.id for token in sandbox.client().tokens()}


def after(text: str, words: str) -> str:
    """What stands behind these words in the one line that holds them."""
    (line,) = [line for line in text.splitlines() if words in line]
    return line.split(words, 1)[1]


def literally(shell: Shell, command: str) -> Ended:
    return shell.run("sh", "-c", command)


def assert_works(sandbox: Sandbox, handed: dict[str, str]) -> None:
    """What was handed over can be exchanged."""
    session = sandbox.client().start_session(
        handed["id"],
        handed["token"],
        hash_type=handed["hashType"],  # type: ignore[arg-type]
    )
    assert session.ks


def assert_silent(ended: Ended, sandbox: Sandbox) -> None:
    secrets = [value_of(token) for token in sandbox.client().tokens(with_secrets=True)]
    for text in (ended.out, ended.err):
        assert not any(secret in text for secret in [*secrets, sandbox.admin_secret, KS]), ended


class TestRotate:
    def test_the_new_token_goes_to_stdout_and_the_printed_command_finishes(
        self, shell: Shell, sandbox: Sandbox, old: AppToken
    ) -> None:
        ended = shell.new("rotate", old.id, "--hash-type", "sha256")
        assert ended.code == 0, ended
        handed = ended.json
        assert list(handed) == ["id", "token", "hashType", "replaces"]
        assert (handed["hashType"], handed["replaces"]) == ("SHA256", old.id)
        assert_works(sandbox, handed)
        assert f"{old.id} -> {handed['id']}\n" in ended.err
        assert f"the journal is {journal_of(shell, sandbox)}\n" in ended.err
        assert stat.S_IMODE(journal_of(shell, sandbox).stat().st_mode) == 0o600
        assert handed["token"] not in ended.err + journal_of(shell, sandbox).read_text()
        assert ids(sandbox) == {old.id, handed["id"]}
        new = sandbox.client().get_token(handed["id"])
        assert (new.description, new.session_privileges) == ("mine", "sview:*,list:*")

        finished = literally(shell, after(ended.err, "finish with: "))
        assert (finished.code, finished.lines) == (0, [f"deleted: {old.id}"])
        assert ids(sandbox) == {handed["id"]}

    def test_a_file_gets_it_and_stdout_says_what_came_of_it(
        self, shell: Shell, sandbox: Sandbox, old: AppToken
    ) -> None:
        ended = shell.new("rotate", old.id, "-o", "token.json", "--expiry", "2037-01-01T00:00:00Z")
        assert ended.code == 0, ended
        assert_silent(ended, sandbox)
        path = shell.directory / "token.json"
        handed = json.loads(path.read_text())
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert_works(sandbox, handed)
        assert ended.lines == [
            f"{old.id} -> {handed['id']}",
            f"  finish with: kaltura-app-token delete {old.id}",
        ]
        new = sandbox.client().get_token(handed["id"])
        assert (new.expiry, new.hash_type) == (2114380800, "SHA1")

    @pytest.mark.parametrize("words", [["--delete-now"], ["--delete-after", "1s"]])
    def test_a_program_gets_them_and_the_old_ones_go(
        self, shell: Shell, sandbox: Sandbox, words: list[str]
    ) -> None:
        old = [sandbox.client().add_token(description=str(n)).id for n in range(5)]
        program = "env >> environment; cat >> tokens"
        ended = shell.new("rotate", *old, "--concurrency=2", *words, "--", "sh", "-c", program)
        assert (ended.code, ended.out) == (0, ""), ended
        assert_silent(ended, sandbox)
        lines = (shell.directory / "tokens").read_text().splitlines()
        handed = [json.loads(line) for line in lines]
        assert {one["replaces"] for one in handed} == set(old)
        assert {one["id"] for one in handed} == ids(sandbox)
        for one in handed:
            assert_works(sandbox, one)
            assert f"{one['replaces']} -> {one['id']}, and the old one is deleted\n" in ended.err
            assert f"{one['replaces']}: finished\n" in ended.err
        environment = (shell.directory / "environment").read_text()
        assert sandbox.service_url in environment
        assert sandbox.admin_secret not in environment

    def test_json_says_what_came_of_each(
        self, shell: Shell, sandbox: Sandbox, old: AppToken
    ) -> None:
        words = ["rotate", old.id, "0_unknown0", "-o", "{id}.json"]
        ended = shell.new(*words, "--format", "json")
        assert ended.code == 3
        first, second = ended.json
        (new_id,) = ids(sandbox) - {old.id}
        assert first == {
            "oldId": old.id,
            "newId": new_id,
            "state": "done",
            "oldDeleted": False,
            "error": None,
            "finish": ["kaltura-app-token", "delete", old.id],
            "undo": [],
        }
        assert (second["oldId"], second["newId"], second["state"]) == ("0_unknown0", None, None)
        assert "APP_TOKEN_ID_NOT_FOUND" in second["error"]
        assert "error: 0_unknown0 was not replaced: APP_TOKEN_ID_NOT_FOUND" in ended.err
        assert_silent(ended, sandbox)
        many = shell.new("rotate", *[f"0_unknown{n}" for n in range(20)], "-o", "t-{id}")
        assert many.err.count("20 tokens were not replaced: APP_TOKEN_ID_NOT_FOUND") == 1
        assert f"  ID is: {', '.join(f'0_unknown{n}' for n in range(20))}\n" in many.err
        assert many.err.count("hint: ") == 1
        lines = shell.new(*words[:2], "-o", "t", "--format", "jsonl").lines
        assert [json.loads(line)["oldId"] for line in lines] == [old.id]

    @pytest.mark.parametrize(
        "to", [["--", "sh", "-c", "test -e ready && cat > got"], ["-o", "a b"]]
    )
    def test_a_rotation_that_could_not_be_handed_over_is_resumed_by_the_printed_command(
        self, shell: Shell, sandbox: Sandbox, old: AppToken, to: list[str]
    ) -> None:
        # Another process makes a directory of the file that was looked at.
        order_fault(sandbox, action="appToken.startSession", fault="latency", ms=1500)
        with self.start(shell, "rotate", old.id, "--delete-now", "--allow-http", *to) as process:
            wait_for(journal_of(shell, sandbox))
            (shell.directory / "a b").mkdir()
            out, err = process.communicate(timeout=30)
        ended = Ended(process.returncode, out, err)
        assert (ended.code, ended.out) == (7, ""), ended
        assert_silent(ended, sandbox)
        assert "could not be handed over" in ended.err
        assert old.id in ids(sandbox)

        (shell.directory / "ready").touch()
        (shell.directory / "a b").rmdir()
        resumed = literally(shell, after(ended.err, "finish with: "))
        assert resumed.code == 0, resumed
        assert_silent(resumed, sandbox)
        name = "got" if to[0] == "--" else "a b"
        handed = json.loads((shell.directory / name).read_text())
        assert ids(sandbox) == {handed["id"]}
        assert_works(sandbox, handed)
        again = shell.new("rotate", "--resume")
        assert (again.code, again.out) == (0, "")
        assert "nothing in the journal is unfinished" in again.err

    def start(self, shell: Shell, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(  # noqa: S603
            [NEW, *words],
            cwd=shell.directory,
            env=shell.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,
        )

    @pytest.mark.parametrize(
        ("fault", "program"),
        [
            ({"action": "appToken.add"}, "cat > got"),
            ({"action": "appToken.add", "after": True}, "cat > got"),
            ({"action": "appToken.startSession"}, "cat > got"),
            ({"action": "appToken.startSession", "skip": 2}, "cat > got"),
            ({"action": "appToken.delete"}, "cat > got"),
            (None, "test -e ready || { touch ready; exec sleep 4; }; cat > got"),
            (None, "trap '' INT; cat > got; touch ready; sleep 2"),
        ],
    )
    def test_an_interrupted_rotation_is_resumed_by_the_printed_command(
        self,
        shell: Shell,
        sandbox: Sandbox,
        old: AppToken,
        fault: dict[str, object] | None,
        program: str,
    ) -> None:
        if fault is None:
            seen = shell.directory / "ready"
        else:
            order_fault(sandbox, fault="latency", ms=4000, **fault)
            seen = journal_of(shell, sandbox)
        words = ["rotate", old.id, "--delete-now", "--", "sh", "-c", program]
        with self.start(shell, *words) as process:
            wait_for(seen)
            # On the way to what takes long.
            time.sleep(0.7)
            # As a terminal does it, which knows nothing of who started whom.
            os.killpg(process.pid, signal.SIGINT)
            out, err = process.communicate(timeout=30)
        ended = Ended(process.returncode, out, err)
        assert (ended.code, ended.out) == (130, ""), ended
        assert "interrupted: what was begun is in the journal" in ended.err
        assert_silent(ended, sandbox)
        assert old.id in ids(sandbox)
        resumed = literally(shell, after(ended.err, "go on with: "))
        assert resumed.code == 0, resumed
        handed = json.loads((shell.directory / "got").read_text())
        assert ids(sandbox) == {handed["id"]}
        assert_works(sandbox, handed)

    def test_what_nobody_has_got_can_be_undone(
        self, shell: Shell, sandbox: Sandbox, old: AppToken
    ) -> None:
        order_fault(sandbox, action="appToken.startSession", fault="status", status=403)
        failed = shell.new("rotate", old.id)
        assert (failed.code, failed.out) == (4, "")
        assert len(ids(sandbox)) == 2
        again = shell.new("rotate", old.id)
        assert again.code == 2
        assert f"a rotation of token {old.id} that is not finished" in again.err
        undone = shell.new("rotate", "--undo")
        assert (undone.code, undone.lines) == (
            0,
            [f"{old.id} stays, and nothing new is left beside it"],
        )
        assert ids(sandbox) == {old.id}

    def test_what_a_failing_program_was_given_is_undone_only_by_who_knows_better(
        self, shell: Shell, sandbox: Sandbox, old: AppToken
    ) -> None:
        failed = shell.new("rotate", old.id, "--", "sh", "-c", "cat > got; exit 1")
        assert failed.code == 7
        handed = json.loads((shell.directory / "got").read_text())
        undone = shell.new("rotate", "--undo")
        assert undone.code == 2
        assert f"the rotation of {old.id} was not undone" in undone.err
        assert "may be in use" in undone.err
        assert_works(sandbox, handed)

        assert shell.new("delete", handed["id"], "--yes").code == 0
        undone = shell.new("rotate", "--undo")
        assert undone.lines == [f"{old.id} stays, and nothing new is left beside it"]
        assert ids(sandbox) == {old.id}

    @pytest.mark.parametrize("words", [["--undo"], ["--resume", "-o", "again.json"]])
    def test_what_a_program_took_works_although_the_command_was_killed_at_that_moment(
        self, shell: Shell, sandbox: Sandbox, old: AppToken, words: list[str]
    ) -> None:
        program = "cat > consumer.json; kill -9 $PPID"
        killed = shell.new("rotate", old.id, "--", "sh", "-c", program)
        assert killed.code == -signal.SIGKILL, killed
        handed = json.loads((shell.directory / "consumer.json").read_text())
        ended = shell.new("rotate", *words)
        assert ended.code == (2 if "--undo" in words else 0), ended
        assert_works(sandbox, handed)
        assert ids(sandbox) == {old.id, handed["id"]}

    def test_what_was_handed_over_is_not_undone_but_finished(
        self, shell: Shell, sandbox: Sandbox, old: AppToken
    ) -> None:
        order_fault(sandbox, action="appToken.delete", fault="status", status=403)
        failed = shell.new("rotate", old.id, "--delete-now", "-o", "token.json")
        assert failed.code == 4
        assert f"error: {old.id} is replaced by " in failed.err
        undone = shell.new("rotate", "--undo")
        assert undone.code == 2
        assert f"the rotation of {old.id} was not undone" in undone.err
        assert len(ids(sandbox)) == 2
        assert literally(shell, after(undone.err, "finish with: ")).code == 0
        assert ids(sandbox) == {json.loads((shell.directory / "token.json").read_text())["id"]}

    def test_printed_commands_name_the_account_that_was_given(
        self, bare: Shell, sandbox: Sandbox, old: AppToken
    ) -> None:
        secret = bare.directory / "the secret"
        secret.write_text(sandbox.admin_secret)
        account = [
            *("--service-url", sandbox.service_url, "--partner-id", str(sandbox.partner_id)),
            *("--admin-secret-file", str(secret), "--user-id=-me", "--admin-session", "started"),
        ]
        failed = bare.new("rotate", old.id, *account, "--journal", "the journal", "--", "false")
        resume = after(failed.err, "finish with: ").replace("-- false", "-- sh -c 'cat > got'")
        resumed = literally(bare, resume)
        assert resumed.code == 0, resumed
        assert literally(bare, after(resumed.err, "finish with: ")).code == 0
        handed = json.loads((bare.directory / "got").read_text())
        assert ids(sandbox) == {handed["id"]}
        audit = bare.new("audit", *account, "--format", "json").json
        fix = next(row["fix"] for row in audit if row["rule"] == "no-expiry")
        assert literally(bare, shlex.join(fix)).code == 0
        assert sandbox.client().get_token(handed["id"]).expiry

    def test_printed_commands_hold_no_password_of_the_proxy(
        self, shell: Shell, sandbox: Sandbox, old: AppToken
    ) -> None:
        # Loopback addresses are not asked for by way of it.
        proxy = ["--proxy", "http://joe:hunter@2@127.0.0.1:9"]
        for words in (
            ["rotate", old.id, "-o", "token.json", "--format", "json"],
            ["rotate", old.id, "--", "false"],
            ["audit", "--format", "json"],
            ["ensure", "--description", "mine", "--privileges", "sview:*,list:*", "--quiet"],
        ):
            sandbox.client().add_token(description="mine", session_privileges="sview:*,list:*")
            ended = shell.new(words[0], *proxy, *words[1:])
            assert "--proxy=http://127.0.0.1:9" in ended.out + ended.err, ended
            for part in ("joe", "hunter", "2@"):
                assert part not in ended.out + ended.err, ended

    def test_a_dry_run_creates_nothing(self, shell: Shell, sandbox: Sandbox, old: AppToken) -> None:
        words = ["rotate", old.id, "--dry-run", "--hash-type", "SHA512", "--delete-after", "1h"]
        ended = shell.new(*words)
        assert ended.code == 0, ended
        assert ended.lines[0].startswith("appToken.add: POST ")
        assert {
            "  appToken[hashType]=SHA512",
            "  appToken[description]=mine",
            "  appToken[sessionPrivileges]=sview:*,list:*",
            f"  id={old.id}",
            "  ks=****",
        } <= set(ended.lines)
        assert_silent(ended, sandbox)
        document = shell.new("rotate", old.id, "--dry-run", "--format", "json").json
        assert document["parameters"]["appToken[hashType]"] == "SHA1"
        assert shell.new("rotate", "0_unknown0", "--dry-run").code == 3
        assert ids(sandbox) == {old.id}
        assert not (shell.directory / "state").exists()

    @pytest.mark.parametrize(
        ("words", "complaint"),
        [
            ([], "no token is named"),
            (["ID", "--resume"], "--resume takes no ids"),
            (["--undo", "--delete-now"], "--delete-now is for new rotations"),
            (["--resume", "--hash-type", "SHA256"], "--hash-type is for new rotations"),
            (["--resume"], "there is no journal"),
            (["--resume", "--undo"], "not allowed with"),
            (["ID", "--delete-now", "--delete-after", "1h"], "not allowed with"),
            (["ID", "--delete-after", "0"], "that is --delete-now"),
            (["ID", "--hash-type", "MD5"], "invalid choice"),
            (["ID", "-o", "x", "--", "cat"], "--output and a program are both given"),
            (["ID", "--format", "json"], "standard output is for the new tokens"),
            (["ID", "--", "no-such-program"], "there is no program no-such-program"),
            (["ID", "-o", "no-such-directory/x"], "no-such-directory/x cannot be written"),
            (["ID", "-o", "."], "cannot be written"),
            (["ID", "ID2", "-o", "x"], "can hold one token, not 2"),
            (["ID", "--journal", "no-such-directory/x"], "cannot be used: No such file"),
            (["ID", "--journal", "."], "cannot be used"),
            (["ID", "-o", "x", "--journal", "./x"], "are the same file"),
            (["ID", "-o", "x-{id}", "--journal", "x-ID"], "are the same file"),
            (["ID", "--conc", "3"], "unknown option"),
        ],
    )
    def test_what_cannot_be_done_is_said_before_anything_is_begun(
        self, shell: Shell, sandbox: Sandbox, words: list[str], complaint: str
    ) -> None:
        tokens = {name: sandbox.client().add_token().id for name in ("ID", "ID2")}
        words = [tokens.get(word, word.replace("x-ID", f"x-{tokens['ID']}")) for word in words]
        ended = shell.new("rotate", *words)
        assert (ended.code, ended.out) == (2, ""), ended
        assert complaint in ended.err
        assert ids(sandbox) == set(tokens.values())

    @pytest.mark.parametrize("content", ["0123456789abcdef0123456789abcdef", "a note\nanother"])
    def test_a_file_that_is_no_journal_stays_as_it_is(
        self, shell: Shell, sandbox: Sandbox, old: AppToken, content: str
    ) -> None:
        path = shell.directory / "production.secret"
        path.write_text(content)
        path.chmod(0o644)
        ended = shell.new("rotate", old.id, "--journal", str(path))
        assert (ended.code, ended.out) == (2, "")
        assert "has something else in line 1" in ended.err
        assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == (content, 0o644)
        assert ids(sandbox) == {old.id}

    @pytest.mark.parametrize("words", [[], ["--dry-run"]])
    def test_a_token_whose_sessions_are_dead_at_birth_gets_no_successor(
        self, shell: Shell, sandbox: Sandbox, words: list[str]
    ) -> None:
        row = {"id": "0_dead0000", "token": "t", "status": 2, "sessionDuration": -5}
        row |= {"hashType": "SHA256", "createdAt": 1700000000, "updatedAt": 1700000000}
        control(sandbox, f"partners/{sandbox.partner_id}/tokens", [row])
        ended = shell.new("rotate", "0_dead0000", *words)
        assert (ended.code, ended.out) == (2, ""), ended
        assert "dead at birth" in ended.err
        assert ids(sandbox) == {"0_dead0000"}

    def test_nothing_is_created_for_a_closed_stdout(
        self, shell: Shell, sandbox: Sandbox, old: AppToken
    ) -> None:
        ended = literally(shell, f"kaltura-app-token rotate {old.id} --delete-now >&-")
        assert ended.code == 141
        assert "standard output is closed" in ended.err
        assert ids(sandbox) == {old.id}

    def test_a_journal_serves_one_process_at_a_time(
        self, shell: Shell, sandbox: Sandbox, old: AppToken
    ) -> None:
        with (shell.directory / "journal").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            ended = shell.new("rotate", old.id, "--journal", "journal")
        assert (ended.code, ended.out) == (7, "")
        assert "is in use: another rotation is at work with it" in ended.err
        assert ids(sandbox) == {old.id}

    def test_a_terminal_shows_a_line_of_progress_and_clears_it(
        self, shell: Shell, sandbox: Sandbox, old: AppToken
    ) -> None:
        order_fault(sandbox, action="appToken.startSession", fault="latency", ms=500, times=2)
        ended = shell.on_a_terminal(NEW, "rotate", old.id, "-o", "token.json")
        assert ended.code == 0, ended
        assert f"\r0 of 1 done; {old.id}: unmarked" in ended.out
        line = "1 of 1 done"
        assert f"\r{line}\r{' ' * len(line)}\r{old.id} -> " in ended.out
        # Where the token comes to the same terminal, no line runs into it.
        order_fault(sandbox, action="appToken.startSession", fault="latency", ms=500)
        assert " done" not in shell.on_a_terminal(NEW, "rotate", old.id).out


def wait_for(path: Path) -> None:
    until = time.monotonic() + 20
    while not (path.exists() and (path.stat().st_size or path.name == "ready")):
        assert time.monotonic() < until
        time.sleep(0.01)


class TestEnsure:
    WORDS = ("ensure", "--description", "mine", "--privileges", "sview:*,edit:1_a")

    def test_the_same_call_finds_what_it_created(self, shell: Shell, sandbox: Sandbox) -> None:
        first = shell.new(*self.WORDS)
        (token,) = sandbox.client().tokens(with_secrets=True)
        assert (first.code, first.err) == (0, f"kaltura-app-token: created {token.id}\n")
        assert f"token: {value_of(token)}" in first.lines
        again = shell.new(*self.WORDS)
        assert (again.code, again.err) == (0, f"kaltura-app-token: found {token.id}\n")
        assert "token: ****" in again.lines
        assert_silent(again, sandbox)
        shown = shell.new(*self.WORDS, "--show-secrets")
        assert shown.lines == first.lines
        assert shell.new(*self.WORDS, "--quiet").lines == [token.id]
        assert ids(sandbox) == {token.id}

    def test_json_is_that_of_create_and_says_whether_it_was_created(self, shell: Shell) -> None:
        words = [*self.WORDS, "--format", "json"]
        created, found = shell.new(*words).json, shell.new(*words).json
        assert (created.pop("created"), found.pop("created")) == (True, False)
        assert list(created) == list(shell.new("create", "--format", "json").json)
        assert created | {"token": "****"} == found
        assert len(shell.new(*self.WORDS, "--format", "jsonl").lines) == 1
        (row,) = csv.DictReader(io.StringIO(shell.new(*self.WORDS, "--format", "csv").out))
        assert row["id"] == found["id"]

    @pytest.mark.parametrize(
        "words",
        [
            ["--privilege", "list:*"],
            ["--session-user-id", "jane"],
            ["--hash-type", "sha512"],
            ["--session-type", "admin"],
            ["--session-type", "unset"],
            ["--session-duration", "1h"],
            ["--expiry", "2037-01-01T00:00:00Z"],
        ],
    )
    def test_another_property_is_another_token(
        self, shell: Shell, sandbox: Sandbox, words: list[str]
    ) -> None:
        first = shell.new(*self.WORDS, "--quiet").out
        second = shell.new(*self.WORDS, *words, "--quiet").out
        assert first != second
        assert shell.new(*self.WORDS, *words, "--quiet").out == second
        assert len(ids(sandbox)) == 2

    def test_duplicates_are_named_and_can_be_deleted(self, shell: Shell, sandbox: Sandbox) -> None:
        for _ in range(3):
            shell.new("create", *self.WORDS[1:])
        ended = shell.new(*self.WORDS, "--quiet")
        (found,) = ended.lines
        twins = after(ended.err, "warning: others are just like it: ").split(", ")
        assert {found, *twins} == ids(sandbox)
        assert literally(shell, after(ended.err, "if nobody uses them: ") + " --yes").code == 0
        assert ids(sandbox) == {found}

    @pytest.mark.parametrize(
        ("words", "complaint"),
        [
            ([], "required: --description"),
            (["--description", ""], "needs one"),
            (["--description", "x", "--expiry", "+30d"], "another one at each call"),
            (["--description", "x", "--expiry", "0"], "expiry"),
            (["--description", "x", "--expiry", "2040-01-01T00:00:00Z"], "the latest time that"),
        ],
    )
    def test_what_could_not_be_found_again_is_refused(
        self, shell: Shell, sandbox: Sandbox, words: list[str], complaint: str
    ) -> None:
        ended = shell.new("ensure", *words)
        assert (ended.code, ended.out) == (2, "")
        assert complaint in ended.err
        assert ids(sandbox) == set()


ROLE = "setrole:1"
RULES: dict[str, dict[str, object]] = {
    "admin-type": {"sessionType": 2},
    "unset-type": {"sessionType": None},
    "weak-hash": {"hashType": "MD5"},
    "no-expiry": {"expiry": None},
    "expiry-zero": {"expiry": 0},
    "session-duration-zero": {"sessionDuration": 0},
    "no-session-duration": {"sessionDuration": None},
    "long-sessions": {"sessionDuration": 90000},
    "all-privileges": {"sessionPrivileges": f"*,{ROLE}"},
    "wide-privileges": {"sessionPrivileges": f"edit:*,{ROLE}"},
    "any-action": {"sessionPrivileges": "edit:1_a"},
    "disableentitlement": {"sessionPrivileges": f"disableentitlement,{ROLE}"},
    "old-script-leftover": {"sessionPrivileges": f"enableentitlement:False,{ROLE}"},
    "flag-with-value": {"sessionPrivileges": f"enableentitlement:1,{ROLE}"},
    "actionslimit-not-a-number": {"sessionPrivileges": f"actionslimit:ten,{ROLE}"},
    "mangled-name": {"sessionPrivileges": f"my priv:1,{ROLE}"},
    "ks-field": {"sessionPrivileges": f"_e:1,{ROLE}"},
    "iprestrict-not-an-address": {"sessionPrivileges": f"iprestrict:10.0.0.0/8,{ROLE}"},
    "sessionid-without-effect": {"sessionPrivileges": f"sessionid:GRP,{ROLE}"},
    "expired": {"expiry": 1500000000},
    "not-active": {"status": 1},
    "duplicate": {},
}


class TestAudit:
    def rows(self, sandbox: Sandbox, *changes: dict[str, object]) -> list[dict[str, Any]]:
        common = {
            "partnerId": sandbox.partner_id,
            "status": 2,
            "hashType": "SHA256",
            "sessionType": 0,
            "sessionDuration": 3600,
            "sessionPrivileges": ROLE,
            "expiry": 2114380800,
            "updatedAt": 1700000000,
        }
        rows = [
            common | {"id": f"0_{n:08}", "token": f"{n:032x}", "createdAt": 1600000000 + n} | change
            for n, change in enumerate(changes, 1)
        ]
        control(sandbox, f"partners/{sandbox.partner_id}/tokens", rows)
        return rows

    @pytest.mark.parametrize("rule", RULES)
    def test_the_command_that_mends_it_is_one(
        self, shell: Shell, sandbox: Sandbox, rule: str
    ) -> None:
        changes = [RULES[rule]] * (2 if rule == "duplicate" else 1)
        token_id = self.rows(sandbox, *changes)[0]["id"]
        ended = shell.new("audit", "--format", "json")
        assert ended.code == 6, ended
        (finding,) = [row for row in ended.json if row["rule"] == rule]
        assert list(finding) == ["severity", "id", "rule", "reason", "fix"]
        assert finding["id"] == token_id
        fix = shlex.join(finding["fix"])
        shown = literally(shell, f"{fix} --dry-run")
        assert shown.code == 0, shown
        assert ids(sandbox) >= {token_id}

        mended = literally(shell, fix)
        assert mended.code == 0, mended
        if rule == "weak-hash":
            # The one that it replaces is weak until it is deleted, too.
            assert literally(shell, after(mended.err, "finish with: ")).code == 0
        left = shell.new("audit", "--format", "json").json
        assert rule not in {row["rule"] for row in left if row["rule"] != "expired"}

    def test_a_clean_account_is_no_finding(self, shell: Shell, sandbox: Sandbox) -> None:
        self.rows(sandbox, {})
        ended = shell.new("audit")
        assert (ended.code, ended.out) == (0, "")
        assert ended.err == "kaltura-app-token: 1 token, 0 findings\n"
        assert shell.new("audit", "--format", "json").json == []

    def test_findings_come_in_every_format(self, shell: Shell, sandbox: Sandbox) -> None:
        self.rows(sandbox, RULES["admin-type"], RULES["weak-hash"], {})
        document = shell.new("audit", "--format", "json").json
        assert [(row["id"], row["rule"]) for row in document] == [
            ("0_00000001", "admin-type"),
            ("0_00000002", "weak-hash"),
        ]
        lines = shell.new("audit", "--format", "jsonl").lines
        assert [json.loads(line) for line in lines] == document
        rows = list(csv.DictReader(io.StringIO(shell.new("audit", "--format", "csv").out)))
        assert rows == [row | {"fix": shlex.join(row["fix"])} for row in document]
        table = shell.new("audit").lines
        assert table[0].split() == ["SEVERITY", "ID", "RULE", "REASON", "FIX"]
        assert table[1].endswith("kaltura-app-token update 0_00000001 --session-type USER")
        assert shell.new("audit", "--quiet").lines == ["0_00000001", "0_00000002"]

    def test_a_narrow_terminal_leaves_the_commands_whole(
        self, shell: Shell, sandbox: Sandbox
    ) -> None:
        self.rows(sandbox, RULES["admin-type"])
        ended = shell.on_a_terminal(NEW, "audit", columns=60)
        assert ended.code == 6
        assert "  kaltura-app-token update 0_00000001 --session-type USER" in ended.lines
        assert shell.on_a_terminal(NEW, "audit", columns=200).lines[1].startswith("SEVERITY ")

    @pytest.mark.parametrize(
        ("severity", "code", "rules"),
        [
            ("low", 6, {"unset-type", "any-action", "no-expiry"}),
            ("medium", 6, {"unset-type", "any-action"}),
            ("high", 6, {"unset-type"}),
        ],
    )
    def test_what_matters_less_can_be_left_out(
        self, shell: Shell, sandbox: Sandbox, severity: str, code: int, rules: set[str]
    ) -> None:
        self.rows(sandbox, {"sessionType": None, "sessionPrivileges": None, "expiry": None})
        ended = shell.new("audit", "--min-severity", severity, "--format", "json")
        assert (ended.code, {row["rule"] for row in ended.json}) == (code, rules)

    def test_only_what_is_below_is_no_finding(self, shell: Shell, sandbox: Sandbox) -> None:
        self.rows(sandbox, RULES["no-expiry"])
        assert shell.new("audit", "--min-severity", "medium").code == 0

    @pytest.mark.parametrize(
        ("words", "found"),
        [
            (["--id", "0_00000001", "--id", "0_00000003"], "13"),
            (["--user", "JANE"], "2"),
            (["--created-after", "1600000002"], "23"),
            (["--created-before", "1600000002"], "12"),
            (["--hash-type", "md5"], "1"),
            (["--session-type", "admin"], "3"),
        ],
    )
    def test_a_filter_narrows_it(
        self, shell: Shell, sandbox: Sandbox, words: list[str], found: str
    ) -> None:
        user = {"sessionUserId": "jane", "expiry": None}
        self.rows(sandbox, RULES["weak-hash"], user, RULES["admin-type"])
        assert shell.new("audit", "--quiet", *words).lines == [f"0_0000000{n}" for n in found]

    def test_values_stay_on_the_server(self, shell: Shell, sandbox: Sandbox) -> None:
        rows = self.rows(sandbox, *RULES.values())
        for output_format in ("table", "csv", "json", "jsonl"):
            ended = shell.new("audit", "--format", output_format)
            assert not any(row["token"] in ended.out + ended.err for row in rows)
        asked = requests_of(sandbox)
        assert asked
        for request in asked:
            assert "responseProfile" in json.dumps(request), request


class TestRevoke:
    @pytest.fixture
    def rows(self, sandbox: Sandbox) -> list[str]:
        common = {"partnerId": sandbox.partner_id, "status": 2, "updatedAt": 1700000000}
        rows = [
            common | {"id": f"0_{n:08}", "token": f"{n:032x}", "createdAt": n * 100000000}
            for n in (14, 15, 16)
        ]
        rows[0]["description"] = "mine"
        rows[2] |= {"description": "mine", "sessionUserId": "jane"}
        control(sandbox, f"partners/{sandbox.partner_id}/tokens", rows)
        return [str(row["id"]) for row in rows]

    @pytest.mark.parametrize(
        ("words", "gone"),
        [
            (["0_00000014", "0_00000016", "0_00000014"], [0, 2]),
            (["--description", "mine"], [0, 2]),
            (["--user", "Jane"], [2]),
            (["--created-before", "1600000000"], [0, 1]),
            (["--created-before", "2017-01-01T00:00:00Z", "--description", "mine"], [0]),
        ],
    )
    def test_what_is_meant_goes_after_a_look_at_it(
        self, shell: Shell, sandbox: Sandbox, rows: list[str], words: list[str], gone: list[int]
    ) -> None:
        meant = [rows[n] for n in gone]
        dry = shell.new("revoke", *words, "--dry-run")
        assert (dry.code, dry.err) == (0, "")
        assert [line.split()[0] for line in dry.lines] == ["ID", *meant]
        assert shell.new("revoke", *words, "--dry-run", "--quiet").lines == meant
        refused = shell.new("revoke", *words)
        assert (refused.code, refused.out) == (2, "")
        assert "--yes" in refused.err
        assert ids(sandbox) == set(rows)
        ended = shell.new("revoke", *words, "--yes")
        assert (ended.code, ended.lines) == (0, [f"revoked: {token_id}" for token_id in meant])
        *listed, account = ended.err.splitlines()
        assert [line.split()[0] for line in listed] == ["ID", *meant]
        assert account == account_line(sandbox)
        for one in (dry, refused, ended):
            assert "0000000000000000" not in one.out + one.err
        assert ids(sandbox) == set(rows) - set(meant)

    @pytest.mark.parametrize(("answer", "code", "left"), [("y", 0, 2), ("", 130, 3)])
    def test_a_terminal_is_asked(
        self,
        shell: Shell,
        sandbox: Sandbox,
        rows: list[str],
        answer: str,
        code: int,
        left: int,
    ) -> None:
        words = ["revoke", rows[0]]
        ended = shell.on_a_terminal(NEW, *words, answers=[("Revoke 1 token? [y/N]", answer)])
        assert ended.code == code, ended
        assert len(ids(sandbox)) == left

    def test_each_failure_is_said_and_the_others_go(
        self, shell: Shell, sandbox: Sandbox, rows: list[str]
    ) -> None:
        order_fault(sandbox, action="appToken.delete", fault="status", status=403)
        ended = shell.new("revoke", *rows, "--yes", "--quiet")
        assert ended.code == 4
        (failed,) = ids(sandbox)
        assert set(ended.lines) == set(rows) - {failed}
        assert f"error: {failed} was not revoked: " in ended.err
        missing = shell.new("revoke", failed, "0_unknown0", "--yes")
        assert (missing.code, missing.lines) == (3, [f"revoked: {failed}"])
        assert "error: 0_unknown0 was not revoked: the account has no such token" in missing.err

    def test_nothing_to_revoke_is_no_failure(self, shell: Shell) -> None:
        ended = shell.new("revoke", "--user", "nobody")
        assert (ended.code, ended.out) == (0, "")
        assert "there is no token to revoke" in ended.err

    @pytest.mark.parametrize(
        ("words", "complaint"),
        [
            ([], "either ids or a filter"),
            (["0_a", "--user", "jane"], "either ids or a filter"),
            (["--user", ""], "is empty"),
            (["--description", " "], "is empty"),
            ([""], "empty"),
        ],
    )
    @pytest.mark.usefixtures("rows")
    def test_an_empty_filter_revokes_nothing(
        self, shell: Shell, sandbox: Sandbox, words: list[str], complaint: str
    ) -> None:
        ended = shell.new("revoke", *words, "--yes")
        assert (ended.code, ended.out) == (2, "")
        assert complaint in ended.err
        assert len(ids(sandbox)) == 3
