"""What may be committed: no file that strayed to the top level, and no value that may be somebody's
secret.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, clean_environment

TOP_LEVEL = {
    *("core", "ffi-c", "py", "include", "tests", "docs", "examples", ".ci", ".github"),
    *("Cargo.toml", "Cargo.lock", "pyproject.toml", "Makefile", "deny.toml", ".gitignore"),
    *("README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"),
    *("kaltura_app_token_manager.py", "config.template.json"),
}
# Values of tokens and secrets have this form. Those that tests need stand here or in the recorded
# facts.
HEX = re.compile(r"(?<![0-9a-zA-Z])[0-9a-fA-F]{32}(?![0-9a-zA-Z])")
WELL_KNOWN = {
    "0123456789abcdef" * 2,
    "0" * 32,
    # The MD5 tokenHash of an example.
    "4a464f122812a052" + "b388aee4403bb531",
}
FACTS = "tests/vectors/"
GENERATED = {"Cargo.lock"}


@pytest.fixture(scope="module")
def tracked() -> list[str]:
    """The files that git tracks."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout: what is committed cannot be told")
    done = subprocess.run(  # noqa: S603
        [git, "ls-files", "-z"],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    # A file that was removed and not committed yet is listed too.
    return [name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_file_strays_to_the_top_level(tracked: list[str]) -> None:
    assert {name.split("/", 1)[0] for name in tracked} - TOP_LEVEL == set()


def test_no_file_holds_what_may_be_a_secret(tracked: list[str]) -> None:
    texts = {
        name: (ROOT / name).read_bytes().decode("utf-8", "replace")
        for name in tracked
        if name not in GENERATED
    }
    known = WELL_KNOWN.union(
        *(HEX.findall(text) for name, text in texts.items() if name.startswith(FACTS))
    )
    found = {
        f"{name}: {value[:4]}..."
        for name, text in texts.items()
        for value in HEX.findall(text)
        if value not in known
    }
    assert found == set()


def test_the_tests_run_where_interrupts_are_ignored() -> None:
    # As nohup, cron and jobs in the background start them.
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    tests = [
        "tests/python/test_command.py::test_an_interrupt_ends_the_command_quietly",
        "tests/python/test_command_creation.py::TestASignal::test_sent_twice_at_once_is_one",
        "tests/python/test_command_creation.py::TestASignal::"
        "test_during_the_call_the_token_that_it_made_is_named",
    ]
    done = subprocess.run(  # noqa: S603
        ["/bin/sh", "-c", 'trap "" INT HUP; exec "$@"', "sh", *words, *tests],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout


class TestMake:
    """What the targets of the Makefile say and install, without building anything."""

    def make(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        make = shutil.which("make")
        assert make is not None
        # Not as part of the `make` that may run these tests.
        outside = {
            name: value
            for name, value in clean_environment().items()
            if not name.startswith(("MAKE", "MFLAGS", "CARGO"))
        }
        return subprocess.run(  # noqa: S603
            [make, "--no-print-directory", *words],
            cwd=ROOT,
            env=outside | environment,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )

    @pytest.mark.parametrize("target", ["demo", "install-python", "test", "test-rust", "wheel"])
    def test_an_old_cargo_is_named_in_one_line_before_anything_is_built(
        self, target: str, tmp_path: Path
    ) -> None:
        cargo = tmp_path / "cargo"
        cargo.write_text("#!/bin/sh\necho 'cargo 1.75.0 (1d8b05cdd 2023-11-20)'\n", "utf-8")
        cargo.chmod(0o755)
        ended = self.make(target, PATH=f"{tmp_path}:{os.environ['PATH']}")
        assert (ended.returncode, ended.stdout) == (2, "")
        (line,) = ended.stderr.splitlines()
        assert "cargo 1.75.0 is older than 1.88" in line
        assert "rustup update" in line

    def test_a_missing_cargo_is_named_in_one_line(self) -> None:
        ended = self.make("demo", "CARGO=no-such-cargo")
        assert (ended.returncode, ended.stdout) == (2, "")
        (line,) = ended.stderr.splitlines()
        assert "cargo is not installed: get Rust 1.88 or later from https://rustup.rs" in line

    def test_the_demo_installs_no_test_tools(self, tmp_path: Path) -> None:
        demo = self.make("--dry-run", "demo", f"VENV={tmp_path}/venv")
        assert demo.returncode == 0, demo.stderr
        assert "maturin==" in demo.stdout
        assert demo.stdout.count("==") == 1
        tests = self.make("--dry-run", "test-python", f"VENV={tmp_path}/venv")
        assert "maturin==" in tests.stdout
        assert "pytest==" in tests.stdout
