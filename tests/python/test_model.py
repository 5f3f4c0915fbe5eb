"""Results: what they are to Python, what they show, and what they keep to themselves."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import inspect
import json
import pickle
import subprocess
import sys
import typing
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import kaltura_app_token as kat
import pytest
from conftest import ROOT, clean_environment
from kaltura_app_token import _native, model
from kaltura_app_token.sandbox import Sandbox

RESULTS = [
    value
    for value in vars(model).values()
    if isinstance(value, type) and "__dataclass_fields__" in vars(value)
]
PYTHONS = sorted(Path.home().glob(".pyenv/versions/3.1[0-9]*/bin/python"))


@pytest.fixture
def answers(sandbox: Sandbox, tmp_path: Path) -> dict[type, Any]:
    """One answer of each kind, as calls give it."""
    client = sandbox.client()
    # Worth a finding: whoever exchanges it chooses the type.
    token = client.add_token(description="export", session_type=None)
    (rotated,) = kat.rotate(
        client,
        [token],
        journal=tmp_path / "journal",
        sink=kat.Sink.file(tmp_path / "token.json"),
    )
    audit = kat.audit(client)
    made = [
        token,
        client.list_tokens(),
        client.start_session(token),
        client.session_info(),
        kat.describe_ks(client.sign_admin_session().ks),
        kat.lint_privileges("actionslimit")[0],
        audit,
        audit.findings[0],
        kat.ensure(client, description="ensured"),
        kat.plan_revocation(client, ids=[token, "0_nosuchid"]),
        rotated,
    ]
    return {type(answer): answer for answer in made}


def test_every_result_is_a_frozen_value(answers: dict[type, Any]) -> None:
    assert set(answers) == set(RESULTS)
    for kind, answer in answers.items():
        names = [field.name for field in dataclasses.fields(answer)]
        assert tuple(names) == kind.__match_args__ == kind.__slots__  # type: ignore[attr-defined]
        assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
        twin = dataclasses.replace(answer)
        assert twin is not answer
        assert (twin, hash(twin)) == (answer, hash(answer))
        assert {answer: 1}[twin] == 1
        assert copy.copy(answer) is copy.deepcopy(answer) is answer
        assert answer != object()
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(answer, names[0], None)
        with pytest.raises(dataclasses.FrozenInstanceError):
            delattr(answer, names[0])
        assert list(dataclasses.asdict(answer)) == names
        values = [getattr(answer, name) for name in names]
        assert not any(isinstance(value, (list, dict, set)) for value in values)


def test_every_result_shows_python_and_can_be_written_as_json(answers: dict[type, Any]) -> None:
    names = dict(vars(kat)) | dict(vars(model))
    for kind, answer in answers.items():
        shown = repr(answer)
        assert "Some(" not in shown
        document = json.loads(json.dumps(answer.to_dict()))
        assert tuple(document) == kind.__match_args__  # type: ignore[attr-defined]
        if "****" not in shown and "Error" not in shown:
            assert eval(shown, names) == answer  # noqa: S307


def test_results_match_patterns(answers: dict[type, Any]) -> None:
    match answers[model.AppToken]:
        case model.AppToken(token_id, description="export", status=model.TokenStatus.ACTIVE):
            assert token_id == answers[model.AppToken].id
        case other:
            pytest.fail(repr(other))


def test_what_holds_no_credential_is_pickled(answers: dict[type, Any]) -> None:
    for kind, answer in answers.items():
        if kind in (model.AppToken, model.Session, model.Ensured):
            with pytest.raises(TypeError, match=r"\.(token|ks)\.reveal\(\)"):
                pickle.dumps(answer)
        else:
            assert pickle.loads(pickle.dumps(answer)) == answer, kind  # noqa: S301


def test_credentials_are_masked_unless_they_are_to_be_revealed(sandbox: Sandbox) -> None:
    client = sandbox.client()
    token = client.add_token()
    session = client.start_session(token)
    assert token.token is not None
    for holder, name, secret in ((token, "token", token.token), (session, "ks", session.ks)):
        # As a server may answer that echoes what it was sent.
        field: Any = {"token": "description", "ks": "user_id"}[name]
        echo = dataclasses.replace(holder, **{field: f"<{secret.reveal()}>"})  # type: ignore[arg-type]
        for result in (holder, echo):
            assert result.to_dict()[name] == "****"
            assert result.to_dict(reveal=True)[name] == secret.reveal()
            shown = f"{result} {result!r} {json.dumps(result.to_dict())}"
            shown += json.dumps(dataclasses.asdict(holder), default=str)
            assert secret.reveal() not in shown
    nested = kat.ensure(client, description="x").to_dict(reveal=True)
    assert len(nested["token"]["token"]) == 32


def test_the_type_hints_of_results_resolve() -> None:
    for kind in RESULTS:
        assert tuple(typing.get_type_hints(kind)) == kind.__match_args__  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("expiry", "at"),
    [
        (1893456000, datetime(2030, 1, 1, tzinfo=timezone.utc)),
        (None, None),
        (2**62, None),
        (-(2**62), None),
    ],
)
def test_expires_at_is_none_for_what_no_calendar_holds(
    expiry: int | None, at: datetime | None
) -> None:
    assert kat.AppToken("0_x", expiry=expiry).expires_at == at


_ENUMERATIONS = """
import copy, json, pickle, sys
from kaltura_app_token.model import SessionType, TokenStatus
for kind, number, name in ((TokenStatus, 2, "ACTIVE"), (SessionType, 0, "USER"),
                           (TokenStatus, 9, "9"), (SessionType, -7, "-7")):
    member = kind(number)
    assert member == number and hash(member) == hash(number)
    assert (str(member), f"{member}", f"{member:>9}", "%s" % member) == (
        name, name, name.rjust(9), name)
    assert member.name == name and member.value == number
    assert eval(repr(member)) == member, repr(member)
    assert json.dumps([member]) == f"[{number}]"
    assert pickle.loads(pickle.dumps(member)) == copy.deepcopy(member) == member
    assert type(pickle.loads(pickle.dumps(member))) is kind
for value in ("ACTIVE", None, 2.5, True):
    try:
        kind = TokenStatus(value)
    except ValueError:
        assert value is not True
    else:
        assert value is True and kind is TokenStatus.DISABLED
print("ok")
"""


@pytest.mark.parametrize("python", [sys.executable, *map(str, PYTHONS)])
def test_enumerations_are_the_same_on_every_python(python: str) -> None:
    done = subprocess.run(  # noqa: S603
        [python, "-W", "error", "-c", _ENUMERATIONS],
        env=clean_environment() | {"PYTHONPATH": str(Path(kat.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("ok\n", "")


@pytest.mark.parametrize("status", [kat.TokenStatus.ACTIVE, "active", "2", 2])
def test_arguments_take_members_names_and_numbers(sandbox: Sandbox, status: Any) -> None:
    client = sandbox.client()
    token = client.add_token(session_type=kat.SessionType.ADMIN)
    assert list(client.tokens(status_equal=status, session_type_equal="ADMIN")) == list(
        client.tokens(status_in=[status])
    )
    assert token.session_type is kat.SessionType.ADMIN


def test_a_token_stands_where_its_id_does(sandbox: Sandbox) -> None:
    client = sandbox.client()
    token = client.add_token(hash_type="SHA512", session_privileges=["sview:*", "list:*"])
    assert token.session_privileges == "sview:*,list:*"
    assert client.get_token(token) == token
    assert client.update_token(token, description="b").description == "b"
    assert client.preview_update(token, description="b")
    assert client.start_session(token).ks
    assert kat.SessionProvider(client, kat.TokenSource.value(token), hash_type="auto").get().ks
    (listed,) = client.tokens(id_in=[token])
    with pytest.raises(kat.ConfigError, match=rf"token: the value of \"{token.id}\" is missing"):
        client.start_session(listed)
    plan = kat.plan_revocation(client, ids=[token])
    assert kat.revoke(client, plan) == {token.id: None}
    client.delete_token(client.add_token())
    assert list(client.tokens()) == []


@pytest.mark.parametrize(
    ("privileges", "named"),
    [(["list:*", "a,b"], r"privileges\[1\].*comma"), ([""], r"privileges\[0\]"), (5, "privileges")],
)
def test_a_list_of_privileges_holds_one_each(privileges: Any, named: str) -> None:
    with pytest.raises((kat.ConfigError, TypeError), match=named):
        kat.sign_ks("x", partner_id=1, duration=60, privileges=privileges)


def test_a_ks_is_signed_for_a_duration_or_until_an_instant() -> None:
    def expiry(**when: Any) -> int | None:
        return kat.open_ks(kat.sign_ks("x", partner_id=1, **when), "x").expiry

    now = datetime.now(timezone.utc).timestamp()
    for life in (3600, 3600.0):
        assert abs((expiry(duration=life) or 0) - now - 3600) < 5
    assert expiry(expiry=1500000000) == 1500000000
    for wrong in ({}, {"duration": 60, "expiry": 1500000000}):
        with pytest.raises(kat.ConfigError, match="either duration"):
            expiry(**wrong)
    for instant in (3600.0, datetime.now(timezone.utc) - datetime.now(timezone.utc)):
        with pytest.raises(TypeError, match="expiry"):
            expiry(expiry=instant)


def test_a_session_that_no_provider_handed_out_is_not_taken_back(sandbox: Sandbox) -> None:
    client = sandbox.client()
    provider = kat.SessionProvider(client, kat.TokenSource.value(client.add_token()))
    for session in (kat.Session(kat.Secret("x" * 30)), dataclasses.replace(provider.get())):
        with pytest.raises(kat.ConfigError, match="not handed out"):
            provider.reject(session)
    assert provider.reject(provider.get()).ks


def test_settings_and_profiles_show_python_and_no_secret() -> None:
    settings = kat.Settings(
        partner_id=1, admin_secret="canary", ks="canary", service_url="https://u:canary@h/"
    )
    shown = repr(settings)
    assert "canary" not in shown
    assert "partner_id=1, admin_secret=Secret" in shown
    assert copy.deepcopy(settings) == settings
    for profile in (
        kat.ResponseProfile.include("id", "it's"),
        kat.ResponseProfile.exclude("token"),
        kat.ResponseProfile.stored(id=5),
        kat.ResponseProfile.stored(system_name="x"),
        kat.ResponseProfile.full("a", "b", include=["id"]),
    ):
        assert eval(repr(profile), vars(kat)) == profile  # noqa: S307


class TestArguments:
    """No argument takes what has no meaning, and each says so by its name."""

    # For every function: arguments with which it works, but for the one that is tried.
    WORKING: typing.ClassVar[dict[str, dict[str, Any]]] = {
        "Client": {},
        "Client.from_config": {},
        "Client.from_env": {},
        "Client.from_settings": {"settings": kat.Settings(partner_id=1)},
        "Client.add_token": {},
        "Client.preview_add": {},
        "Client.get_token": {"id": "0_x"},
        "Client.list_tokens": {},
        "Client.tokens": {},
        "Client.update_token": {"id": "0_x", "description": "x"},
        "Client.preview_update": {"id": "0_x", "description": "x"},
        "Client.delete_token": {"id": "0_x"},
        "Client.start_session": {"id": "0_x", "token": "x"},
        "Client.start_widget_session": {},
        "Client.start_admin_session": {},
        "Client.sign_admin_session": {},
        "Client.session_info": {},
        "Client.end_session": {"ks": "x"},
        "Client.close": {},
        "ResponseProfile.exclude": {},
        "ResponseProfile.include": {},
        "ResponseProfile.full": {"name": "x", "system_name": "x", "include": []},
        "ResponseProfile.stored": {},
        "Secret": {"value": "x"},
        "Secret.reveal": {},
        "SessionProvider": {},
        "SessionProvider.get": {},
        "SessionProvider.reject": {},
        "SessionProvider.stats": {},
        "Settings": {},
        "Settings.from_config_file": {"path": "x"},
        "Settings.from_env": {},
        "Settings.names_account": {},
        "Settings.resolve": {"sources": [], "need": "show"},
        "Sink.callable": {"function": print},
        "Sink.command": {"program": "x"},
        "Sink.file": {"path": "x"},
        "Sink.stdout": {},
        "TokenSource.callable": {"function": print},
        "TokenSource.environment": {},
        "TokenSource.file": {"path": "x"},
        "TokenSource.value": {"id": "x", "token": "x"},
        "TokenSource.value_file": {"id": "x", "path": "x"},
        "TokenSource.variable": {"id": "x", "name": "x"},
        "Sandbox": {},
        "Sandbox.close": {},
        "audit": {},
        "describe_ks": {"ks": "x"},
        "dropped_privileges": {"requested": "x", "granted": "x"},
        "ensure": {"description": "x"},
        "lint_privileges": {"text": "x"},
        "normalize_service_url": {"url": "x"},
        "open_ks": {"ks": "x"},
        "plan_revocation": {},
        "read_configuration": {"path": "x"},
        "resume_rotations": {"journal": "x"},
        "revoke": {"ids": []},
        "rotate": {"ids": [], "journal": "x"},
        "sign_ks": {"secret": "x", "partner_id": 1, "duration": 60},
        "token_hash": {"ks": "x", "token": "x"},
    }
    # Of no argument's meaning, whatever it is for.
    MEANINGLESS: typing.ClassVar[list[Any]] = [
        object(),
        "canary\ud800",
        10**400,
        -(10**400),
        2**64,
        float("nan"),
        float("inf"),
        ["canary\ud800"],
        [object()],
        b"\xff",
        {"a": 1},
    ]
    # Functions, taken as they are.
    CALLABLE: typing.ClassVar[set[str]] = {"function", "progress"}
    # Handed on by Python itself.
    OWN: typing.ClassVar[set[str]] = {"_walk", "_next_tokens", "_on"}

    @staticmethod
    def functions() -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name in _native.__all__:
            value = getattr(_native, name)
            if name in (
                "LoopQueue",
                "Walk",
                "Tokens",
                "sandbox_main",
                "tell_of_waits",
                "__version__",
            ):
                continue
            if not isinstance(value, type):
                found[name] = value
                continue
            if value.__text_signature__ is not None:
                found[name] = value
            for method, function in vars(value).items():
                # What steers a sandbox is text of the methods above it.
                if method == "control":
                    continue
                if not method.startswith("_") and callable(getattr(value, method)):
                    found[f"{name}.{method}"] = getattr(value, method)
                    assert isinstance(function, object)
        return found

    def test_the_table_has_every_function(self) -> None:
        assert set(self.functions()) == set(self.WORKING)

    @pytest.mark.parametrize("name", sorted(WORKING))
    def test_what_has_no_meaning_is_refused_by_name(self, name: str, sandbox: Sandbox) -> None:
        function = self.functions()[name]
        client = sandbox.client()
        source = kat.TokenSource.value(client.add_token())
        provider = kat.SessionProvider(client, source)
        owners = {
            "Client": client,
            "SessionProvider": provider,
            "Settings": kat.Settings(),
            "Secret": kat.Secret("x"),
        }
        working = dict(self.WORKING[name])
        parameters = dict(inspect.signature(function).parameters)
        for common, value in (
            ("self", owners.get(name.split(".", maxsplit=1)[0])),
            ("client", client),
            ("source", source),
            ("sink", kat.Sink.stdout()),
            ("session", provider.get()),
        ):
            if common in parameters:
                working[common] = value
        tried = {
            each
            for each, parameter in parameters.items()
            if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
            and each not in self.CALLABLE | {"self"}
        }
        extra = {"options": "_ClientOptions", "filters": "_OrderedTokenFilter"}
        for keyword in parameters.keys() & extra.keys():
            tried |= set(_stub_keys(extra[keyword]))
        for each in sorted(tried):
            for value in self.MEANINGLESS:
                if self._means_something(each, value):
                    continue
                given = working | {each: value}
                first = [given.pop("self")] if "self" in given else []
                with pytest.raises((TypeError, ValueError), match=each) as caught:
                    function(*first, **given)
                error = caught.value
                assert type(error) in (TypeError, kat.ConfigError), (each, value, error)
                assert "canary" not in str(error)

    @staticmethod
    def _means_something(name: str, value: Any) -> bool:
        # Paths may be bytes; the rest are kinds of their own.
        paths = {"path", "journal", "program", "ca_file", "accounts"}
        return name in paths and value == b"\xff"


def _stub_keys(name: str) -> list[str]:
    """The keys of a `TypedDict` of the stub, with those that it inherits."""
    text = (ROOT / "py/python/kaltura_app_token/_native.pyi").read_text(encoding="utf-8")
    head, body = text.split(f"class {name}(", 1)[1].split("\n", 1)
    lines = body.split("\n@final", 1)[0].split("\nclass ", 1)[0].splitlines()
    keys = [
        line.strip().split(":")[0] for line in lines if line.startswith("    ") and ": " in line
    ]
    parent = head.split(",")[0]
    return keys + (_stub_keys(parent) if parent.startswith("_") else [])


class TestTheFieldsOfAToken:
    FIELDS = tuple(inspect.signature(kat.Client.preview_add).parameters)[1:]

    def test_every_function_takes_the_same_ones(self) -> None:
        update = tuple(inspect.signature(kat.Client.preview_update).parameters)
        assert update == ("self", "id", *self.FIELDS, "clear")
        for function, before, after in (
            (kat.Client.add_token, ("self",), ("response_profile",)),
            (kat.Client.update_token, ("self", "id"), ("clear", "response_profile")),
            (kat.ensure, ("client",), ()),
        ):
            signature = tuple(inspect.signature(function).parameters)
            assert signature == (*before, *self.FIELDS, *after)

    def test_what_is_in_the_signature_is_taken_and_nothing_else(self, sandbox: Sandbox) -> None:
        client = sandbox.client()
        values = {"session_privileges": "list:*", "session_user_id": "u", "expiry": 1893456000}
        token = client.add_token(description="x", **values)  # type: ignore[arg-type]
        for call in (client.preview_add, lambda **field: client.preview_update("0_x", **field)):
            for field in self.FIELDS:
                call(**{field: getattr(token, field)})
            with pytest.raises(TypeError, match=", ".join(self.FIELDS)):
                call(colour="red")  # type: ignore[call-arg]
            with pytest.raises(TypeError, match="colour"):
                call(colour=None)  # type: ignore[call-arg]

    def test_the_stubs_and_the_docs_have_the_same_ones(self) -> None:
        documented = kat.Client.add_token.__doc__ or ""
        for field in self.FIELDS:
            assert f"    {field}: " in documented, field
        for module, times in (("_native", 5), ("aio", 3)):
            path = ROOT / f"py/python/kaltura_app_token/{module}.pyi"
            text = path.read_text(encoding="utf-8")
            assert (
                text.count("        session_user_id: str | None = None,")
                + text.count("\n    session_user_id: str | None = None,")
                >= times
            )
        assert set(self.FIELDS) < {field.name for field in dataclasses.fields(kat.AppToken)}


class TestFrameworks:
    """What web frameworks make of an answer: masked, and no failure."""

    @pytest.fixture
    def holders(self, sandbox: Sandbox) -> tuple[kat.AppToken, kat.Session]:
        token = sandbox.client().add_token()
        return token, sandbox.client().start_session(token)

    def test_pydantic_writes_the_mask(self, holders: tuple[kat.AppToken, kat.Session]) -> None:
        pydantic = pytest.importorskip("pydantic")
        token, session = holders
        assert token.token is not None

        class Answer(pydantic.BaseModel):  # type: ignore[name-defined, misc]
            session: kat.Session
            tokens: list[kat.AppToken]
            secret: kat.Secret

        Answer.model_rebuild(_types_namespace={"kat": kat})
        answer = Answer(session=session, tokens=[token], secret="canary")
        assert answer.secret.reveal() == "canary"
        written = f"{answer} {answer.model_dump()} {answer.model_dump_json()}"
        written += pydantic.TypeAdapter(kat.Session).dump_json(session).decode()
        for secret in (session.ks.reveal(), token.token.reveal(), "canary"):
            assert secret not in written
        assert json.loads(answer.model_dump_json())["session"]["ks"] == "****"
        assert Answer.model_json_schema(mode="serialization")

    def test_fastapi_answers_with_the_mask(self, holders: tuple[kat.AppToken, kat.Session]) -> None:
        fastapi = pytest.importorskip("fastapi")
        testing = pytest.importorskip("fastapi.testclient")
        token, session = holders
        assert token.token is not None
        app = fastapi.FastAPI()

        def declared() -> Any:
            return session

        declared.__annotations__["return"] = kat.Session
        app.get("/declared")(declared)
        app.get("/session")(lambda: session)
        app.get("/token")(lambda: {"made": [token]})
        client = testing.TestClient(app)
        for path in ("/declared", "/session", "/token", "/openapi.json"):
            answer = client.get(path)
            assert answer.status_code == 200, path
            for secret in (session.ks.reveal(), token.token.reveal()):
                assert secret not in answer.text
            assert "****" in answer.text or path == "/openapi.json"


def test_importing_the_package_loads_neither_the_results_nor_the_native_half() -> None:
    program = """
import sys
before = set(sys.modules)
import kaltura_app_token
print(*sorted(set(sys.modules) - before))
kaltura_app_token.Client(1, service_url="us")
kaltura_app_token.AppToken("0_x")
assert "dataclasses" not in sys.modules and "inspect" not in sys.modules
"""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-S", "-c", program],
        env=clean_environment() | {"PYTHONPATH": str(Path(kat.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert not {"enum", "kaltura_app_token.model", "kaltura_app_token._native"} & set(
        done.stdout.split()
    )


def test_the_results_are_at_home_in_one_module() -> None:
    for kind in (*RESULTS, kat.TokenStatus, kat.SessionType):
        assert kind.__module__ == "kaltura_app_token.model"
        assert getattr(kat, kind.__name__) is kind
        assert importlib.import_module(kind.__module__)
