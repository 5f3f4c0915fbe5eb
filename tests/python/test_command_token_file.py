"""`-o FILE` of `create`, `ensure` and `rotate`: what the file holds, and what it never replaces."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from conftest import NEW, SCRIPTS, Shell, account_of, clean_environment, write_config
from kaltura_app_token import SessionProvider, TokenSource
from kaltura_app_token.sandbox import Sandbox
from test_command import order_fault, value_of
from test_command_creation import only_token, run_with
from test_command_output import requests_of

ENSURE = ["ensure", "--description", "mine"]


@pytest.fixture
def shell(tmp_path: Path, sandbox: Sandbox) -> Shell:
    environment = clean_environment() | account_of(sandbox)
    environment["PATH"] = f"{SCRIPTS}:{environment.get('PATH', '/usr/bin:/bin')}"
    environment["XDG_STATE_HOME"] = str(tmp_path / "state")
    environment["XDG_CONFIG_HOME"] = str(tmp_path / "config")
    return Shell(tmp_path, environment)


def added(sandbox: Sandbox) -> int:
    return [request["action"] for request in requests_of(sandbox)].count("add")


class TestANewFile:
    @pytest.mark.parametrize("words", [["create"], ENSURE], ids=lambda words: words[0])
    def test_holds_what_a_token_source_reads_and_is_its_owners_alone(
        self, shell: Shell, sandbox: Sandbox, words: list[str]
    ) -> None:
        ended = shell.new(*words, "-o", "token.json", "--format", "json")
        assert ended.code == 0, ended
        token = only_token(sandbox)
        assert ended.json["id"] == token.id
        assert value_of(token) not in ended.out + ended.err
        path = shell.directory / "token.json"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        expected = {"id": token.id, "token": value_of(token), "hashType": "SHA256"}
        assert json.loads(path.read_text()) == expected
        assert SessionProvider(sandbox.client(), TokenSource.file(path)).get().ks
        assert os.listdir(shell.directory) == ["token.json"]

    def test_beside_a_session_the_value_stays_in_it(self, shell: Shell, sandbox: Sandbox) -> None:
        ended = shell.new("create", "--start-session", "-o", "token.json")
        assert ended.code == 0, ended
        assert "session KS: " in ended.out
        assert value_of(only_token(sandbox)) not in ended.out

    @pytest.mark.parametrize("words", [["create"], ENSURE], ids=lambda words: words[0])
    @pytest.mark.parametrize(
        ("name", "complaint"),
        [
            ("nowhere/x", "cannot be written: No such file or directory"),
            (".", "it is a directory"),
            ("fifo", "it is not a regular file"),
            ("link", "it is not a regular file"),
            ("", "the name is empty"),
            ("x" * 300, "File name too long"),
        ],
        ids=["no directory", "a directory", "a FIFO", "a link", "empty", "too long"],
    )
    def test_that_cannot_be_written_is_refused_before_a_token_is_created(
        self, shell: Shell, sandbox: Sandbox, words: list[str], name: str, complaint: str
    ) -> None:
        os.mkfifo(shell.directory / "fifo")
        (shell.directory / "link").symlink_to("nothing")
        before = sorted(os.listdir(shell.directory))
        for more in ([], ["--force"]):
            ended = shell.new(*words, "-o", name, *more)
            assert (ended.code, ended.out) == (2, ""), ended
            assert complaint in ended.err
        assert added(sandbox) == 0
        assert sorted(os.listdir(shell.directory)) == before

    def test_is_not_left_behind_where_no_token_was_created(
        self, shell: Shell, sandbox: Sandbox
    ) -> None:
        order_fault(sandbox, action="appToken.add", fault="exception", code="X_FAILED")
        assert shell.new("create", "-o", "token.json").code == 3
        assert os.listdir(shell.directory) == []

    def test_that_cannot_be_finished_leaves_the_token_named(
        self, shell: Shell, sandbox: Sandbox
    ) -> None:
        fail = "lambda *_: (_ for _ in ()).throw(OSError(28, 'No space left on device'))"
        ended = run_with(shell, ["create", "-o", "token.json"], "os", "fsync", fail)
        token = only_token(sandbox)
        assert ended.code == 7, ended
        assert "token.json could not be written: No space left on device" in ended.err
        assert f"get {token.id} --show-secrets" in ended.err
        assert value_of(token) not in ended.out + ended.err
        assert os.listdir(shell.directory) == []

    def test_that_somebody_else_makes_meanwhile_is_theirs(
        self, shell: Shell, sandbox: Sandbox
    ) -> None:
        make = "lambda *_: open('token.json', 'w').write('theirs')"
        ended = run_with(shell, ["create", "-o", "token.json"], "os", "fsync", make)
        assert ended.code == 7, ended
        assert "File exists" in ended.err
        assert only_token(sandbox).id in ended.err
        assert (shell.directory / "token.json").read_text() == "theirs"
        assert os.listdir(shell.directory) == ["token.json"]


class TestAFileThatIsThere:
    @pytest.mark.parametrize("content", ["", "theirs", '{"id": "0_gone0000", "token": "t"}'])
    def test_is_replaced_by_create_only_when_that_is_said(
        self, shell: Shell, sandbox: Sandbox, content: str
    ) -> None:
        path = shell.directory / "token.json"
        path.write_text(content)
        refused = shell.new("create", "-o", "token.json")
        assert (refused.code, refused.out) == (2, "")
        assert f"{path} is there already" in refused.err
        assert (path.read_text(), added(sandbox)) == (content, 0)
        ended = shell.new("create", "-o", "token.json", "--force")
        assert ended.code == 0, ended
        assert json.loads(path.read_text())["id"] == only_token(sandbox).id
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def test_with_the_very_token_is_what_ensure_wants(self, shell: Shell, sandbox: Sandbox) -> None:
        path = shell.directory / "token.json"
        for _ in range(3):
            assert shell.new(*ENSURE, "-o", "token.json").code == 0
        assert json.loads(path.read_text())["id"] == only_token(sandbox).id

    @pytest.mark.parametrize("words", [ENSURE, ["rotate", "ID"]], ids=lambda words: words[0])
    @pytest.mark.parametrize("other", ["theirs", "alive"])
    def test_with_something_else_is_kept(
        self, shell: Shell, sandbox: Sandbox, words: list[str], other: str
    ) -> None:
        client = sandbox.client()
        token, alive = client.add_token(description="mine"), client.add_token(description="other")
        held = {"id": alive.id, "token": value_of(alive)}
        path = shell.directory / "token.json"
        path.write_text("theirs" if other == "theirs" else json.dumps(held))
        before = path.read_text()
        words = [token.id if word == "ID" else word for word in words]
        refused = shell.new(*words, "-o", "token.json")
        assert (refused.code, refused.out) == (2, ""), refused
        assert str(path) in refused.err
        assert value_of(alive) not in refused.err
        assert (path.read_text(), added(sandbox)) == (before, 2)
        ended = shell.new(*words, "-o", "token.json", "--force")
        assert ended.code == 0, ended
        assert json.loads(path.read_text())["id"] != alive.id

    def test_with_another_token_of_the_same_description_is_kept(
        self, shell: Shell, sandbox: Sandbox
    ) -> None:
        assert shell.new(*ENSURE, "-o", "token.json").code == 0
        first = only_token(sandbox)
        ended = shell.new(*ENSURE, "--privileges", "sview:*", "-o", "token.json")
        (second,) = [token.id for token in sandbox.client().tokens() if token.id != first.id]
        assert ended.code == 7, ended
        assert first.id in ended.err
        assert f"the token {second} was created" in ended.err
        assert json.loads((shell.directory / "token.json").read_text())["id"] == first.id

    def test_with_a_token_that_is_gone_or_is_replaced_makes_room(
        self, shell: Shell, sandbox: Sandbox
    ) -> None:
        path = shell.directory / "token.json"
        assert shell.new("create", "-o", "token.json").code == 0
        for _ in range(2):
            old = json.loads(path.read_text())["id"]
            assert shell.new("rotate", old, "-o", "token.json", "--delete-now").code == 0
            assert json.loads(path.read_text())["replaces"] == old
        sandbox.client().delete_token(json.loads(path.read_text())["id"])
        other = sandbox.client().add_token()
        assert shell.new("rotate", other.id, "-o", "token.json").code == 0

    def test_the_same_rotation_again_does_not_replace_what_is_alive(
        self, shell: Shell, sandbox: Sandbox
    ) -> None:
        old = sandbox.client().add_token()
        assert shell.new("rotate", old.id, "-o", "token.json").code == 0
        new = json.loads((shell.directory / "token.json").read_text())
        again = shell.new("rotate", old.id, "-o", "token.json")
        assert (again.code, again.out) == (2, "")
        assert f"holds token {new['id']}" in again.err
        assert json.loads((shell.directory / "token.json").read_text()) == new

    @pytest.mark.parametrize("words", [["create"], ENSURE, ["rotate", "0_a"]])
    @pytest.mark.parametrize("name", ["config.json", "config/kaltura-app-token/config.json", "key"])
    def test_that_configures_us_is_never_replaced(
        self, shell: Shell, sandbox: Sandbox, words: list[str], name: str
    ) -> None:
        write_config(shell.directory, sandbox)
        profiles = shell.directory / "config" / "kaltura-app-token"
        profiles.mkdir(parents=True)
        (profiles / "config.json").write_text("{}")
        (shell.directory / "key").write_text(sandbox.admin_secret)
        account = [
            *("--admin-secret-file", "key", "--partner-id", str(sandbox.partner_id)),
            *("--service-url", sandbox.service_url),
        ]
        before = (shell.directory / name).read_text()
        (shell.directory / "alias").symlink_to(name)
        for path in (name, "alias"):
            ended = shell.new(*words, *account, "-o", path, "--force")
            assert (ended.code, ended.out) == (2, ""), ended
            assert "settings or secrets are read from" in ended.err
        assert (shell.directory / name).read_text() == before
        assert added(sandbox) == 0


@pytest.mark.parametrize("words", [["create"], ENSURE, ["rotate", "0_a"]])
def test_force_without_a_file_is_refused(shell: Shell, words: list[str]) -> None:
    for more in ([], ["-o", "-"]):
        ended = shell.new(*words, "--force", *more)
        assert (ended.code, "there is no file to replace" in ended.err) == (2, True), ended


def test_the_words_for_it_are_in_the_help(shell: Shell) -> None:
    for command in ("create", "ensure", "rotate"):
        assert "--force" in shell.run(NEW, command, "--help").out
