"""The next step that an error names: in tracebacks, by name, and through copies."""

from __future__ import annotations

import copy
import pickle
import re
import sys
import traceback
from pathlib import Path
from typing import Any

import kaltura_app_token as kat
import pytest
from conftest import ROOT
from kaltura_app_token import errors
from kaltura_app_token.sandbox import Sandbox
from test_client import in_a_process

HAS_NOTES = sys.version_info >= (3, 11)


def refusal() -> kat.ConfigError:
    with pytest.raises(kat.ConfigError) as caught:
        kat.normalize_service_url("http://kaltura.example.com")
    return caught.value


def test_a_traceback_shows_the_next_step_and_the_message_stays_one_line() -> None:
    error = refusal()
    assert error.hint is not None
    assert str(error) == error.message
    assert "\n" not in str(error)
    shown = "".join(traceback.format_exception(error))
    assert (f"\nhint: {error.hint}\n" in shown) == HAS_NOTES


def test_a_program_that_does_not_catch_it_shows_the_next_step(sandbox: Sandbox) -> None:
    done = in_a_process(
        sandbox, "import kaltura_app_token as kat; kat.Client(1, service_url='x y')"
    )
    assert done.returncode == 1
    assert "ConfigError: " in done.stderr
    done = in_a_process(
        sandbox, "import kaltura_app_token as kat; kat.Client(1, service_url='http://example.com')"
    )
    assert ("hint: give an https address" in done.stderr) == HAS_NOTES


def pickled(error: Exception) -> Any:
    return pickle.loads(pickle.dumps(error))  # noqa: S301


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, pickled])
def test_a_copy_has_the_hint_once_and_notes_of_its_own(again: Any) -> None:
    error = refusal()
    if HAS_NOTES:
        error.add_note("while starting up")  # type: ignore[attr-defined]
    twin = again(error)
    assert vars(twin) == vars(error)
    if HAS_NOTES:
        assert twin.__notes__ == [f"hint: {error.hint}", "while starting up"]
        twin.add_note("another")
        assert len(error.__notes__) == 2  # type: ignore[attr-defined]


def test_an_error_without_a_hint_has_no_note() -> None:
    error = kat.KalturaError("what happened")
    assert not hasattr(error, "__notes__")
    assert not hasattr(copy.copy(error), "__notes__")


def names_in(source: str, pattern: str) -> set[str]:
    return set(re.findall(pattern, source, re.MULTILINE))


def test_every_name_that_a_hint_can_have_is_listed() -> None:
    core = (ROOT / "core/src/error/hint.rs").read_text(encoding="utf-8")
    names = names_in(core, r'^    (\w+) => "') | {"Connection"}
    listed = Path(errors.__file__).read_text(encoding="utf-8")
    listed = listed.partition("HintName: TypeAlias = Literal[")[2].partition("]")[0]
    assert names_in(listed, r'"(\w+)"') == names
    assert len(names) > 50


@pytest.mark.parametrize(
    ("code", "name", "words"),
    [
        ("INVALID_OBJECT_ID", "UnknownObject", "role"),
        ("INVALID_PARAMETER_CHAR", "ForbiddenCharacter", "character"),
        ("PARTNER_ACCESS_FORBIDDEN", "OtherAccount", "account"),
        ("SERVICE_FORBIDDEN", "Forbidden", "role"),
        ("INVALID_APP_TOKEN_HASH", "HashDiffers", "newline"),
    ],
)
def test_what_the_server_refuses_has_a_next_step(
    sandbox: Sandbox, code: str, name: str, words: str
) -> None:
    sandbox.fault("appToken.get", "exception", code=code, message="no")
    with pytest.raises(kat.ApiError) as caught:
        sandbox.client().get_token("0_abcdefgh")
    assert caught.value.hint_name == name
    assert words in str(caught.value.hint)


def test_every_event_is_named_as_the_core_names_it() -> None:
    from kaltura_app_token import observe

    core = (ROOT / "core/src/event.rs").read_text(encoding="utf-8")
    variants = core.partition("pub enum Event {")[2].partition("\n}\n")[0]
    names = names_in(variants, r"^    (\w+) \{$")
    listed = Path(observe.__file__).read_text(encoding="utf-8")
    literal = listed.partition("EventName: TypeAlias = Literal[")[2].partition("]")[0]
    assert names_in(literal, r'"(\w+)"') == names | {"Other"}
    assert names_in(listed, r"^    \| `(\w+)` \|") == names
    native = (ROOT / "py/src/logging.rs").read_text(encoding="utf-8")
    assert names_in(native, r"core::Event::(\w+) \{") == names
    assert names_in(native, r'^ +"(\w+)"$') == names


def test_a_file_of_this_machine_that_fails_has_the_systems_number(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    token = sandbox.client().add_token().id
    program = f"""
import errno, pickle, resource
import kaltura_app_token as kat
client = kat.Client.from_env()
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
(rotated,) = kat.rotate(
    client, [{token!r}], journal={str(tmp_path / "journal")!r}, sink=kat.Sink.stdout()
)
error = rotated.error
assert isinstance(error, OSError) and type(error) is kat.LocalError
assert "journal" in str(error)
twin = pickle.loads(pickle.dumps(error))
assert (type(twin), str(twin)) == (kat.LocalError, str(error))
print(errno.errorcode[error.errno], errno.errorcode[twin.errno])
"""
    done = in_a_process(sandbox, program)
    assert done.stdout.split() == ["EFBIG", "EFBIG"], done
    assert kat.LocalError("one without a number").errno is None
