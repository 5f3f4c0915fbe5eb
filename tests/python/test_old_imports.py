"""The old script as a module: importing it, extending it, running a checkout in place."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import OLD, ROOT, SCRIPTS, Shell, clean_environment, write_config
from kaltura_app_token import legacy
from kaltura_app_token.sandbox import Sandbox

NAMES = [
    "PRIVILEGE_HANDLERS",
    "handle_privilege",
    "setup_parser",
    "build_privileges",
    "load_configuration",
    "initialize_client",
    "start_admin_session",
    "create_app_token",
    "list_app_tokens",
    "update_app_token",
    "delete_app_token",
    "start_app_token_session",
    "wrap_text",
    "main",
]

# As the old documentation says: a privilege in the dictionary, its flag in the parser.
EXTENSION = """
import sys
import kaltura_app_token_manager as manager

original_parser = manager.setup_parser

def setup_parser():
    parser = original_parser()
    parser.add_argument("--appId")
    parser.add_argument("--anonymous", action="store_true")
    parser.add_argument("--upper")
    return parser

manager.setup_parser = setup_parser
manager.PRIVILEGE_HANDLERS["appId"] = manager.handle_privilege
manager.PRIVILEGE_HANDLERS["anonymous"] = "userid:anonymous"
manager.PRIVILEGE_HANDLERS["upper"] = lambda name, value: f"{name}:{value.upper()}"

if __name__ == "__main__":
    sys.exit(manager.main())
"""


def test_the_old_names_are_those_of_legacy() -> None:
    import kaltura_app_token_manager

    assert all(getattr(kaltura_app_token_manager, name) is getattr(legacy, name) for name in NAMES)


@pytest.mark.parametrize("place", ["beside the package", "beside the installed command"])
def test_the_script_can_be_extended(bare: Shell, place: str) -> None:
    program = bare.directory / "extended.py"
    program.write_text(EXTENSION, encoding="utf-8")
    if place == "beside the installed command":
        # Its own directory comes first on a program's path: this is what a bin directory does.
        shutil.copy(OLD, bare.directory)
    words = ["--appId", "my-app", "--sview", "*", "--anonymous", "--upper", "x"]
    ended = bare.run(sys.executable, str(program), "--sandbox", *words)
    assert ended.code == 0, ended
    privileges = "sview:*,appId:my-app,userid:anonymous,upper:X"
    assert f"App Token Session Privileges: {privileges}" in ended.lines


# A program that put its own functions into the script's place, with the script's arguments.
REPLACEMENT = """
import sys
import kaltura_app_token_manager as manager

original = {name: getattr(manager, name) for name in manager.__all__}

def create_app_token(client, privileges, description):
    print("create:", privileges, description)
    return original["create_app_token"](client, privileges, description)

def update_app_token(client, app_token_id, privileges, description):
    print("update:", privileges, description)
    return original["update_app_token"](client, app_token_id, privileges, description)

def start_app_token_session(client, partner_id, app_token_id, app_token_value):
    print("session:", partner_id, app_token_id, len(app_token_value))
    ks = original["start_app_token_session"](client, partner_id, app_token_id, app_token_value)
    assert isinstance(ks, str)
    return ks

def delete_app_token(client, app_token_id):
    print("delete:", app_token_id)
    original["delete_app_token"](client, app_token_id)

for replaced in (create_app_token, update_app_token, start_app_token_session, delete_app_token):
    setattr(manager, replaced.__name__, replaced)
sys.exit(manager.main())
"""


def test_who_replaces_a_function_replaces_it_for_the_command_with_the_scripts_arguments(
    bare: Shell, sandbox: Sandbox
) -> None:
    write_config(bare.directory, sandbox)
    token = sandbox.client().add_token(session_privileges="sview:*", hash_type="SHA512")

    def first_lines(*words: str) -> list[str]:
        ended = bare.run(sys.executable, "-c", REPLACEMENT, *words)
        assert ended.code == 0, ended
        return [
            line
            for line in ended.lines
            if line.split(":")[0] in ("create", "update", "session", "delete")
        ]

    partner = sandbox.partner_id
    assert first_lines("--edit", "*", "--description", "mine") == ["create: edit:* mine"]
    assert first_lines("--update", token.id, "--edit", "1_a", "--start_session") == [
        "update: edit:1_a None",
        f"session: {partner} {token.id} 32",
    ]
    assert first_lines("--delete", token.id) == [f"delete: {token.id}"]


def test_a_program_of_the_same_bin_directory_can_import_the_old_name(bare: Shell) -> None:
    (bare.directory / "test_import.py").write_text(
        "import kaltura_app_token_manager as manager\n"
        "from kaltura_app_token_manager import build_privileges, main\n"
        "def test_names():\n"
        f"    assert all(hasattr(manager, name) for name in {NAMES})\n"
        "    assert manager.main is main\n",
        encoding="utf-8",
    )
    ended = bare.run(str(SCRIPTS / "pytest"), "-q", "-p", "no:cacheprovider", "test_import.py")
    assert ended.code == 0, ended


def test_the_functions_do_the_scripts_work(bare: Shell) -> None:
    program = """
import argparse, json
import kaltura_app_token_manager as manager
from kaltura_app_token.sandbox import Sandbox

with Sandbox() as sandbox:
    with open("config.json", "w") as file:
        json.dump({"PARTNER_ID": sandbox.partner_id, "ADMIN_SECRET": sandbox.admin_secret,
                   "KALTURA_SERVICE_URL": sandbox.service_url}, file)
    client = manager.initialize_client(manager.load_configuration())
    assert manager.start_admin_session(client, {"USER_ID": "jane"}).startswith("djJ8")
    asked = manager.build_privileges(argparse.Namespace(edit="*", list=True))
    token = manager.create_app_token(client, asked, "mine")
    assert (token.description, token.session_privileges) == ("mine", "edit:*,list:*")
    changed = manager.update_app_token(client, token.id, "", "yours")
    assert (changed.description, changed.session_privileges) == ("yours", "edit:*,list:*")
    assert [listed.id for listed in manager.list_app_tokens(client)] == [token.id]
    value = token.token.reveal()
    ks = manager.start_app_token_session(client, client.partner_id, token.id, value)
    assert str(client.session_info(ks).session_type) == "USER"
    manager.delete_app_token(client, token.id)
    assert manager.list_app_tokens(client) == []
    assert manager.wrap_text("one two", 4) == ["one", "two"]
"""
    ended = bare.run(sys.executable, "-c", program)
    assert (ended.code, ended.out) == (0, ""), ended


class TestTheCheckout:
    def test_the_file_runs_in_place(self, bare: Shell) -> None:
        script = ROOT / "kaltura_app_token_manager.py"
        ended = bare.run(sys.executable, str(script), "--sandbox", "--create", "--sview", "*")
        assert ended.code == 0, ended
        assert ended.out.startswith("Created New App Token ID: 0_")
        assert script.stat().st_mode & 0o111

    def test_without_the_package_it_uses_the_one_that_was_built_beside_it(
        self, bare: Shell
    ) -> None:
        script = shutil.copy(ROOT / "kaltura_app_token_manager.py", bare.directory)
        built = bare.directory / "build" / "venv" / "bin"
        built.mkdir(parents=True)
        python = built / "python"
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
        python.chmod(0o755)
        # Isolated and without site-packages: a Python that has nothing installed.
        ended = bare.run(sys.executable, "-I", "-S", str(script), "--sandbox", "--list")
        assert ended.code == 0, ended
        assert ended.lines == ["No App Tokens found."]

    def test_without_any_package_it_says_what_to_do(self, bare: Shell) -> None:
        script = shutil.copy(ROOT / "kaltura_app_token_manager.py", bare.directory)
        ended = bare.run(sys.executable, "-I", "-S", str(script), "--list")
        assert (ended.code, ended.out) == (2, "")
        error, hint = ended.err.splitlines()
        assert "the package kaltura-app-token is not installed" in error
        assert "make demo" in hint
        assert "pip install ." in hint

    def test_the_template_is_json_and_asks_to_be_filled_in(self, bare: Shell) -> None:
        template = (ROOT / "config.template.json").read_text(encoding="utf-8")
        assert list(json.loads(template)) == [
            "PARTNER_ID",
            "ADMIN_SECRET",
            "KALTURA_SERVICE_URL",
            "USER_ID",
            "EXPIRY",
            "DEFAULT_ADMIN_PRIVILEGES",
        ]
        (bare.directory / "config.json").write_text(template, encoding="utf-8")
        ended = bare.old("--list")
        assert ended.code == 2
        assert "PARTNER_ID still holds the template's placeholder" in ended.err

    def test_the_filled_in_template_works(self, bare: Shell) -> None:
        with Sandbox() as sandbox:
            text = (ROOT / "config.template.json").read_text(encoding="utf-8")
            text = text.replace("<your_partner_id>", str(sandbox.partner_id))
            text = text.replace("<your_admin_secret_from_kmc>", sandbox.admin_secret)
            text = text.replace("https://www.kaltura.com/api_v3", sandbox.service_url)
            (bare.directory / "config.json").write_text(text, encoding="utf-8")
            assert bare.old("--list").lines == ["No App Tokens found."]


def test_importing_prints_nothing_and_needs_no_configuration(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import kaltura_app_token_manager"],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == (b"", b"")
