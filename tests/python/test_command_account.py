"""`kaltura-app-token`: where account and secrets come from, and how `config` tells of it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
from pathlib import Path

import pytest
from conftest import NEW, Shell, account_of, write_config
from kaltura_app_token import Settings, token_hash
from kaltura_app_token.command import account, config
from kaltura_app_token.sandbox import Sandbox


def write_profiles(shell: Shell, **profiles: object) -> Path:
    """A file of profiles, readable by its owner only, that the shell's commands read."""
    shell.environment["XDG_CONFIG_HOME"] = str(shell.directory / "home")
    path = shell.directory / "home" / "kaltura-app-token" / "config.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"profiles": profiles}), encoding="utf-8")
    path.chmod(0o600)
    return path


def profile_of(sandbox: Sandbox, **more: object) -> dict[str, object]:
    return {
        "partner_id": sandbox.partner_id,
        "admin_secret": sandbox.admin_secret,
        "service_url": sandbox.service_url,
    } | more


class TestProfiles:
    def test_one_is_named_by_option_or_environment(self, bare: Shell, sandbox: Sandbox) -> None:
        write_profiles(bare, mine=profile_of(sandbox), other={"partner_id": 7})
        assert bare.new("list", "--profile", "mine").code == 0
        assert bare.new("list", KALTURA_PROFILE="mine").code == 0
        assert bare.new("list", "--profile", "mine", KALTURA_PROFILE="other").code == 0
        assert bare.new("list").code == 2

    def test_the_secret_can_stand_in_a_file_beside_it(self, bare: Shell, sandbox: Sandbox) -> None:
        profile = profile_of(sandbox, admin_secret_file="mine.secret")
        del profile["admin_secret"]
        path = write_profiles(bare, mine=profile)
        secret = path.with_name("mine.secret")
        secret.write_text(sandbox.admin_secret + "\n", encoding="utf-8")
        secret.chmod(0o600)
        assert bare.new("list", "--profile", "mine").code == 0
        home = bare.directory / "mine.secret"
        secret.rename(home)
        write_profiles(bare, mine=profile | {"admin_secret_file": "~/mine.secret"})
        ended = bare.new("list", "--profile", "mine", HOME=str(bare.directory))
        assert (ended.code, "warning" in ended.err) == (0, False)

    def test_a_file_that_others_may_have_written_is_refused(
        self, bare: Shell, sandbox: Sandbox
    ) -> None:
        path = write_profiles(bare, mine=profile_of(sandbox))
        path.chmod(0o666)
        refused = bare.new("list", "--profile", "mine")
        assert refused.code == 2
        assert f"{path} is not trusted: everybody can write to it" in refused.err
        assert sandbox.admin_secret not in refused.err
        assert bare.new("list", "--profile", "mine", KALTURA_TRUST_FILES="1").code == 0

    def test_the_environment_comes_first_and_config_json_last(
        self, shell: Shell, sandbox: Sandbox
    ) -> None:
        with Sandbox() as of_profile, Sandbox() as of_file:
            write_profiles(shell, mine=profile_of(of_profile))
            write_config(shell.directory, of_file)
            assert shell.new("create", KALTURA_PROFILE="mine").code == 0
            assert len(list(sandbox.client().tokens())) == 1
            bare = Shell(shell.directory, dict(shell.environment))
            for name in account_of(sandbox):
                del bare.environment[name]
            assert bare.new("create", KALTURA_PROFILE="mine").code == 0
            assert len(list(of_profile.client().tokens())) == 1
            assert bare.new("create").code == 0
            assert len(list(of_file.client().tokens())) == 1

    def test_a_token_can_be_part_of_it(self, bare: Shell, sandbox: Sandbox) -> None:
        token = sandbox.client().add_token()
        assert token.token is not None
        write_profiles(
            bare,
            mine={
                "partner_id": sandbox.partner_id,
                "service_url": sandbox.service_url,
                "app_token_id": token.id,
                "app_token": token.token.reveal(),
            },
        )
        ended = bare.new("session", "--profile", "mine")
        assert ended.code == 0, ended
        assert sandbox.client().session_info(ended.out.strip())

    def test_all_of_its_settings_are_used(self, bare: Shell, sandbox: Sandbox) -> None:
        more = {"user_id": "jane", "session_expiry": 600, "admin_privileges": "list:*"}
        write_profiles(bare, mine=profile_of(sandbox, **more))
        told = bare.new("config", "show", "--profile", "mine", "--format", "json").json
        values = {name: row["value"] for name, row in told.items() if row["value"] is not None}
        assert values == {
            "partnerId": sandbox.partner_id,
            "adminSecret": "****",
            "serviceUrl": sandbox.service_url,
            "userId": "jane",
            "sessionExpiry": 600,
            "adminPrivileges": "list:*",
        }

    @pytest.mark.parametrize("kept", ["profiles", "file"])
    def test_what_others_can_read_is_warned_of(
        self, bare: Shell, sandbox: Sandbox, kept: str
    ) -> None:
        profile = profile_of(sandbox)
        if kept == "file":
            del profile["admin_secret"]
            profile["admin_secret_file"] = "mine.secret"
        path = write_profiles(bare, mine=profile)
        if kept == "file":
            path.chmod(0o644)
            path = path.with_name("mine.secret")
            path.write_text(sandbox.admin_secret, encoding="utf-8")
        path.chmod(0o644)
        for words in (["list"], ["config", "show"]):
            ended = bare.new(*words, "--profile", "mine")
            assert (ended.code, ended.err.count("warning")) == (0, 1)
            assert f"warning: {path} holds a secret and can be read by other users" in ended.err

    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            (None, "there is no file of profiles"),
            ("{", "is not JSON"),
            ("[]", 'has no "profiles" object'),
            ('{"profiles": {"b": {}, "a": {}}}', "its profiles are: a, b"),
            ('{"profiles": {"mine": 5}}', "is not an object"),
            ('{"profiles": {"mine": {"ks": "canary", "ks": "x"}}}', "the key ks stands twice"),
            ('{"profiles": {"mine": {"secret": "canary"}}}', "unknown setting secret"),
            ('{"profiles": {"mine": {"partner_id": "canary"}}}', "partner_id is not a number"),
            ('{"profiles": {"mine": {"partner_id": true}}}', "partner_id is not a number"),
            ('{"profiles": {"mine": {"partner_id": 0}}}', "partner_id is out of range"),
            ('{"profiles": {"mine": {"admin_secret": 5}}}', "admin_secret is not a text"),
            ('{"profiles": {"mine": {"admin_secret": ""}}}', "admin_secret is empty"),
            (
                '{"profiles": {"mine": {"ks": "canary", "ks_file": "x"}}}',
                "ks and ks_file are both given",
            ),
            ('{"profiles": {"mine": {"ks_file": "no-such"}}}', "no-such cannot be read"),
            ('{"profiles": {"mine": {"ks_file": 5}}}', "ks_file is not a path"),
        ],
    )
    def test_one_that_cannot_be_used_is_refused_and_not_quoted(
        self, bare: Shell, text: str | None, complaint: str
    ) -> None:
        path = write_profiles(bare)
        if text is None:
            path.unlink()
        else:
            path.write_text(text, encoding="utf-8")
        ended = bare.new("list", "--profile", "mine")
        assert (ended.code, ended.out) == (2, "")
        assert complaint in ended.err
        assert "canary" not in ended.err


class TestTheAccountThatWasMeant:
    """What must never happen to another account than the one that was named."""

    def test_a_typed_profile_is_acted_on_and_said(self, shell: Shell, sandbox: Sandbox) -> None:
        with Sandbox() as staging:
            write_profiles(shell, staging=profile_of(staging))
            of_environment = sandbox.client().add_token(description="nightly")
            staging.client().add_token(description="nightly")
            words = ["revoke", "--description", "nightly", "--profile", "staging", "--yes"]
            ended = shell.new(*words)
            assert ended.code == 0, ended
            assert [token.id for token in sandbox.client().tokens()] == [of_environment.id]
            assert list(staging.client().tokens()) == []
            assert ended.err.count("note: using ") == 1
            assert (
                f"note: using partner {staging.partner_id} of profile staging, in place of the "
                f"environment, at {staging.service_url}\n"
            ) in ended.err

    @pytest.mark.parametrize("elsewhere", ["environment", "config.json"])
    def test_a_typed_session_stays_here(
        self, bare: Shell, sandbox: Sandbox, elsewhere: str
    ) -> None:
        ks = sandbox.client().sign_admin_session().ks.reveal()
        path = bare.directory / "session"
        path.write_text(ks + "\n", encoding="utf-8")
        if elsewhere == "environment":
            bare.environment |= account_of(sandbox)
        else:
            write_config(bare.directory, sandbox)
        # Whatever would leave this machine gets as far as this proxy.
        with socket.create_server(("127.0.0.1", 0)) as proxy:
            address = f"http://127.0.0.1:{proxy.getsockname()[1]}"
            ended = bare.new(
                *("list", "--ks-file", str(path), "--proxy", address),
                *("--timeout", "1", "--max-retries", "0"),
            )
            proxy.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                proxy.accept()[0].close()
                pytest.fail(f"something left this machine: {ended}")
        assert ended.code == 2, ended
        assert (
            f"the service URL is in {'the ' * (elsewhere == 'environment')}{elsewhere}" in ended.err
        )
        ended = bare.new("list", "--ks-file", str(path), "--service-url", sandbox.service_url)
        assert ended.code == 0, ended

    def test_an_address_that_is_not_utf_8_is_not_the_default(self, bare: Shell) -> None:
        environment = {
            "KALTURA_PARTNER_ID": "102",
            "KALTURA_ADMIN_SECRET": "value",
            "KALTURA_SERVICE_URL": os.fsdecode(b"https://video.example.com/\xff"),
        }
        ended = bare.new("create", "--dry-run", **environment)
        assert (ended.code, ended.out) == (2, "")
        assert "the environment variable KALTURA_SERVICE_URL is not UTF-8" in ended.err


class TestConfig:
    def test_path_names_the_file(self, bare: Shell) -> None:
        path = bare.directory / "kaltura-app-token" / "config.json"
        ended = bare.new("config", "path", XDG_CONFIG_HOME=str(bare.directory))
        assert ended.out == f"{path}\n"
        for relative in ("", "relative"):
            ended = bare.new("config", "path", HOME="/home/jane", XDG_CONFIG_HOME=relative)
            assert ended.out == "/home/jane/.config/kaltura-app-token/config.json\n"

    def test_show_names_the_place_of_each_value(self, shell: Shell, sandbox: Sandbox) -> None:
        write_profiles(shell, mine=profile_of(sandbox, user_id="jane"))
        write_config(shell.directory, sandbox, DEFAULT_ADMIN_PRIVILEGES="list:*")
        ended = shell.new("config", "show", KALTURA_PROFILE="mine", KALTURA_APP_TOKEN="value")
        assert ended.code == 0, ended
        rows = {line.split()[0]: line.split(maxsplit=2)[1:] for line in ended.lines[1:]}
        assert rows == {
            "partnerId": [str(sandbox.partner_id), "the environment"],
            "adminSecret": ["****", "the environment"],
            "ks": [],
            "serviceUrl": [sandbox.service_url, "the environment"],
            "userId": ["jane", "profile mine"],
            "sessionExpiry": [],
            "adminPrivileges": ["list:*", "config.json"],
            "appTokenId": [],
            "appToken": ["****", "the environment"],
        }
        assert "note: the account in profile mine is not used" in ended.err
        assert "note: the account in config.json is not used" in ended.err

    def test_options_are_a_place_too(self, bare: Shell) -> None:
        words = ["config", "show", "--partner-id", "7", "--format", "json"]
        told = bare.new(*words).json
        assert told["partnerId"] == {"value": 7, "source": "the options"}
        assert told["serviceUrl"]["source"] == "the default"
        assert told["adminSecret"] == {"value": None, "source": None}

    def test_the_formats_have_the_same_rows(self, shell: Shell) -> None:
        names = list(shell.new("config", "show", "--format", "json").json)
        lines = shell.new("config", "show", "--format", "jsonl").lines
        assert [json.loads(line)["setting"] for line in lines] == names
        lines = shell.new("config", "show", "--format", "csv").lines
        assert [line.split(",")[0] for line in lines] == ["setting", *names]

    def test_nothing_needs_to_be_there(self, bare: Shell) -> None:
        ended = bare.new("config", "show", "--format", "json")
        assert (ended.code, ended.err) == (0, "")
        assert {row["value"] for row in ended.json.values()} == {None}

    @pytest.mark.parametrize("url", ["https://jane:canary@example.com", "https://x/?ks=canary"])
    def test_a_password_in_a_url_is_masked(self, shell: Shell, url: str) -> None:
        ended = shell.new("config", "show", KALTURA_SERVICE_URL=url)
        assert "canary" not in ended.out + ended.err

    @pytest.mark.parametrize("service_url", ["eu", None])
    def test_it_joins_places_as_the_client_does(self, service_url: str | None) -> None:
        settings = [
            Settings(user_id="a", app_token="x", service_url=service_url),
            Settings(profile="2", partner_id=2, admin_secret="b", admin_session_duration=60),
            Settings(profile="3", partner_id=3, user_id="c", app_token_id="i"),
        ]
        places = [account.Place(str(at), one, []) for at, one in enumerate(settings)]
        told = config.effective(places)
        resolved = Settings.resolve(settings, "admin")
        for attributes in (config._ACCOUNT, config._OTHERS, config._TOKEN):
            for name, attribute in attributes.items():
                value = getattr(resolved, attribute)
                if name == "serviceUrl" and value is None:
                    assert told[name][1] == "the default"
                else:
                    assert (told[name][0] is None) == (value is None), name
                    assert told[name][0] in (value, "****"), name


class TestSecretsAsOptions:
    def test_a_value_is_taken_with_a_warning(self, bare: Shell, sandbox: Sandbox) -> None:
        account = ["--partner-id", str(sandbox.partner_id), "--service-url", sandbox.service_url]
        secret = sandbox.admin_secret
        for words in (["--admin-secret", secret], [f"--admin-secret={secret}"]):
            ended = bare.new("create", "--quiet", *account, *words)
            assert ended.code == 0, ended
            assert ended.err == (
                "kaltura-app-token: warning: --admin-secret: a command line can be read by every "
                "user of this machine: use --admin-secret-file (- is standard input) or "
                "KALTURA_ADMIN_SECRET\n"
            )
        ks = sandbox.client().sign_admin_session().ks.reveal()
        ended = bare.new("list", "--quiet", *account, "--ks", ks)
        assert (ended.code, len(ended.lines)) == (0, 2)
        assert "warning: --ks: " in ended.err
        token = sandbox.client().add_token()
        assert token.token is not None
        ended = bare.new("session", token.id, *account, "--app-token", token.token.reveal())
        assert ended.code == 0
        assert "warning: --app-token: " in ended.err

    @pytest.mark.parametrize(
        ("words", "complaint"),
        [
            (["--admin-secret", "canary", "--admin-secret-file", "x"], "are both given"),
            (["--admin-secret", ""], "--admin-secret: the value is empty"),
            (["--ks", " "], "--ks: the value is empty"),
            (["--ks", os.fsdecode(b"canary\xff")], "--ks: the value is not UTF-8"),
            (["--admin-secret-file", "-", "--ks-file", "-"], "can hold only one secret"),
        ],
    )
    def test_what_cannot_be_is_refused(
        self, shell: Shell, words: list[str], complaint: str
    ) -> None:
        ended = shell.new("list", *words)
        assert (ended.code, ended.out) == (2, "")
        assert complaint in ended.err
        assert "canary" not in ended.err

    def test_standard_input_that_is_no_text_is_refused(self, shell: Shell) -> None:
        words = f"printf 'canary\\377' | {NEW} list --admin-secret-file -"
        ended = shell.run("sh", "-c", words)
        assert (ended.code, ended.out) == (2, "")
        assert "standard input is not UTF-8 text" in ended.err


class TestSecretsInFilesOfVariables:
    @pytest.fixture
    def mounted(self, shell: Shell) -> dict[str, str]:
        """The environment of a container whose secrets are mounted as files."""
        del shell.environment["KALTURA_ADMIN_SECRET"]
        names = ("KALTURA_ADMIN_SECRET", "KALTURA_APP_TOKEN", "KALTURA_KS")
        return {f"{name}_FILE": str(shell.directory / name.lower()) for name in names}

    def test_a_program_has_the_session_and_no_way_to_the_secrets(
        self, shell: Shell, sandbox: Sandbox, mounted: dict[str, str]
    ) -> None:
        token = sandbox.client().add_token()
        assert token.token is not None
        Path(mounted["KALTURA_APP_TOKEN_FILE"]).write_text(token.token.reveal() + "\n")
        Path(mounted["KALTURA_ADMIN_SECRET_FILE"]).write_text(sandbox.admin_secret)
        del mounted["KALTURA_KS_FILE"]
        environment = mounted | {"KALTURA_APP_TOKEN_ID": token.id}
        assert shell.new("list", **environment).code == 0
        see = "import json, os; print(json.dumps(dict(os.environ)))"
        ended = shell.new("exec", "--", sys.executable, "-c", see, **environment)
        assert ended.code == 0, ended
        assert "KALTURA_KS" in ended.json
        assert not mounted.keys() & ended.json.keys()

    def test_a_session_is_taken_from_one_wherever_a_session_is_looked_at(
        self, shell: Shell, sandbox: Sandbox, mounted: dict[str, str]
    ) -> None:
        ks = sandbox.client().sign_admin_session().ks.reveal()
        path = mounted["KALTURA_KS_FILE"]
        Path(path).write_text(ks + "\n", encoding="utf-8")
        assert shell.new("list", KALTURA_KS_FILE=path).code == 0
        ended = shell.new("ks", "inspect", KALTURA_KS_FILE=path)
        assert (ended.code, f"partnerId: {sandbox.partner_id}" in ended.out) == (0, True), ended
        ended = shell.new("hash", KALTURA_KS_FILE=path, KALTURA_APP_TOKEN="value")
        assert ended.out == token_hash(ks, "value") + "\n"


class TestPrompts:
    def test_the_admin_secret_is_asked_for_on_a_terminal(
        self, shell: Shell, sandbox: Sandbox
    ) -> None:
        secret = shell.environment.pop("KALTURA_ADMIN_SECRET")
        question = f"Admin secret of partner {sandbox.partner_id}: "
        ended = shell.on_a_terminal(NEW, "create", "--quiet", answers=[(question, secret)])
        assert ended.code == 0, ended
        assert secret not in ended.out
        assert [token.id for token in sandbox.client().tokens()] == [ended.lines[-1]]

    def test_it_is_missed_in_a_pipe(self, shell: Shell) -> None:
        del shell.environment["KALTURA_ADMIN_SECRET"]
        ended = shell.new("list")
        assert (ended.code, "the admin secret is missing" in ended.err) == (2, True)

    def test_what_is_elsewhere_is_not_asked_for(self, shell: Shell) -> None:
        ended = shell.on_a_terminal(NEW, "list", "--partner-id", "7")
        assert ended.code == 2
        assert "Admin secret of" not in ended.out


@pytest.mark.skipif(os.name != "posix", reason="permissions as POSIX has them")
def test_a_config_json_that_others_can_read_is_warned_of(bare: Shell, sandbox: Sandbox) -> None:
    path = write_config(bare.directory, sandbox)
    path.chmod(0o644)
    ended = bare.new("list")
    assert (ended.code, ended.err.count("chmod 600")) == (0, 1)
