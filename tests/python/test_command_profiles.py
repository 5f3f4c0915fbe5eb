"""`kaltura-app-token config set`, `use`, `unset` and `list`: the file that they write."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from conftest import NEW, Shell, write_config
from kaltura_app_token.sandbox import Sandbox


@pytest.fixture
def home(bare: Shell) -> Path:
    """Where the file of profiles and its secrets are, which need not be there."""
    bare.environment |= {"HOME": str(bare.directory), "XDG_CONFIG_HOME": ""}
    return bare.directory / ".config" / "kaltura-app-token"


def set_profile(shell: Shell, sandbox: Sandbox, name: str = "mine") -> None:
    words = ["config", "set", name, "--partner-id", str(sandbox.partner_id)]
    words += ["--service-url", sandbox.service_url, "--admin-secret-file", "-"]
    ended = shell.new(*words, stdin=sandbox.admin_secret + "\n")
    assert (ended.code, ended.out) == (0, ""), ended
    assert sandbox.admin_secret not in ended.err


def document(home: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((home / "config.json").read_text(encoding="utf-8"))
    return found


def test_a_profile_is_written_for_its_owner_alone(
    bare: Shell, sandbox: Sandbox, home: Path
) -> None:
    os.umask(0o022)
    set_profile(bare, sandbox)
    assert {path.name for path in home.iterdir()} == {"config.json", "mine.admin-secret"}
    assert home.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in home.iterdir()} == {0o600}
    assert sandbox.admin_secret not in (home / "config.json").read_text(encoding="utf-8")
    ended = bare.new("list", "--profile", "mine")
    assert (ended.code, "warning" in ended.err) == (0, False), ended


def test_a_file_with_a_secret_stays_where_it_is(
    bare: Shell, sandbox: Sandbox, home: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text(sandbox.admin_secret, encoding="utf-8")
    secret.chmod(0o600)
    bare.new("config", "set", "mine", "--admin-secret-file", "secret", "--user-id", "jane")
    assert document(home) == {
        "profiles": {"mine": {"user_id": "jane", "admin_secret_file": str(secret)}}
    }
    assert [path.name for path in home.iterdir()] == ["config.json"]


def test_a_secret_is_typed_unseen(bare: Shell, sandbox: Sandbox, home: Path) -> None:
    words = ["config", "set", "mine", "--partner-id", "5", "--admin-secret-file", "-"]
    question = "Secret for --admin-secret-file: "
    ended = bare.on_a_terminal(NEW, *words, answers=[(question, sandbox.admin_secret)])
    assert ended.code == 0, ended
    assert sandbox.admin_secret not in ended.out
    assert (home / "mine.admin-secret").read_text(encoding="utf-8") == sandbox.admin_secret + "\n"


def test_what_is_not_set_is_kept_and_what_stood_inline_goes(bare: Shell, home: Path) -> None:
    home.mkdir(parents=True)
    path = home / "config.json"
    kept = {"other": {"partner_id": 7, "of_a_later_version": [1.5, None]}, "mine": {"ks": "x"}}
    path.write_text(json.dumps({"comment": "ü", "profiles": kept}), encoding="utf-8")
    path.chmod(0o600)
    ended = bare.new("config", "set", "mine", "--partner-id", "5", "--ks-file", "-", stdin="abc\n")
    assert ended.code == 0, ended
    mine = {"partner_id": 5, "ks_file": "mine.ks"}
    assert document(home) == {"comment": "ü", "profiles": kept | {"mine": mine}}


@pytest.mark.parametrize("text", ["{", "[]", '{"profiles": 5}', '{"profiles": {}, "profiles": {}}'])
def test_a_broken_file_is_left_as_it_is(bare: Shell, home: Path, text: str) -> None:
    home.mkdir(parents=True)
    path = home / "config.json"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    for words in (["set", "x", "--partner-id", "5"], ["use", "x"], ["unset", "x"]):
        ended = bare.new("config", *words)
        assert (ended.code, ended.out) == (2, "")
        assert str(path) in ended.err
    assert path.read_text(encoding="utf-8") == text


def test_what_cannot_be_written_is_a_local_failure(bare: Shell, home: Path) -> None:
    home.parent.mkdir()
    home.write_text("in the way", encoding="utf-8")
    ended = bare.new("config", "set", "x", "--partner-id", "5")
    assert (ended.code, ended.out) == (7, "")
    assert f"{home} cannot be written" in ended.err


def test_processes_that_write_at_once_lose_nothing(bare: Shell, home: Path) -> None:
    words = [[NEW, "config", "set", f"p{at}", "--partner-id", str(at + 1)] for at in range(12)]
    processes = [
        subprocess.Popen(line, env=bare.environment, stderr=subprocess.DEVNULL)  # noqa: S603
        for line in words
    ]
    assert [process.wait(timeout=60) for process in processes] == [0] * 12
    profiles = {f"p{at}": {"partner_id": at + 1} for at in range(12)}
    assert document(home) == {"profiles": profiles}
    assert [path.name for path in home.iterdir()] == ["config.json"]


class TestTheDefault:
    def test_it_is_used_where_nothing_else_names_an_account(
        self, bare: Shell, sandbox: Sandbox, home: Path
    ) -> None:
        set_profile(bare, sandbox)
        assert bare.new("list").code == 2
        assert bare.new("config", "use", "mine").code == 0
        assert document(home)["default"] == "mine"
        assert bare.new("list").code == 0
        told = bare.new("config", "show", "--format", "json").json
        assert told["partnerId"]["source"] == "profile mine"
        with Sandbox() as other:
            write_config(bare.directory, other)
            assert bare.new("create").code == 0
            assert list(other.client().tokens()) == []
        (bare.directory / "config.json").unlink()
        assert bare.new("config", "use", "--none").code == 0
        assert "default" not in document(home)
        assert bare.new("list").code == 2

    def test_an_account_that_is_named_elsewhere_comes_before_it(
        self, bare: Shell, sandbox: Sandbox, home: Path
    ) -> None:
        bare.new("config", "set", "mine", "--partner-id", "5", "--service-url", "eu")
        bare.new("config", "set", "other", "--partner-id", "6", "--service-url", "sg")
        bare.new("config", "use", "mine")
        show = ["config", "show", "--format", "json"]
        assert bare.new(*show, KALTURA_PROFILE="other").json["partnerId"]["value"] == 6
        assert bare.new(*show, "--profile", "other").json["partnerId"]["value"] == 6
        typed = ["--partner-id", "7", "--service-url", "de"]
        assert bare.new(*show, *typed).json["partnerId"]["value"] == 7
        environment = {"KALTURA_PARTNER_ID": "8", "KALTURA_SERVICE_URL": "ca"}
        assert bare.new(*show, **environment).json["partnerId"]["value"] == 8

    def test_no_credential_goes_past_the_server_that_it_names(
        self, bare: Shell, sandbox: Sandbox, home: Path
    ) -> None:
        set_profile(bare, sandbox)
        bare.new("config", "use", "mine")
        (bare.directory / "ks").write_text("x" * 40, encoding="utf-8")
        ended = bare.new("list", "--partner-id", "7", "--ks-file", "ks")
        assert (ended.code, ended.out) == (2, "")
        assert "the service URL is in profile mine" in ended.err

    def test_a_file_that_cannot_be_read_does_not_matter_to_who_needs_none(
        self, shell: Shell
    ) -> None:
        home = shell.directory / "kaltura-app-token"
        home.mkdir()
        (home / "config.json").write_text("{", encoding="utf-8")
        assert shell.new("list", XDG_CONFIG_HOME=str(shell.directory)).code == 0


def test_removing_one_names_the_secret_that_is_left(
    bare: Shell, sandbox: Sandbox, home: Path
) -> None:
    set_profile(bare, sandbox)
    bare.new("config", "set", "mine", "--user-id", "jane")
    bare.new("config", "use", "mine")
    ended = bare.new("config", "unset", "mine", "user_id")
    assert ended.code == 0
    assert "user_id" not in json.dumps(document(home))
    ended = bare.new("config", "unset", "mine")
    assert ended.code == 0
    assert str(home / "mine.admin-secret") in ended.err
    assert document(home) == {"profiles": {}}


def test_the_list_says_which_one_is_used(bare: Shell, sandbox: Sandbox, home: Path) -> None:
    ended = bare.new("config", "list")
    assert (ended.code, ended.out, "no profiles" in ended.err) == (0, "", True)
    set_profile(bare, sandbox)
    bare.new("config", "set", "bad", "--user-id", "jane")
    bare.new("config", "use", "mine")
    told = bare.new("config", "list", "--format", "json").json
    assert told == {
        "mine": {
            "partnerId": sandbox.partner_id,
            "serviceUrl": sandbox.service_url,
            "secrets": "admin_secret",
            "used": "the default",
        },
        "bad": {"partnerId": None, "serviceUrl": None, "secrets": None, "used": None},
    }
    told = bare.new("config", "list", "--format", "json", KALTURA_PROFILE="bad").json
    assert [row["used"] for row in told.values()] == [None, "KALTURA_PROFILE"]


def test_an_untrusted_file_is_used_where_it_is_meant(
    bare: Shell, sandbox: Sandbox, home: Path
) -> None:
    set_profile(bare, sandbox)
    (home / "config.json").chmod(0o666)
    ended = bare.new("list", "--profile", "mine")
    assert (ended.code, "everybody can write to it" in ended.err) == (2, True)
    assert bare.new("list", "--profile", "mine", "--trust-files").code == 0
    token = sandbox.client().add_token()
    assert token.token is not None
    words = ["exec", token.id, "--app-token-file", "-", "--profile", "mine", "--trust-files"]
    ended = bare.new(*words, "--", "printenv", "KALTURA_TRUST_FILES", stdin=token.token.reveal())
    assert (ended.code, ended.out) == (1, ""), ended
