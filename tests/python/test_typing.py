"""Nothing public can be forgotten in `tests/typing/everything.py`, which type checkers judge: every
name, every member of a class and every parameter is used there.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import kaltura_app_token as kat
import pytest
from conftest import ROOT

PACKAGE = ROOT / "py/python/kaltura_app_token"
EVERYTHING = ast.parse((ROOT / "tests/typing/everything.py").read_text(encoding="utf-8"))
USES = {
    node.name: node
    for node in EVERYTHING.body
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
}
# Found in the package's sources, and not in `kaltura_app_token.__all__`.
ALSO_PUBLIC = ("Sandbox",)

Function = ast.FunctionDef | ast.AsyncFunctionDef


def described() -> Iterator[tuple[str, ast.Module]]:
    """The package's modules, by their stubs where there are some."""
    for path in sorted(PACKAGE.glob("*.py*")):
        if path.suffix == ".pyi" or not path.with_suffix(".pyi").exists():
            yield path.stem, ast.parse(path.read_text(encoding="utf-8"))


MODULES = dict(described())
CLASSES = {
    node.name: node
    for module in MODULES.values()
    for node in module.body
    if isinstance(node, ast.ClassDef)
}


def functions(body: list[ast.stmt]) -> dict[str, Function]:
    return {node.name: node for node in body if isinstance(node, Function)}


def fields(body: list[ast.stmt]) -> set[str]:
    annotated = {
        node.target.id
        for node in body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    return {name for name in annotated if not name.startswith("_")}


def fields_with_inherited(name: str) -> set[str]:
    node = CLASSES[name]
    return fields(node.body).union(
        *(
            fields_with_inherited(base.id)
            for base in node.bases
            if isinstance(base, ast.Name) and base.id in CLASSES
        )
    )


def parameters(function: Function) -> list[str]:
    """What can be given by name, the ones first that can be given by place."""
    taken = [*function.args.args, *function.args.kwonlyargs]
    return [argument.arg for argument in taken if argument.arg not in ("self", "cls")]


def options_of(function: Function) -> str | None:
    """The `TypedDict` of its `**options`."""
    annotation = function.args.kwarg and function.args.kwarg.annotation
    if isinstance(annotation, ast.Subscript) and isinstance(annotation.slice, ast.Name):
        return annotation.slice.id
    return None


def given(uses: ast.AST, name: str) -> set[str]:
    """The names of what is given in calls of a function, and by `#` how much is given by place."""
    calls = [node for node in ast.walk(uses) if isinstance(node, ast.Call) and called(node) == name]
    return {word.arg for call in calls for word in call.keywords if word.arg} | {
        f"#{place}" for call in calls for place, _ in enumerate(call.args)
    }


def called(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def attributes(uses: ast.AST) -> set[str]:
    return {node.attr for node in ast.walk(uses) if isinstance(node, ast.Attribute)}


def left_out(functions: dict[str, Function], uses: ast.AST) -> set[str]:
    """The parameters that no call gives. Options that several share are given to one of them."""
    missing: set[str] = set()
    shared: dict[str, set[str]] = {}
    for name, function in functions.items():
        there = given(uses, name)
        if options := options_of(function):
            shared.setdefault(options, set()).update(there)
        for place, parameter in enumerate(parameters(function)):
            if not there & {parameter, f"#{place}"}:
                missing.add(f"{name}({parameter}=)")
    for options, there in shared.items():
        missing |= {f"{options}: {name}" for name in fields_with_inherited(options) - there}
    return missing


def missing_of_a_class(node: ast.ClassDef, uses: ast.AST) -> set[str]:
    methods = functions(node.body)
    public = {name for name in methods if not name.startswith("_")} | fields(node.body)
    called = {
        node.name if name.startswith("__") else name: method
        for name, method in methods.items()
        if name in public | {"__new__", "__init__"}
        and not any(getattr(word, "id", "") == "property" for word in method.decorator_list)
    }
    if node.name == "KalturaError":
        # Made by the package alone.
        del called[node.name]
    return (public - attributes(uses)) | left_out(called, uses)


def test_every_public_name_is_used() -> None:
    imported = {"AsyncClient"} | attributes(EVERYTHING)
    assert set(kat.__all__) - imported == set()


@pytest.mark.parametrize(
    "name",
    sorted(
        name
        for name in [*kat.__all__, *ALSO_PUBLIC]
        if name in CLASSES
        and (name == "KalturaError" or not issubclass(getattr(kat, name, object), kat.KalturaError))
    ),
)
def test_every_member_and_option_of_a_class_is_used(name: str) -> None:
    assert missing_of_a_class(CLASSES[name], USES[f"use_{name}"]) == set()


@pytest.mark.parametrize(
    ("module", "use"), [("_native", "use_functions"), ("aio", "use_aio_functions")]
)
def test_every_function_and_option_is_used(module: str, use: str) -> None:
    there = functions(MODULES[module].body)
    public = {
        name: function for name, function in there.items() if module == "aio" or name in kat.__all__
    }
    assert public
    missing = set(public) - attributes(USES[use])
    assert missing | left_out(public, USES[use]) == set()


def test_what_is_left_out_is_found() -> None:
    stub = """
class It:
    def __new__(cls, a: int, *, b: int) -> It: ...
    def m(self, x: int) -> None: ...
    @property
    def p(self) -> int: ...
"""
    (it,) = ast.parse(stub).body
    assert isinstance(it, ast.ClassDef)
    assert missing_of_a_class(it, ast.parse("kat.It(1).m()")) == {"It(b=)", "m(x=)", "p"}
    assert missing_of_a_class(it, ast.parse("kat.It(1, b=2).m(x=it.p)")) == set()
