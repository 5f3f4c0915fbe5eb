"""Every public name of the package says what it is, and the examples in it run."""

from __future__ import annotations

import doctest
import inspect
import os
from collections.abc import Iterator

import kaltura_app_token
import kaltura_app_token.aio
import kaltura_app_token.sandbox
import pytest
from kaltura_app_token.sandbox import Sandbox


def documented() -> Iterator[tuple[str, str]]:
    """Names and docstrings: the modules, the public names, and the methods of public classes."""
    for module in (kaltura_app_token, kaltura_app_token.aio, kaltura_app_token.sandbox):
        yield module.__name__, module.__doc__ or ""
    for name in kaltura_app_token.__all__:
        value = getattr(kaltura_app_token, name)
        if not (inspect.isclass(value) or inspect.isroutine(value)):
            continue
        yield name, value.__doc__ or ""
        if name in ("Client", "SessionProvider"):
            for method, function in vars(value).items():
                if not method.startswith("_"):
                    yield f"{name}.{method}", function.__doc__ or ""
    for method, function in vars(Sandbox).items():
        if not method.startswith("_"):
            yield f"Sandbox.{method}", function.__doc__ or ""


DOCUMENTED = sorted(set(documented()))


@pytest.mark.parametrize(("name", "text"), DOCUMENTED, ids=[name for name, _ in DOCUMENTED])
def test_it_is_documented_and_its_example_runs(
    name: str, text: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert text.strip(), f"{name} has no docstring"
    for variable in list(os.environ):
        if variable.startswith("KALTURA_"):
            monkeypatch.delenv(variable)
    monkeypatch.setenv("KALTURA_PARTNER_ID", "1")
    names = {
        "kat": kaltura_app_token,
        "os": os,
        "sandbox": sandbox,
        "client": sandbox.client(),
        "Sandbox": Sandbox,
    }
    example = doctest.DocTestParser().get_doctest(inspect.cleandoc(text), names, name, None, 0)
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL)
    runner.run(example, out=report.append)
    assert runner.failures == 0, "".join(report)


@pytest.mark.parametrize("method", [n for n in vars(kaltura_app_token.Client) if n[0] != "_"])
def test_every_call_of_the_client_has_an_example(method: str) -> None:
    function = getattr(kaltura_app_token.Client, method)
    if inspect.isroutine(function) and not method.startswith("preview"):
        assert ">>>" in (function.__doc__ or ""), method
