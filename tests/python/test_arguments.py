"""Values of options, and text for terminals: the functions by themselves."""

from __future__ import annotations

import argparse
import doctest
import time
from pathlib import Path

import pytest
from conftest import NEW, Shell
from kaltura_app_token import legacy
from kaltura_app_token.command import arguments
from kaltura_app_token.command.output import table
from kaltura_app_token.command.output import text as output_text
from kaltura_app_token.errors import ConfigError


@pytest.mark.parametrize("module", [arguments, output_text, legacy])
def test_the_examples_in_the_docstrings_are_true(module: object) -> None:
    result = doctest.testmod(module)  # type: ignore[arg-type]
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("90", 90),
        ("90s", 90),
        ("30m", 1800),
        ("12h", 43200),
        ("7d", 604800),
        ("1w", 604800),
        ("1h30m", 5400),
        ("1d12h30m5s", 131405),
        ("30days", 2592000),
        ("1day", 86400),
        ("90minutes", 5400),
    ],
)
def test_durations(text: str, seconds: int) -> None:
    assert arguments.duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "-1", "1.5h", "h", "1 h", "1y", "1h30", "h1", "9999999999", "٣"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        arguments.duration(text)


@pytest.mark.parametrize(
    ("text", "unix"),
    [
        ("1893456000", 1893456000),
        ("2030-01-01T00:00:00Z", 1893456000),
        ("2030-01-01", 1893456000),
        ("2030-01-01Z", 1893456000),
        ("2030-01-01T00:00:00+00:00", 1893456000),
        ("2029-12-31T19:00:00-05:00", 1893456000),
    ],
)
def test_instants(text: str, unix: int) -> None:
    assert arguments.future(text) == unix
    assert arguments.past(text) == unix


def test_relative_instants() -> None:
    now = time.time()
    assert abs(arguments.future("+1h") - now - 3600) < 5
    assert abs(arguments.future("+30days") - now - 2592000) < 5
    assert abs(arguments.past("1h30m") - now + 5400) < 5
    assert abs(arguments.past("1h") - now + 3600) < 5


@pytest.mark.parametrize(
    "text",
    ["", "soon", "2030-13-01", "2030-01", "2030-01-01+02:00", "2030-01-01T00:00:00", "1h ago", "+"],
)
def test_what_is_no_instant_is_refused(text: str) -> None:
    for kind in (arguments.future, arguments.past):
        with pytest.raises(argparse.ArgumentTypeError):
            kind(text)


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        (b"s3cret", "s3cret"),
        (b"s3cret\n", "s3cret"),
        (b"s3cret\r\n", "s3cret"),
        (b"\xef\xbb\xbfs3cret\n", "s3cret"),
        (b"s3cret \n", "s3cret "),
    ],
)
def test_a_secrets_file_loses_its_line_end_only(
    tmp_path: Path, content: bytes, secret: str
) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)
    assert arguments.read_secret("--x", str(path)) == secret


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"  \n", b"one\ntwo\n", b"\xff\xfe", b"x" * 70000, b"a\0b"]
)
def test_a_file_without_one_secret_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="--x: "):
        arguments.read_secret("--x", str(path))


@pytest.mark.parametrize("locale", ["C.UTF-8", "C"])
@pytest.mark.parametrize(
    "words",
    [
        ["session", "0_x", "--app-token-file", "-"],
        ["ks", "inspect", "-"],
        ["hash", "-", "--app-token-file", "value"],
        ["hash", "--ks-file", "value", "--app-token-file", "-"],
        ["list", "--admin-secret-file", "-"],
    ],
    ids=" ".join,
)
def test_a_standard_input_that_is_not_text_is_refused(
    bare: Shell, words: list[str], locale: str
) -> None:
    (bare.directory / "value").write_text("abc", encoding="utf-8")
    line = " ".join([NEW, *words])
    python = {"LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    ended = bare.run(
        "sh", "-c", f"printf '\\377\\376abc' | {line}", KALTURA_PARTNER_ID="1", **python
    )
    assert ended.code == 2, ended
    assert "standard input is not UTF-8 text" in ended.err


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("", 5, [""]),
        ("short", 5, ["short"]),
        ("one two three", 7, ["one two", "three"]),
        (
            "sview:*,list:*,edit:*",
            14,
            ["sview:*,", "list:*,edit:*"],
        ),
        ("abcdefgh", 3, ["abc", "def", "gh"]),
        ("説明説明", 4, ["説明", "説明"]),
        ("説", 1, ["説"]),
    ],
)
def test_text_is_wrapped_after_spaces_and_commas(text: str, width: int, lines: list[str]) -> None:
    assert table.wrap(text, width) == lines


def test_no_wrapped_line_is_wider_than_asked_and_nothing_is_lost() -> None:
    text = "sview:1_aaaaaaaa/1_bbbbbbbb,privacycontext:Mein Portal,e\u0301dit:説明," * 3
    for width in range(2, 60):
        lines = table.wrap(text, width)
        assert all(table.display_width(line) <= width for line in lines)
        assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_times_that_no_calendar_holds_are_not_shown() -> None:
    assert output_text.iso_time(2**62) is None
