"""Runs wrong command lines one after another in one process and prints how each ended, as JSON. Run
by `test_wrong_lines.py` with each Python that is there; needs nothing but the package.

    python wrong_lines.py TABLE
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import sys
from collections.abc import Iterator
from typing import Any

from kaltura_app_token import legacy
from kaltura_app_token.command import main
from kaltura_app_token.command.arguments import Parser, actions_of

Line = dict[str, Any]


def generated(table: dict[str, Any]) -> Iterator[Line]:
    """What can be got wrong with each option of each command."""
    for name, words in table["commands"].items():
        _, parser = main.load(name)
        yield from _of(parser, [*name.split(), *words], table["secret"], abbreviates=False)
    parser = legacy.setup_parser()
    if isinstance(parser, Parser):
        for line in _of(parser, ["--create"], table["secret"], abbreviates=True):
            yield line | {"program": "old"}


def _of(parser: Parser, words: list[str], secret: str, *, abbreviates: bool) -> Iterator[Line]:
    actions = [action for action in actions_of(parser) if action.dest != "help"]
    options = [action for action in actions if action.option_strings]
    names = {name for option in options for name in option.option_strings}
    for option in options:
        name = option.option_strings[-1]
        shown = "/".join(option.option_strings)
        if option.nargs == 0:
            yield {"words": [*words, f"{name}={secret}"], "error": [shown]}
        else:
            yield {"words": [*words, name], "error": [shown], "hint": "--help"}
            yield {
                "words": [*words, name, "--help-me"],
                "error": [shown],
                "hint": "--option=value",
            }
        if option.choices is not None:
            choices = ", ".join(map(str, option.choices))
            yield {"words": [*words, name, secret], "error": [shown, f"choose from {choices}"]}
        elif callable(option.type) and _refuses(option.type, secret):
            yield {"words": [*words, f"{name}={secret}"], "error": [shown]}
        misspelled = [f"{name}x"] if abbreviates else [f"{name}x", name[:-1]]
        for word in misspelled:
            if word.startswith("--") and len(word) > 4 and word not in names:
                told = {"error": [f"unknown option: {word}"], "hint": "did you mean --"}
                yield {"words": [*words, word, secret], **told}
    takes = [action.nargs for action in actions if not action.option_strings]
    if not any(nargs in ("+", "*") for nargs in takes):
        yield {"words": [*words, *[secret] * (len(takes) + 1)], "error": [""]}


def _refuses(kind: Any, text: str) -> bool:
    try:
        kind(text)
    except (argparse.ArgumentTypeError, ValueError):
        return True
    return False


def filled_in(value: Any, secret: str) -> Any:
    """The value with the secret in its places."""
    return json.loads(json.dumps(value).replace("{secret}", secret))


def run(line: Line) -> dict[str, Any]:
    """How one line ends."""
    out, err = io.StringIO(), io.StringIO()
    before = dict(os.environ)
    os.environ.update(line.get("environment", {}))
    command = legacy.main if line.get("program") == "old" else main.main
    try:
        with (
            open(os.devnull, encoding="utf-8") as nothing,
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            sys.stdin = nothing
            code = command(line["words"])
    finally:
        for name in line.get("environment", {}):
            del os.environ[name]
        os.environ.update(before)
    return {"line": line, "code": code, "out": out.getvalue(), "err": err.getvalue()}


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        TABLE = json.load(file)
    LINES = [
        *generated(TABLE),
        *(line for line in filled_in(TABLE["lines"], TABLE["secret"]) if not line.get("process")),
    ]
    print(json.dumps([run(line) for line in LINES]))
