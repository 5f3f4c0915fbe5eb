"""Which module of the package may know which: the library knows nothing of its commands, and within
the commands what is below never imports what is above.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "py" / "python" / "kaltura_app_token"
NAME = PACKAGE.name

SUBCOMMANDS = {
    *("completion", "config", "demo", "hash", "ks", "local", "rotate", "sessions", "tokens"),
    *("doctor", "doctor.report", "doctor.restrictions", "doctor.server", "doctor.token"),
    "workflows",
}
# From the lowest to the highest; a module may import what stands in a row above its own, and what
# stands beside it as long as no two are in a circle.
ROWS: list[tuple[str, set[str]]] = [
    ("facts", {"_version", "errors", "_native", "_aside"}),
    ("results", {"observe", "model", "_frozen", "_pydantic"}),
    ("the library", {"", "aio", "sandbox", "pytest_plugin"}),
    ("words", {"command", "command.output", "command.output.text"}),
    ("output", {"command.output.table", "command.output.fields", "command.output.progress"}),
    ("endings", {"command.output.run"}),
    ("command lines", {"command.arguments"}),
    ("what goes on", {"command.messages", "command.signals"}),
    ("accounts", {"command.account", "command.profiles", "command.connect", "command.creation"}),
    ("shared by commands", {f"command.{n}" for n in ("told", "token_file", "rotation_progress")}),
    ("subcommands", {f"command.{name}" for name in SUBCOMMANDS}),
    ("the commands", {"command.main", "legacy", "__main__"}),
]
ROW = {module: number for number, (_, modules) in enumerate(ROWS) for module in modules}
# The completions are made from the parsers of all the others.
EXCEPTIONS = {("command.completion", "command.main")}


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        yield ".".join(part for part in parts if part != "__init__"), path


MODULES = dict(modules())


def imported(path: Path) -> Iterator[str]:
    """The modules of the package that a file imports anywhere, also only for its types."""
    inside = path.relative_to(PACKAGE).parent.parts
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = list((node.module or "").split(".")) if node.module else []
            if node.level:
                base = [NAME, *inside[: len(inside) - node.level + 1], *base]
            names = [".".join([*base, alias.name]) for alias in node.names]
        else:
            continue
        for name in names:
            if name.split(".")[0] != NAME:
                continue
            module = name.removeprefix(NAME).removeprefix(".")
            while module and module not in ROW:
                module = module.rpartition(".")[0]
            yield module


IMPORTS = {module: set(imported(path)) - {module} for module, path in MODULES.items()}


def test_every_module_has_its_place() -> None:
    assert set(MODULES) <= set(ROW)
    assert set(ROW) - set(MODULES) <= {"_native"}


@pytest.mark.parametrize("module", MODULES)
def test_a_module_knows_nothing_above_it(module: str) -> None:
    wrong = {
        other
        for other in IMPORTS[module]
        if ROW[other] > ROW[module] and (module, other) not in EXCEPTIONS
    }
    assert not wrong


def test_no_two_modules_are_in_a_circle() -> None:
    left = {module: others & set(MODULES) for module, others in IMPORTS.items()}
    for module, other in EXCEPTIONS:
        left[module].discard(other)
    # What imports nothing that is left is in no circle.
    while free := {module for module, others in left.items() if not others & set(left)}:
        left = {module: others for module, others in left.items() if module not in free}
    assert not left


@pytest.mark.parametrize("module", MODULES)
def test_a_module_says_what_it_is_for_and_is_no_longer_than_can_be_read(module: str) -> None:
    text = MODULES[module].read_text("utf-8")
    assert ast.get_docstring(ast.parse(text))
    assert text.count("\n") <= 600


@pytest.mark.parametrize("path", sorted(PACKAGE.parents[1].glob("src/*.rs")), ids=lambda p: p.name)
def test_the_native_half_is_conversion_only(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.startswith("//!")
    assert text.count("\n") <= 600 or path.name == "client.rs"
    for crate in ("reqwest", "serde_json", "tokio", "url::"):
        assert crate not in text
