"""`kaltura-app-token completion`: that the scripts load, and complete what there is."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import Shell
from kaltura_app_token.command import main
from kaltura_app_token.command.arguments import actions_of

COMPLETE = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 ))
complete -p kaltura-app-token > /dev/null || exit 1
_kaltura_app_token
printf '%s\\n' "${COMPREPLY[@]}"
"""

bash = pytest.mark.skipif(not Path("/bin/bash").exists(), reason="needs bash")


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    directory = tmp_path_factory.mktemp("completion")
    shell = Shell(directory, {})
    found = {}
    for name in ("bash", "zsh", "fish"):
        ended = shell.new("completion", name)
        assert (ended.code, ended.err) == (0, "")
        found[name] = directory / name
        found[name].write_text(ended.out, encoding="utf-8")
    return found


def complete(script: Path, *words: str, directory: Path | None = None) -> list[str]:
    """What bash offers for the last of the words."""
    done = subprocess.run(  # noqa: S603
        ["/bin/bash", "--norc", "-c", COMPLETE, "bash", str(script), "kaltura-app-token", *words],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("name", "check"),
    [("bash", ["bash", "-n"]), ("zsh", ["zsh", "-n"]), ("fish", ["fish", "--no-execute"])],
)
def test_each_shell_can_read_its_script(
    scripts: dict[str, Path], name: str, check: list[str]
) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    done = subprocess.run(  # noqa: S603
        [*check, str(scripts[name])], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_every_command_and_option_is_in_every_script(scripts: dict[str, Path], name: str) -> None:
    script = scripts[name].read_text(encoding="utf-8")
    for command in main.COMMANDS:
        assert all(word in script for word in command.split())
        _, parser = main.load(command)
        for action in actions_of(parser):
            for option in action.option_strings:
                assert option.lstrip("-") in script
    # Completing must not start Python: that would be felt on every Tab.
    assert "$(kaltura-app-token" not in script
    assert "python" not in script


@bash
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["se"], ["session"]),
        (["--v"], ["--version"]),
        (["hel"], ["help"]),
        (["help", "rot"], ["rotate"]),
        (["config", ""], ["show", "path", "list", "set", "use", "unset", "--help"]),
        (["config", "set", "--admin"], ["--admin-secret-file", "--admin-privileges"]),
        (["list", "--verb"], ["--verbose"]),
        (["list", "--trust"], ["--trust-files"]),
        (["ks", ""], ["inspect", "generate", "end", "--help"]),
        (["ks", "inspect", "--on"], ["--online"]),
        (["list", "--format", ""], ["table", "csv", "json", "jsonl"]),
        (["list", "--format", "=", "j"], ["json", "jsonl"]),
        (["list", "--format", "="], ["table", "csv", "json", "jsonl"]),
        (["create", "--description", ""], []),
        (["create", "--hash-type", "SHA1"], ["SHA1"]),
        (["completion", "z"], ["zsh"]),
        (["update", "0_a", "--clear", "ses"], ["sessionType", "sessionDuration"]),
        (["config", "show", "--prof"], ["--profile"]),
        (["exec", "--", "mkf"], ["mkfifo"]),
        (["nonsense", ""], []),
    ],
    ids=lambda words: " ".join(words),
)
def test_bash_completes(scripts: dict[str, Path], words: list[str], offered: list[str]) -> None:
    found = complete(scripts["bash"], *words)
    assert set(offered) <= set(found)
    if words[0] != "exec":
        assert len(found) == len(offered) or "ses" in words


@bash
@pytest.mark.parametrize("words", [["list", "--config"], ["exec", "--", "cat"]])
def test_bash_completes_files(scripts: dict[str, Path], tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "config.json").touch()
    assert complete(scripts["bash"], *words, "conf", directory=tmp_path) == ["config.json"]


def test_another_shell_is_refused(bare: Shell) -> None:
    ended = bare.new("completion", "csh")
    assert (ended.code, ended.out) == (2, "")
