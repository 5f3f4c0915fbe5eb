"""The command with the old script's flags: every flag, its abbreviations, the documented samples,
the printed lines. What it is held against is the old script's documentation and recorded behaviour.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import NEW, OLD, ROOT, Ended, Shell, clean_environment, write_config
from kaltura_app_token import legacy
from kaltura_app_token.sandbox import Sandbox

Old = Callable[..., Ended]

# In the order in which the old script wrote privileges.
PRIVILEGES: list[tuple[str, list[str], str]] = [
    ("edit", ["1_abc"], "edit:1_abc"),
    ("sview", ["*"], "sview:*"),
    ("list", [], "list:*"),
    ("download", ["1_abc"], "download:1_abc"),
    ("downloadasset", ["1_asset"], "downloadasset:1_asset"),
    ("editplaylist", ["1_play"], "editplaylist:1_play"),
    ("sviewplaylist", ["1_play"], "sviewplaylist:1_play"),
    ("edituser", ["jane"], "edituser:jane"),
    ("actionslimit", ["5"], "actionslimit:5"),
    ("setrole", ["PLAYBACK_BASE_ROLE"], "setrole:PLAYBACK_BASE_ROLE"),
    ("iprestrict", ["10.1.2.3"], "iprestrict:10.1.2.3"),
    ("urirestrict", ["/api_v3/*"], "urirestrict:/api_v3/*"),
    ("enableentitlement", [], "enableentitlement"),
    ("disableentitlement", [], "disableentitlement"),
    ("disableentitlementforentry", ["1_abc"], "disableentitlementforentry:1_abc"),
    ("privacycontext", ["My Portal"], "privacycontext:My Portal"),
    ("enablecategorymoderation", [], "enablecategorymoderation"),
    ("reftime", ["1700000000"], "reftime:1700000000"),
    ("preview", ["1024"], "preview:1024"),
    ("sessionid", ["group"], "sessionid:group"),
]
OLD_FLAGS = [
    *(name for name, _, _ in PRIVILEGES),
    *("description", "create", "update", "delete", "start_session", "help"),
]


def created_id(ended: Ended) -> str:
    match = re.search(r"^Created New App Token ID: (\S+)$", ended.out, re.MULTILINE)
    assert match, ended
    return match[1]


@pytest.mark.parametrize(
    ("flag", "value", "privilege"), [case for case in PRIVILEGES if case[0] != "list"]
)
def test_a_privilege_flag_alone_creates_a_token_with_just_that_privilege(
    old: Old, sandbox: Sandbox, flag: str, value: list[str], privilege: str
) -> None:
    ended = old(f"--{flag}", *value)
    assert ended.code == 0, ended
    token = sandbox.client().get_token(created_id(ended))
    assert token.session_privileges == privilege
    assert f"App Token Session Privileges: {privilege}" in ended.lines


def test_privileges_are_written_in_the_documented_order(old: Old, sandbox: Sandbox) -> None:
    words = [word for flag, value, _ in reversed(PRIVILEGES) for word in (f"--{flag}", *value)]
    ended = old("--create", *words)
    assert ended.code == 0, ended
    token = sandbox.client().get_token(created_id(ended))
    assert token.session_privileges == ",".join(privilege for _, _, privilege in PRIVILEGES)


def unambiguous_abbreviations() -> list[tuple[str, str]]:
    return [
        (flag[:length], flag)
        for flag in OLD_FLAGS
        for length in range(1, len(flag))
        if flag[:length] not in OLD_FLAGS
        and sum(other.startswith(flag[:length]) for other in OLD_FLAGS) == 1
    ]


@pytest.mark.parametrize(("abbreviation", "flag"), unambiguous_abbreviations())
def test_every_unambiguous_abbreviation_of_an_old_flag_is_that_flag(
    abbreviation: str, flag: str
) -> None:
    parser = legacy.setup_parser()
    if flag == "help":
        with pytest.raises(SystemExit, match="0"):
            parser.parse_args([f"--{abbreviation}"])
        return
    values: dict[str, list[str]] = {name: value for name, value, _ in PRIVILEGES}
    values |= {"description": ["x"], "update": ["0_x"], "delete": ["0_x"]}
    words = values.get(flag, [])
    parsed = parser.parse_args([f"--{abbreviation}", *words])
    assert parsed == parser.parse_args([f"--{flag}", *words])
    assert getattr(parsed, flag) not in (None, False)


def test_documented_abbreviations_work_in_the_command(old: Old, sandbox: Sandbox) -> None:
    created = old("--cr", "--desc", "short", "--enablee", "--start")
    assert created.code == 0, created
    assert "App Token Description: short" in created.lines
    assert any(line.startswith("App Token Session KS: ") for line in created.lines)
    assert old("--del", created_id(created)).code == 0
    assert list(sandbox.client().tokens()) == []


@pytest.mark.parametrize("flag", sorted(legacy._NEW_FLAGS))
def test_new_flags_must_be_written_out(old: Old, flag: str) -> None:
    ended = old("--list", f"--{flag[:-1]}")
    assert (ended.code, ended.out) == (2, "")
    assert f"unknown option: --{flag[:-1]}" in ended.err


class TestDocumentedSamples:
    def test_create_a_new_app_token(self, old: Old, sandbox: Sandbox) -> None:
        ended = old("--create", "--description", "My App Token", "--edit", "*")
        token = sandbox.client().get_token(created_id(ended))
        assert token.token is not None
        assert ended.code == 0
        assert ended.lines == [
            f"Created New App Token ID: {token.id}",
            "App Token Description: My App Token",
            "App Token Session Privileges: edit:*",
            f"App Token Value: {token.token.reveal()}",
        ]
        assert (str(token.session_type), token.hash_type) == ("USER", "SHA256")

    def test_list_all_app_tokens(self, old: Old, sandbox: Sandbox) -> None:
        token = sandbox.client().add_token(description="first", session_privileges="sview:*")
        ended = old("--list")
        assert (ended.code, ended.err) == (0, "")
        assert ended.lines == [
            "App Token ID | Value | Description | Session Privileges",
            "-" * 55,
            f"{token.id}   | ****  | first       | sview:*",
        ]

    def test_update_an_existing_app_token(self, old: Old, sandbox: Sandbox) -> None:
        token = sandbox.client().add_token(description="old", session_privileges="edit:1_a")
        ended = old("--update", token.id, "--description", "Updated Description")
        assert ended.code == 0
        assert ended.lines == [
            f"Updated App Token ID: {token.id}",
            "Updated App Token Description: Updated Description",
            "Updated App Token Session Privileges: edit:1_a",
        ]
        changed = sandbox.client().get_token(token.id)
        assert changed.description == "Updated Description"
        assert (changed.session_privileges, changed.session_user_id) == ("edit:1_a", None)

    def test_delete_an_app_token(self, old: Old, sandbox: Sandbox) -> None:
        token = sandbox.client().add_token()
        ended = old("--delete", token.id)
        assert ended.code == 0
        said = f"deleting from partner {sandbox.partner_id} at {sandbox.service_url}"
        assert ended.err == f"kaltura_app_token_manager.py: note: {said}\n"
        assert ended.lines == [f"App Token with ID {token.id} has been deleted."]
        assert list(sandbox.client().tokens()) == []

    def test_start_a_session_with_the_app_token(self, old: Old, sandbox: Sandbox) -> None:
        ended = old("--create", "--start_session", "--description", "Session Token", "--sview", "*")
        assert ended.code == 0
        ks = ended.lines[-1].removeprefix("App Token Session KS: ")
        session = sandbox.client().session_info(ks)
        assert session.privileges is not None
        assert f"apptoken:{created_id(ended)}" in session.privileges
        assert "sview:*" in session.privileges

    def test_help(self, old: Old) -> None:
        for flag in ("-h", "--help"):
            ended = old(flag)
            assert (ended.code, ended.err) == (0, "")
            assert all(f"--{name}" in ended.out for name in OLD_FLAGS)


def test_without_arguments_the_help_is_on_stderr_and_the_exit_code_1(old: Old) -> None:
    ended = old()
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("usage: kaltura_app_token_manager.py")


@pytest.mark.parametrize(
    "words",
    [["--create"], ["--description", "x"], ["--description", ""], ["--enableentitlement"]],
)
def test_a_token_is_created_by_create_a_description_or_a_privilege(
    old: Old, sandbox: Sandbox, words: list[str]
) -> None:
    assert old(*words).code == 0
    assert len(list(sandbox.client().tokens())) == 1


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--start_session"], "no action is asked for"),
        (["--show_secrets"], "no action is asked for"),
        (["--create", "--delete", "0_x"], "two actions at once: --create and --delete"),
        (["--update", "0_x", "--delete", "0_x"], "two actions at once: --update and --delete"),
        (["--create", "--update", "0_x"], "two actions at once: --create and --update"),
        (["--update", "0_x"], "--update ID changes nothing"),
        (["--update", "0_x", "--description", ""], "--update ID changes nothing"),
        (["--update", "", "--description", "x"], "argument --update: the id is empty"),
        (["--delete", ""], "argument --delete: the id is empty"),
        (["--actionslimit", "ten"], "argument --actionslimit: invalid int value: "),
        (["--de", "x"], "ambiguous option: --de could match"),
        (["--edit"], "argument --edit: expected one argument"),
        (["--create", "stray"], "there is an argument too many"),
    ],
)
def test_a_usage_error_is_one_line_and_a_hint_and_changes_nothing(
    old: Old, sandbox: Sandbox, words: list[str], complaint: str
) -> None:
    sandbox.client().add_token(description="kept")
    ended = old(*words)
    assert (ended.code, ended.out) == (2, "")
    error, hint = ended.err.splitlines()
    assert error.startswith(f"kaltura_app_token_manager.py: error: {complaint}")
    assert hint.startswith("  hint: ")
    assert [token.description for token in sandbox.client().tokens()] == ["kept"]


def test_create_and_list_grants_list_and_without_it_nothing_is_added(
    old: Old, sandbox: Sandbox
) -> None:
    with_list = sandbox.client().get_token(created_id(old("--create", "--list")))
    without = old("--create", "--edit", "*")
    assert with_list.session_privileges == "list:*"
    assert sandbox.client().get_token(created_id(without)).session_privileges == "edit:*"
    assert "list:* is granted only when asked for" in without.err


@pytest.mark.parametrize(
    "words",
    [
        ["--update", "ID", "--list"],
        ["--list", "--update", "ID", "--sview", "*", "--description", "new"],
        ["--list", "--edit", "*"],
        ["--list", "--description", "new"],
        ["--list", "--start_session"],
    ],
)
def test_list_lists_and_changes_nothing_whatever_else_is_given(
    old: Old, sandbox: Sandbox, words: list[str]
) -> None:
    token = sandbox.client().add_token(description="kept", session_privileges="edit:*")
    ended = old(*(token.id if word == "ID" else word for word in words))
    assert (ended.code, ended.lines[-1].split()[0]) == (0, token.id), ended
    (listed,) = sandbox.client().tokens()
    assert (listed.description, listed.session_privileges) == ("kept", "edit:*")
    ignored = [word for word in words if word.startswith("--") and word != "--list"]
    (said,) = (line for line in ended.err.splitlines() if "ignored" in line)
    assert all(word in said for word in ignored)


@pytest.mark.parametrize(
    "more", [["--description", "x"], ["--list"], ["--edit", "*"], ["--start_session"]]
)
def test_delete_deletes_and_does_nothing_else_whatever_else_is_given(
    old: Old, sandbox: Sandbox, more: list[str]
) -> None:
    token = sandbox.client().add_token()
    kept = sandbox.client().add_token(description="kept")
    ended = old("--delete", token.id, *more)
    assert ended.lines == [f"App Token with ID {token.id} has been deleted."]
    assert f"{more[0]} is ignored" in ended.err
    assert [token.id for token in sandbox.client().tokens()] == [kept.id]


@pytest.mark.parametrize("change", [["--description", "new"], []])
def test_a_session_can_be_started_after_an_update(
    old: Old, sandbox: Sandbox, change: list[str]
) -> None:
    token = sandbox.client().add_token(hash_type="SHA512", session_privileges="sview:*")
    ended = old("--update", token.id, *change, "--start_session")
    assert ended.code == 0, ended
    ks = ended.lines[-1].removeprefix("App Token Session KS: ")
    assert "sview:*" in (sandbox.client().session_info(ks).privileges or "")


@pytest.mark.parametrize("switch", [["--show_secrets"], []])
def test_show_secrets_brings_the_old_lines_back(
    old: Old, sandbox: Sandbox, switch: list[str]
) -> None:
    token = sandbox.client().add_token(description="first")
    assert token.token is not None
    ended = old("--list", *switch, **({} if switch else {"KALTURA_SHOW_SECRETS": "1"}))
    assert ended.code == 0
    ks = ended.lines[0].removeprefix("KS: ")
    assert str(sandbox.client().session_info(ks).session_type) == "ADMIN"
    assert token.token.reveal() in ended.out


def test_an_empty_list_says_so(old: Old) -> None:
    assert old("--list").lines == ["No App Tokens found."]


def test_all_tokens_are_listed_not_only_the_first_page(old: Old, sandbox: Sandbox) -> None:
    client = sandbox.client()
    ids = {client.add_token().id for _ in range(70)}
    assert {line.split()[0] for line in old("--list").lines[2:]} == ids


def test_a_list_in_a_pipe_has_one_line_for_each_token(old: Old, sandbox: Sandbox) -> None:
    sandbox.client().add_token(description="a long description " * 20)
    assert len(old("--list").lines) == 3


def test_a_list_on_a_terminal_fits_it(tmp_path: Path, sandbox: Sandbox) -> None:
    write_config(tmp_path, sandbox)
    token = sandbox.client().add_token(
        description="a long description " * 5, session_privileges="sview:1_aaaa,edit:1_bbbb,list:*"
    )
    ended = Shell(tmp_path, clean_environment()).on_a_terminal(OLD, "--list", columns=50)
    assert ended.code == 0, ended
    assert max(map(len, ended.lines)) <= 50
    assert len(ended.lines) > 3
    assert token.id in ended.out


@pytest.mark.parametrize("command", ["old", "new"])
def test_an_id_or_a_value_is_whole_on_the_narrowest_terminal(
    tmp_path: Path, sandbox: Sandbox, command: str
) -> None:
    write_config(tmp_path, sandbox)
    token = sandbox.client().add_token(
        description="a long description " * 5, session_privileges="sview:1_aaaa,edit:1_bbbb,list:*"
    )
    assert token.token is not None
    words = {"old": [OLD, "--list", "--show_secrets"], "new": [NEW, "list", "--show-secrets"]}
    shell = Shell(tmp_path, clean_environment())
    for columns in (30, 40, 80, 200):
        ended = shell.on_a_terminal(*words[command], columns=columns)
        assert ended.code == 0, ended
        assert token.id in ended.out
        assert token.token.reveal() in ended.out


def test_text_from_the_server_cannot_drive_the_terminal(old: Old, sandbox: Sandbox) -> None:
    sandbox.client().add_token(description="one\ntwo\u202e\u009b")
    ended = old("--list")
    assert len(ended.lines) == 3
    assert "one\\ntwo\\u202e\\x9b" in ended.out


class TestConfiguration:
    @pytest.mark.parametrize("script", [OLD, str(ROOT / "kaltura_app_token_manager.py")])
    def test_the_file_may_lie_beside_the_script(
        self, bare: Shell, sandbox: Sandbox, tmp_path: Path, script: str
    ) -> None:
        beside = tmp_path / "installed"
        beside.mkdir()
        copy = Path(shutil.copy(script, beside))
        link = tmp_path / "manager"
        link.symlink_to(copy)
        for command in (copy, link):
            ended = bare.run(sys.executable, str(command), "--list")
            assert ended.code == 2
            assert f"looked in {tmp_path} and in {beside}: copy config.template.json" in ended.err
            assert "chmod 600" in ended.err
        write_config(beside, sandbox)
        for command in (copy, link):
            ended = bare.run(sys.executable, str(command), "--list")
            assert ended.code == 0
            assert f"note: using {beside / 'config.json'}\n" in ended.err

    def test_the_one_in_the_working_directory_comes_first(
        self, bare: Shell, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        beside = tmp_path / "installed"
        beside.mkdir()
        copy = str(shutil.copy(OLD, beside))
        with Sandbox() as other:
            write_config(beside, other)
            write_config(tmp_path, sandbox)
            assert bare.run(sys.executable, copy, "--create").code == 0
            assert list(other.client().tokens()) == []
        assert len(list(sandbox.client().tokens())) == 1

    def test_a_working_directory_that_is_gone_is_one_line(
        self, bare: Shell, tmp_path: Path
    ) -> None:
        gone = f'mkdir gone && cd gone && rmdir ../gone && exec "{sys.executable}" "{OLD}" --list'
        ended = bare.run("sh", "-c", gone)
        assert (ended.code, ended.out) == (2, "")
        error, hint = ended.err.splitlines()
        assert error == "Configuration file 'config.json' not found."
        assert "looked in a working directory that is gone and in " in hint

    def test_the_file_can_be_named_by_option_or_environment(
        self, bare: Shell, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        path = str(write_config(tmp_path, sandbox).rename(tmp_path / "other.json"))
        assert bare.old("--list", "--config", path).code == 0
        assert bare.old("--list", KALTURA_CONFIG=path).code == 0

    @pytest.mark.parametrize(
        "keys",
        [
            {"USER_ID": "jane", "EXPIRY": 600},
            {"SCRIPT_USER_ID": "jane", "ADMIN_SESSION_EXPIRY": 600},
        ],
    )
    def test_both_spellings_of_its_keys_are_read(
        self, bare: Shell, sandbox: Sandbox, tmp_path: Path, keys: dict[str, object]
    ) -> None:
        write_config(tmp_path, sandbox, **keys)
        ks = bare.old("--list", "--show_secrets").lines[0].removeprefix("KS: ")
        assert sandbox.client().session_info(ks).user_id == "jane"

    def test_without_a_service_url_it_is_kalturas_own(self, tmp_path: Path) -> None:
        path = tmp_path / "config.json"
        path.write_text('{"PARTNER_ID": 7, "ADMIN_SECRET": "x"}', encoding="utf-8")
        path.chmod(0o600)
        client = legacy.initialize_client(legacy.load_configuration(str(path)))
        assert client.service_url == "https://www.kaltura.com/api_v3"

    def test_the_environments_account_is_not_mixed_in(
        self, shell: Shell, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        with Sandbox() as other:
            write_config(tmp_path, other)
            assert shell.old("--create").code == 0
            assert len(list(other.client().tokens())) == 1
        assert list(sandbox.client().tokens()) == []

    def test_a_file_that_others_can_read_is_warned_of(
        self, bare: Shell, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        write_config(tmp_path, sandbox).chmod(0o644)
        ended = bare.old("--list")
        assert ended.code == 0
        assert "warning: config.json holds the admin secret and can be read by other" in ended.err

    def test_the_admin_session_can_be_got_from_the_server(self, old: Old) -> None:
        assert old("--list", "--start_admin_session").code == 0


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--create", "--start_session", "--sview", "*"], 0),
        (["--list"], 0),
        (["--update", "0_unknown", "--description", "x"], 3),
        (["--delete", "0_unknown"], 3),
    ],
)
def test_every_action_can_be_tried_on_a_sandbox_without_a_configuration(
    bare: Shell, words: list[str], code: int
) -> None:
    ended = bare.old("--sandbox", *words)
    assert ended.code == code, ended


def test_privileges_that_will_not_work_are_warned_of(old: Old) -> None:
    ended = old("--iprestrict", "10.0.0.0/8")
    assert ended.code == 0
    assert "warning: privilege iprestrict:10.0.0.0/8:" in ended.err
    assert "warning" not in ended.out


def test_no_flag_repeats_a_value_that_it_has_no_use_for(old: Old, sandbox: Sandbox) -> None:
    canary = "canary-0123456789-canary-0123456789"
    flags = [flag for action in legacy.setup_parser()._actions for flag in action.option_strings]
    taking_text = ("--config", "--description", *(f"--{name}" for name, _, _ in PRIVILEGES))
    lines = [
        *([f"{flag}={canary}"] for flag in flags if flag not in taking_text),
        *([flag, canary, "stray"] for flag in flags),
        *([f"--{name}", canary] for name in ("actionslimit", "reftime", "preview")),
        *([f"--{ambiguous}={canary}"] for ambiguous in "depsu"),
        [canary],
        [f"-{canary}"],
        [f"--unknown={canary}"],
        ["--list", canary],
    ]
    for words in lines:
        if words[0] in ("-h", "--help"):
            continue
        ended = old(*words)
        assert ended.code == 2, ended
        assert "canary" not in ended.out + ended.err, words
    assert list(sandbox.client().tokens()) == []
