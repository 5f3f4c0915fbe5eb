"""The error table, `tests/scenarios/errors.json`: what each kind of failure is in Python, and which
exit code it gives.
"""

from __future__ import annotations

import builtins
import json
import pickle
from pathlib import Path
from typing import Any

import kaltura_app_token as kat
import pytest
from kaltura_app_token import errors
from kaltura_app_token.sandbox import Sandbox
from test_client import order

ROOT = Path(__file__).resolve().parents[2]
TABLE = json.loads((ROOT / "tests/scenarios/errors.json").read_text("utf-8"))
KINDS: list[dict[str, Any]] = TABLE["kinds"]
WAYS = {row["kind"]: row["of"] for row in KINDS}


@pytest.mark.parametrize("row", KINDS, ids=lambda row: row["kind"])
def test_every_kind_has_its_class_and_its_exit_code(row: dict[str, Any]) -> None:
    kind = errors._BY_KIND[row["kind"]]
    assert kind.__name__ == row["python"]
    assert getattr(kat, row["python"]) is kind
    assert issubclass(kind, kat.KalturaError)
    assert issubclass(kind, getattr(builtins, row.get("also", "Exception")))
    error = kind("it failed", hint="do this", cause="dns")
    assert errors.exit_code(error) == row["exit"]
    assert vars(pickle.loads(pickle.dumps(error))) == vars(error)  # noqa: S301


def test_the_table_holds_every_class() -> None:
    named = {row["python"] for row in KINDS}
    named |= {way["python"] for row in KINDS for way in row["of"] if "python" in way}
    assert named == {kind.__name__ for kind in errors._BY_KIND.values()}


@pytest.mark.parametrize("way", WAYS["Api"], ids=lambda way: way["code"])
def test_every_exception_of_the_api_is_raised_as_its_class(
    sandbox: Sandbox, way: dict[str, Any]
) -> None:
    order(
        sandbox, action="appToken.get", fault="exception", code=way["code"], message="no", times=9
    )
    with pytest.raises(kat.ApiError) as caught:
        sandbox.client(max_retries=0).get_token("0_abcdefgh")
    error = caught.value
    assert (type(error).__name__, error.code) == (way["python"], way["code"])
    assert error.retryable == way["retryable"]
    assert (error.hint is None) == (way["code"] == "ANYTHING_ELSE")
    assert errors.exit_code(error) == 3


@pytest.mark.parametrize("way", WAYS["Http"], ids=lambda way: way["http_status"])
def test_every_http_status_is_an_http_error(sandbox: Sandbox, way: dict[str, Any]) -> None:
    status = way["http_status"]
    order(sandbox, action="appToken.get", fault="status", status=status, times=9)
    with pytest.raises(kat.HttpError) as caught:
        sandbox.client(max_retries=0).get_token("0_abcdefgh")
    assert (caught.value.http_status, caught.value.retryable) == (status, way["retryable"])


def test_a_hint_has_a_name_by_which_a_program_can_word_it_anew() -> None:
    with pytest.raises(kat.ConfigError) as caught:
        kat.normalize_service_url("http://kaltura.example.com")
    assert caught.value.hint_name == "HttpNotAllowed"
    assert caught.value.hint is not None
    assert "--" not in caught.value.hint
