"""`kaltura-app-token ks` and `hash`: what is told of sessions, and what needs no server."""

from __future__ import annotations

import subprocess
import time
from datetime import timedelta
from pathlib import Path

import pytest
from conftest import NEW, Shell, account_of, clean_environment
from kaltura_app_token import InvalidSession, PermissionDenied, open_ks, sign_ks, token_hash
from kaltura_app_token.model import AppToken, Session
from kaltura_app_token.sandbox import Sandbox
from test_command_output import requests_of


@pytest.fixture
def token(sandbox: Sandbox) -> AppToken:
    return sandbox.client().add_token(session_privileges="sview:*,enableentitlement:1")


@pytest.fixture
def session(sandbox: Sandbox, token: AppToken) -> Session:
    return sandbox.client().start_session(token.id, token.token or "", user_id="jane")


def without(shell: Shell, *names: str) -> Shell:
    kept = {name: value for name, value in shell.environment.items() if name not in names}
    return Shell(shell.directory, kept)


def is_alive(sandbox: Sandbox, session: Session) -> bool:
    """A USER session may ask nothing here, and a dead one is refused for another reason."""
    client = sandbox.client(admin_secret=None, ks=session.ks)
    with pytest.raises((PermissionDenied, InvalidSession)) as refusal:
        client.session_info()
    return refusal.type is PermissionDenied


class TestInspect:
    def test_with_the_secret_everything_is_told(
        self, shell: Shell, sandbox: Sandbox, token: AppToken, session: Session
    ) -> None:
        ended = shell.new("ks", "inspect", "-", "--format", "json", stdin=session.ks.reveal())
        assert ended.code == 0, ended
        told = ended.json
        assert (told["version"], told["verified"], told["expired"]) == (2, True, False)
        assert (told["partnerId"], told["sessionType"]) == (sandbox.partner_id, 0)
        assert (told["userId"], told["expiry"]) == ("jane", session.expiry)
        assert told["privileges"] == session.privileges
        assert told["appTokenId"] == token.id
        # What the exchange itself puts there is no finding.
        assert [found["privilege"] for found in told["warnings"]] == ["enableentitlement:1"]

    def test_it_is_told_in_words(self, shell: Shell, token: AppToken, session: Session) -> None:
        ended = shell.new("ks", "inspect", "-", stdin=session.ks.reveal())
        assert ended.code == 0
        told = dict(line.split(": ", 1) for line in ended.lines)
        assert told["verified"] == "yes, signed with the secret of the environment"
        assert (told["sessionType"], told["appTokenId"]) == ("USER", token.id)
        assert ", in 23 hours" in told["expiry"] or ", in 1 day" in told["expiry"]
        assert "warning: privilege enableentitlement:1: " in ended.err

    def test_without_the_secret_a_version_2_tells_its_account(
        self, shell: Shell, sandbox: Sandbox, session: Session
    ) -> None:
        bare = without(shell, "KALTURA_ADMIN_SECRET")
        ended = bare.new("ks", "inspect", "-", stdin=session.ks.reveal())
        assert ended.code == 0
        assert ended.lines == [
            "version: 2",
            "verified: cannot be told without the admin secret, nor the rest, which is encrypted",
            f"partnerId: {sandbox.partner_id}",
        ]

    def test_without_the_secret_a_version_1_tells_everything(
        self, bare: Shell, sandbox: Sandbox
    ) -> None:
        ks = sign_ks(
            "any", partner_id=7, expiry=1500000000, user_id="jane", privileges="list:*", version=1
        )
        told = bare.new("ks", "inspect", "-", "--format", "json", stdin=ks.reveal()).json
        assert (told["version"], told["verified"], told["expired"]) == (1, None, True)
        assert (told["partnerId"], told["userId"], told["privileges"]) == (7, "jane", "list:*")
        ended = bare.new("ks", "inspect", "-", stdin=ks.reveal())
        assert "(2017-07-14T02:40:00Z, expired " in ended.out

    def test_a_signature_that_does_not_fit_is_a_finding(
        self, shell: Shell, session: Session
    ) -> None:
        words = ["ks", "inspect", "-"]
        ended = shell.new(*words, stdin=session.ks.reveal(), KALTURA_ADMIN_SECRET="wrong")
        assert ended.code == 6
        assert "verified: no: the secret of the environment did not sign it" in ended.out

    def test_another_accounts_secret_proves_nothing(self, shell: Shell, session: Session) -> None:
        ended = shell.new("ks", "inspect", "-", stdin=session.ks.reveal(), KALTURA_PARTNER_ID="7")
        assert ended.code == 0
        assert "the secret of the environment is that of partner 7" in ended.out

    @pytest.mark.parametrize(
        "form",
        [
            "{}",
            "  {}\n",
            "ks={}",
            "https://example.com/p/1/sp/2/ks/{}/name/x",
            "https://example.com/api_v3/?service=session&ks={}&format=1",
            "https://example.com/player#ks={}",
            "https://example.com/index.php?flashvars[ks]={}",
        ],
    )
    def test_it_is_found_in_urls(self, shell: Shell, session: Session, form: str) -> None:
        for ks in (session.ks.reveal(), session.ks.reveal().replace("=", "%3D")):
            if "%" in ks and "://" not in form:
                continue
            text = form.format(ks)
            ended = shell.new("ks", "inspect", "-", stdin=text)
            assert ended.code == 0, ended
            assert "verified: yes" in ended.out
        ended = shell.new("ks", "inspect", form.format(session.ks.reveal()))
        assert "verified: yes" in ended.out
        assert "warning: the KS: a command line can be read" in ended.err
        assert session.ks.reveal() not in ended.err + ended.out

    def test_it_is_taken_from_the_environment(self, shell: Shell, session: Session) -> None:
        ended = shell.new("ks", "inspect", KALTURA_KS=session.ks.reveal())
        assert (ended.code, "verified: yes" in ended.out) == (0, True)
        assert ended.err.startswith("kaltura-app-token: note: the KS is that of KALTURA_KS\n")
        path = shell.directory / "ks"
        path.write_text(session.ks.reveal(), encoding="utf-8")
        ended = shell.new("ks", "inspect", KALTURA_KS_FILE=str(path))
        assert (ended.code, "verified: yes" in ended.out) == (0, True)
        assert ended.err.startswith("kaltura-app-token: note: the KS is that of KALTURA_KS_FILE\n")

    @pytest.mark.parametrize("secret", [True, False])
    def test_the_server_can_be_asked(self, shell: Shell, sandbox: Sandbox, secret: bool) -> None:
        ks = sandbox.client(user_id="jane").sign_admin_session().ks.reveal()
        asked = shell if secret else without(shell, "KALTURA_ADMIN_SECRET")
        ended = asked.new("ks", "inspect", "--online", "--format", "json", KALTURA_KS=ks)
        assert ended.code == 0, ended
        assert (ended.json["online"]["accepted"], ended.json["online"]["userId"]) == (True, "jane")
        assert ended.json["verified"] is (True if secret else None)

    def test_the_server_tells_of_a_users_session_to_the_admin_secret(
        self, shell: Shell, session: Session
    ) -> None:
        words = ["ks", "inspect", "-", "--online"]
        ended = shell.new(*words, stdin=session.ks.reveal())
        assert ended.code == 0, ended
        assert "accepted by the server: yes\n  partnerId: " in ended.out
        bare = without(shell, "KALTURA_ADMIN_SECRET")
        ended = bare.new(*words, stdin=session.ks.reveal())
        assert (ended.code, ended.lines[-1]) == (0, "accepted by the server: yes")

    def test_what_the_server_refuses_is_told_as_far_as_it_can_be(
        self, shell: Shell, sandbox: Sandbox, session: Session
    ) -> None:
        sandbox.client().end_session(session.ks)
        words = ["ks", "inspect", "-", "--online"]
        ended = shell.new(*words, stdin=session.ks.reveal())
        assert ended.code == 3
        assert "verified: yes" in ended.out
        assert "accepted by the server: no" in ended.out
        assert "error: INVALID_KS" in ended.err
        assert "the session was ended" in ended.err

    def test_another_accounts_server_is_not_asked(self, shell: Shell, session: Session) -> None:
        words = ["ks", "inspect", "-", "--online"]
        ended = shell.new(*words, stdin=session.ks.reveal(), KALTURA_PARTNER_ID="7")
        assert (ended.code, "the account is 7" in ended.err) == (2, True)

    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            ("nonsense", "this is not a KS"),
            ("https://example.com/", "the URL holds no KS"),
            ("", "standard input is empty"),
        ],
    )
    def test_what_is_no_ks_is_refused(self, shell: Shell, text: str, complaint: str) -> None:
        ended = shell.new("ks", "inspect", "-", stdin=text)
        assert (ended.code, ended.out) == (2, "")
        assert complaint in ended.err

    def test_there_has_to_be_one(self, shell: Shell) -> None:
        ended = shell.new("ks", "inspect")
        assert (ended.code, "no KS is given" in ended.err) == (2, True)


class TestGenerate:
    @pytest.mark.parametrize("version", ["1", "2", "v1", "V2"])
    def test_it_prints_a_ks_alone(self, shell: Shell, sandbox: Sandbox, version: str) -> None:
        words = ["--type", "admin", "--user", "jane", "--duration", "10m", "--privileges", "list:*"]
        ended = shell.new("ks", "generate", "--version", version, *words)
        assert (ended.code, ended.err, ended.out.count("\n")) == (0, "", 1)
        info = open_ks(ended.out.strip(), sandbox.admin_secret)
        assert (info.version, str(info.session_type)) == (int(version[-1]), "ADMIN")
        assert (info.user_id, info.privileges) == ("jane", "list:*")
        assert info.expiry is not None
        assert 0 <= time.time() + 600 - info.expiry < 60
        # The server accepts it: an ADMIN session may ask for itself.
        account = {"service_url": sandbox.service_url, "admin_secret": None}
        assert sandbox.client(ks=ended.out.strip(), **account).session_info()

    def test_left_alone_it_is_a_users_for_an_hour(self, shell: Shell, sandbox: Sandbox) -> None:
        told = shell.new("ks", "generate", "--format", "json").json
        assert (told["sessionType"], told["version"]) == (0, 2)
        assert 0 <= time.time() + 3600 - told["expiry"] < 60
        assert open_ks(told["ks"], sandbox.admin_secret).verified

    def test_it_needs_no_server(self, shell: Shell) -> None:
        ended = shell.new("ks", "generate", KALTURA_SERVICE_URL="http://127.0.0.1:1")
        assert ended.code == 0

    def test_what_will_not_work_is_warned_of(self, shell: Shell) -> None:
        ended = shell.new("ks", "generate", "--privileges", "enableentitlement:True")
        assert (ended.code, ended.out.count("\n")) == (0, 1)
        assert "warning: privilege enableentitlement:True" in ended.err

    @pytest.mark.parametrize(
        ("words", "complaint"),
        [
            (["--duration", "0"], "has expired when it is made"),
            (["--version", "3"], "neither 1 nor 2"),
            (["--privileges", "_e:1"], "starts with _"),
        ],
    )
    def test_what_cannot_be_is_refused(
        self, shell: Shell, words: list[str], complaint: str
    ) -> None:
        ended = shell.new("ks", "generate", *words)
        assert (ended.code, ended.out) == (2, "")
        assert complaint in ended.err

    def test_it_needs_the_admin_secret(self, shell: Shell, session: Session) -> None:
        bare = without(shell, "KALTURA_ADMIN_SECRET")
        for environment in ({}, {"KALTURA_KS": session.ks.reveal()}):
            ended = bare.new("ks", "generate", **environment)
            assert (ended.code, ended.out) == (2, "")
            assert "the admin secret is missing" in ended.err


class TestEnd:
    def test_in_a_pipe_it_needs_yes(
        self, shell: Shell, sandbox: Sandbox, token: AppToken, session: Session
    ) -> None:
        refused = shell.new("ks", "end", "-", stdin=session.ks.reveal())
        assert (refused.code, refused.out) == (2, "")
        assert "--yes" in refused.err
        assert is_alive(sandbox, session)
        ended = shell.new("ks", "end", "-", "--yes", stdin=session.ks.reveal())
        assert (ended.code, ended.out) == (0, "ended\n")
        assert f"was started from token {token.id}: ending it ends every session" in ended.err
        assert not is_alive(sandbox, session)

    @pytest.mark.parametrize(("answer", "code", "alive"), [("y", 0, False), ("", 130, True)])
    def test_on_a_terminal_it_asks(
        self, shell: Shell, sandbox: Sandbox, session: Session, answer: str, code: int, alive: bool
    ) -> None:
        shell.environment["KALTURA_KS"] = session.ks.reveal()
        ended = shell.on_a_terminal(NEW, "ks", "end", answers=[("End it? [y/N] ", answer)])
        assert ended.code == code, ended
        assert is_alive(sandbox, session) is alive

    def test_it_warns_as_far_as_it_can_tell(
        self, shell: Shell, sandbox: Sandbox, session: Session
    ) -> None:
        bare = without(shell, "KALTURA_ADMIN_SECRET")
        ended = bare.new("ks", "end", "-", "--dry-run", stdin=session.ks.reveal())
        assert ended.code == 0
        own = sign_ks(sandbox.admin_secret, partner_id=sandbox.partner_id, duration=timedelta(1))
        ended = bare.new("ks", "end", "-", "--yes", stdin=own.reveal())
        assert "if the session was started from a token" in ended.err
        own = sign_ks(sandbox.admin_secret, partner_id=sandbox.partner_id, duration=timedelta(1))
        ended = shell.new("ks", "end", "-", "--yes", stdin=own.reveal())
        assert "whoever uses this session is logged out" in ended.err

    def test_it_says_whose_session_it_ends_and_where(
        self, shell: Shell, bare: Shell, sandbox: Sandbox, session: Session
    ) -> None:
        words = ["ks", "end", "-", "--dry-run"]
        ended = shell.new(*words, stdin=session.ks.reveal())
        account = f"account {sandbox.partner_id} at"
        assert f": {account} {sandbox.service_url} (from the environment)\n" in ended.err
        ended = Shell(bare.directory, clean_environment()).new(*words, stdin=session.ks.reveal())
        assert f": {account} https://www.kaltura.com/api_v3 (from the session)\n" in ended.err

    @pytest.mark.parametrize("words", [["end", "-", "--yes"], ["inspect", "-", "--online"]])
    def test_what_is_no_ks_is_refused_without_asking_anybody(
        self, shell: Shell, sandbox: Sandbox, words: list[str]
    ) -> None:
        for text in ("garbage", "djJ8abc", "a b", "x" * 65_000):
            ended = shell.new("ks", *words, stdin=text)
            assert (ended.code, ended.out) == (2, "")
            assert "this is not a KS" in ended.err
            assert text not in ended.err.replace("kaltura-app-token", "")
        assert requests_of(sandbox) == []

    def test_a_dry_run_ends_nothing(self, shell: Shell, sandbox: Sandbox, session: Session) -> None:
        ended = shell.new("ks", "end", "-", "--dry-run", stdin=session.ks.reveal())
        assert ended.code == 0
        url = f"{sandbox.service_url}/service/session/action/end"
        assert ended.lines == [f"session.end: POST {url}", "  format=1", "  ks=****"]
        assert is_alive(sandbox, session)

    def test_another_accounts_session_is_not_sent(self, shell: Shell, session: Session) -> None:
        ended = shell.new(
            "ks", "end", "-", "--yes", stdin=session.ks.reveal(), KALTURA_PARTNER_ID="7"
        )
        assert ended.code == 2
        assert "the account is 7" in ended.err

    def test_the_session_names_its_account_itself(
        self, bare: Shell, sandbox: Sandbox, session: Session
    ) -> None:
        ended = bare.new("ks", "end", "-", "--dry-run", stdin=session.ks.reveal())
        assert "session.end: POST https://www.kaltura.com/api_v3/" in ended.out


class TestHash:
    @pytest.fixture
    def ks(self, sandbox: Sandbox) -> str:
        return sandbox.client(admin_secret=None).start_widget_session().ks.reveal()

    @pytest.mark.parametrize("hash_type", ["MD5", "SHA1", "SHA256", "SHA512"])
    def test_it_prints_the_hash_alone(self, bare: Shell, ks: str, hash_type: str) -> None:
        path = bare.directory / "value"
        path.write_text("the-value\n", encoding="utf-8")
        ks_path = bare.directory / "ks"
        ks_path.write_text(ks + "\r\n", encoding="utf-8")
        expected = token_hash(ks, "the-value", hash_type)  # type: ignore[arg-type]
        words = ["hash", "--hash-type", hash_type.lower()]
        for more, stdin, environment in (
            (["-", "--app-token-file", str(path)], ks + "\n", {}),
            (["--ks-file", "-", "--app-token-file", str(path)], ks, {}),
            (["--ks-file", str(ks_path), "--app-token-file", "-"], "the-value\n", {}),
            (["--ks-file", str(ks_path)], "", {"KALTURA_APP_TOKEN": "the-value"}),
            ([], "", {"KALTURA_KS": ks, "KALTURA_APP_TOKEN": "the-value"}),
        ):
            ended = bare.new(*words, *more, stdin=stdin, **environment)
            assert (ended.code, ended.out, ended.err) == (0, expected + "\n", "")

    def test_the_server_accepts_it(self, bare: Shell, sandbox: Sandbox, ks: str) -> None:
        token = sandbox.client().add_token()
        assert token.token is not None
        value = token.token.reveal()
        digest = bare.new("hash", KALTURA_KS=ks, KALTURA_APP_TOKEN=value).out.strip()
        from urllib.parse import urlencode
        from urllib.request import ProxyHandler, build_opener

        form = urlencode({"ks": ks, "id": token.id, "tokenHash": digest, "format": 1}).encode()
        url = f"{sandbox.service_url}/service/appToken/action/startSession"
        with build_opener(ProxyHandler({})).open(url, form, timeout=10) as answer:
            assert b"KalturaSessionInfo" in answer.read()

    def test_the_explanation_names_the_variable_of_the_ks(self, bare: Shell, ks: str) -> None:
        path = bare.directory / "ks"
        path.write_text(ks + "\n", encoding="utf-8")
        for variable, value in (("KALTURA_KS", ks), ("KALTURA_KS_FILE", str(path))):
            environment = {variable: value, "KALTURA_APP_TOKEN": "the-value"}
            ended = bare.new("hash", "--explain", **environment)
            assert (ended.code, ended.out) == (0, token_hash(ks, "the-value") + "\n")
            assert f"KS: {len(ks)} bytes from {variable}\n" in ended.err

    def test_the_value_is_asked_for_on_a_terminal(self, bare: Shell, ks: str) -> None:
        bare.environment["KALTURA_KS"] = ks
        ended = bare.on_a_terminal(NEW, "hash", answers=[("The token's value: ", "the-value")])
        assert ended.code == 0, ended
        assert ended.lines[-1] == token_hash(ks, "the-value")
        assert "the-value" not in ended.out

    def test_the_explanation_counts_the_bytes_and_shows_no_secret(
        self, bare: Shell, ks: str
    ) -> None:
        value = "0123456789abcdef" * 2
        (bare.directory / "value").write_text(value + "\n", encoding="utf-8")
        words = ["hash", "--app-token-file", "value", "--explain"]
        ended = bare.new(*words, KALTURA_KS=ks)
        assert (ended.code, ended.out) == (0, token_hash(ks, value) + "\n")
        assert f"SHA256 of these {len(ks) + 32} bytes" in ended.err
        assert f"KS: {len(ks)} bytes from KALTURA_KS" in ended.err
        assert "token: 32 bytes from value\n    a line end follows it" in ended.err
        assert value[4:-4] not in ended.err
        assert ks[4:-4] not in ended.err

    @pytest.mark.parametrize(
        ("value", "complaint"),
        [
            ("short", "5 bytes from standard input"),
            ("0123456789abcdef ", "begins or ends with a space"),
            ("0123456789abcdéf", "more than ASCII"),
        ],
    )
    def test_the_explanation_names_what_is_odd(
        self, bare: Shell, ks: str, value: str, complaint: str
    ) -> None:
        words = ["hash", "--explain", "--app-token-file", "-"]
        ended = bare.new(*words, stdin=value, KALTURA_KS=ks)
        assert complaint in ended.err
        assert value not in ended.err

    def test_what_the_environment_loses_is_named(self, bare: Shell, ks: str) -> None:
        value = "0123456789abcdef"
        ended = bare.new("hash", "--explain", KALTURA_KS=ks, KALTURA_APP_TOKEN=f" {value} ")
        assert ended.out.strip() == token_hash(ks, value)
        assert "2 bytes around it there are left out" in ended.err

    @pytest.mark.parametrize("hash_type", ["MD5", "SHA1", "SHA256", "SHA512"])
    def test_the_shell_line_gives_the_same(self, bare: Shell, ks: str, hash_type: str) -> None:
        environment = {"KALTURA_KS": ks, "KALTURA_APP_TOKEN": "the-value"}
        ended = bare.new("hash", "--explain", "--hash-type", hash_type, **environment)
        line = ended.err.splitlines()[-1].strip()
        done = subprocess.run(  # noqa: S603
            ["/bin/sh", "-c", line],
            env=bare.environment | environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == ended.out

    @pytest.mark.parametrize(
        ("words", "complaint"),
        [
            (["-", "--app-token-file", "-"], "standard input can hold only one secret"),
            (["-"], "the token's value is not given"),
            (["-", "--ks-file", "x"], "are both given"),
            ([], "no KS is given"),
        ],
    )
    def test_both_have_to_be_there(self, bare: Shell, words: list[str], complaint: str) -> None:
        ended = bare.new("hash", *words, stdin="djJ8abc")
        assert (ended.code, ended.out) == (2, "")
        assert complaint in ended.err


def test_the_examples_in_the_docstrings_are_true() -> None:
    import doctest

    from kaltura_app_token.command import ks

    result = doctest.testmod(ks)
    assert result.attempted > 0
    assert result.failed == 0


def test_an_account_is_not_needed_to_look_at_a_session(bare: Shell, sandbox: Sandbox) -> None:
    ks = sandbox.client(admin_secret=None).start_widget_session().ks.reveal()
    assert bare.new("ks", "inspect", "-", stdin=ks).code == 0
    path = Path(bare.directory / "secret")
    path.write_text(account_of(sandbox)["KALTURA_ADMIN_SECRET"], encoding="utf-8")
    ended = bare.new("ks", "inspect", "-", "--admin-secret-file", "secret", stdin=ks)
    assert "verified: yes, signed with the secret of the options" in ended.out
