"""Where the account comes from: the table of `tests/scenarios/configuration.json`, read by the
package, by the command and by the old command. The core's own tests read the same rows.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Ended, Shell, clean_environment
from kaltura_app_token import Client, ConfigError, Settings, normalize_service_url

Row = dict[str, Any]

TABLE = json.loads((ROOT / "tests/scenarios/configuration.json").read_text(encoding="utf-8"))

# What is printed is compared with the table, and what fails is compared with its words.
_ACTING = ["create", "--dry-run", "--format", "json"]
# It gets nowhere: a row that is to fail must not reach a server when it does not.
_EXCHANGING = ["session", "0_token", "--app-token", "value"]
_NOWHERE = ["--proxy", "http://127.0.0.1:1", "--max-retries", "0"]

# The old command's script, reduced to the account that it found.
_SCRIPT = """
import json, sys
import kaltura_app_token_manager as manager
if len(sys.argv) > 1 and sys.argv[1] == "run":
    sys.exit(manager.main(sys.argv[2:]))
found = manager.load_configuration(*sys.argv[1:])
reveal = lambda secret: None if secret is None else secret.reveal()
print(json.dumps([found.source, found.partner_id, reveal(found.admin_secret), found.service_url]))
"""


def rows(surface: str) -> list[Row]:
    """The rows that this surface is to read."""
    return [row for row in TABLE["rows"] if surface in _surfaces(row)]


def _surfaces(row: Row) -> list[str]:
    return list(row.get("surfaces", ("core", "python", "command")))


def each(surface: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("row", rows(surface), ids=lambda row: row["name"])


@pytest.mark.parametrize("surface", ["python", "command", "old"])
def test_every_row_is_read(surface: str) -> None:
    assert len(rows(surface)) == TABLE["counts"][surface] >= 7
    assert {name for row in TABLE["rows"] for name in _surfaces(row)} == TABLE["counts"].keys()


class Place:
    """The directory, files and environment of a row."""

    def __init__(self, row: Row, directory: Path) -> None:
        self.row = row
        self.names = TABLE["values"] | {"dir": str(directory), "script_dir": "{script_dir}"}
        self.directory = directory
        for name, content in row.get("files", {}).items():
            self.write(name, content)
        if "config_json" in row:
            self.write("config.json", row["config_json"])
        self.environment = {
            name: self.text(value) for name, value in row.get("environment", {}).items()
        }
        self.options: Row = {
            name: self.text(value) if isinstance(value, str) else value
            for name, value in row.get("options", {}).items()
        }

    def text(self, value: Any) -> str:
        """The value with its names filled in; bytes as Python's own `os.environ` has them."""
        if isinstance(value, dict):
            return os.fsdecode(bytes(value["bytes"]))
        for name, meant in self.names.items():
            value = value.replace("{" + name + "}", meant)
        return str(value)

    def write(self, name: str, content: Any) -> None:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, dict):
            content = content if "bytes" in content else json.dumps(content)
        path.write_bytes(os.fsencode(self.text(content)))
        path.chmod(0o600)

    @property
    def account(self) -> Row | None:
        account = self.row.get("account")
        if account is None:
            return None
        return {name: self.text(v) if isinstance(v, str) else v for name, v in account.items()}

    def complains(self, text: str) -> None:
        """The error has the words of the row, and no secret of it."""
        for words in self.row["error"]:
            assert self.text(words) in text, text
        assert "secret-of-" not in text, "a secret is quoted"
        assert TABLE["values"]["KS_OF_102"] not in text


@each("python")
def test_the_package(row: Row, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(row, tmp_path)
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ.keys() - clean_environment().keys()):
        monkeypatch.delenv(name)
    for name, value in place.environment.items():
        monkeypatch.setenv(name, value)

    def resolve() -> Settings:
        sources = [Settings(**place.options), Settings.from_env()]
        if (profile := place.environment.get("KALTURA_PROFILE")) is not None:
            sources.append(Settings(profile=profile, **row["profiles"][profile]))
        if "config_json" in row:
            sources.append(Settings.from_config_file("config.json"))
        return Settings.resolve(sources, row.get("need", "admin"))

    account = place.account
    if account is None:
        with pytest.raises(ConfigError) as caught:
            resolve()
        place.complains(f"{caught.value} {caught.value.hint}")
        return
    found = resolve()
    assert found.partner_id == account["partner_id"]
    for name in ("admin_secret", "ks"):
        secret = getattr(found, name)
        assert (secret and secret.reveal()) == account.get(name), name
    assert normalize_service_url(found.service_url or "us") == account["service_url"]
    told = {"the explicit options": "the options", None: "the default"}
    assert told.get(found.source, found.source) == account["from"]
    source = found.service_url_source
    assert told.get(source, source) == account["service_url_from"]


@pytest.mark.parametrize("url", ["https://u:canary@h/", "https://h/?ks=canary", "canary"])
def test_a_service_url_that_may_hold_a_secret_is_not_shown(url: str) -> None:
    settings = Settings(partner_id=102, service_url=url)
    assert repr(settings) == (
        "Settings(source='the explicit options', partner_id=102, service_url='****')"
    )
    with pytest.raises(ConfigError) as caught:
        Client.from_settings(settings)
    assert "canary" not in f"{caught.value} {caught.value.hint}"


@each("command")
def test_the_command(row: Row, tmp_path: Path) -> None:
    place = Place(row, tmp_path)
    if "profiles" in row:
        place.write("home/kaltura-app-token/config.json", {"profiles": row["profiles"]})
    home = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "home")}
    shell = Shell(tmp_path, clean_environment() | home | place.environment)
    options = [
        word
        for name, value in place.options.items()
        for word in ("--" + name.replace("_", "-"), str(value))
    ]

    def acts() -> Ended:
        if row.get("need") == "exchange":
            return shell.new(*_EXCHANGING, *_NOWHERE, *options)
        return shell.new(*_ACTING, *options)

    account = place.account
    if account is None:
        ended = acts()
        assert (ended.code, ended.out) == (2, ""), ended
        place.complains(ended.err.replace("--app-token", ""))
        return
    ended = shell.new("config", "show", "--format", "json", *options)
    assert ended.code == 0, ended
    told = ended.json
    assert told["partnerId"] == {"value": account["partner_id"], "source": account["from"]}
    for name, key in (("adminSecret", "admin_secret"), ("ks", "ks")):
        given = key in account
        assert told[name]["value"] == ("****" if given else None), name
        assert told[name]["source"] == (account["from"] if given else None), name
    assert normalize_service_url(told["serviceUrl"]["value"]) == account["service_url"]
    assert told["serviceUrl"]["source"] == account["service_url_from"]
    if row.get("need") == "exchange":
        return
    ended = acts()
    assert ended.code == 0, ended
    assert ended.json["url"].startswith(account["service_url"] + "/service/")
    notes = [line for line in ended.err.splitlines() if "note: " in line]
    if "profile" in place.options or "config" in place.options:
        assert len(notes) == 1, ended
        for told_once in ("partner_id", "from", "service_url"):
            assert str(account[told_once]) in notes[0]
    else:
        assert notes == []


@each("old")
def test_the_old_command(row: Row, tmp_path: Path) -> None:
    work, beside = tmp_path / "work", tmp_path / "beside"
    work.mkdir()
    beside.mkdir()
    place = Place(row, work)
    place.names["script_dir"] = str(beside)
    if "config_json_beside_the_script" in row:
        place.write("../beside/config.json", row["config_json_beside_the_script"])
    script = beside / "my_manager.py"
    script.write_text(_SCRIPT, encoding="utf-8")
    shell = Shell(work, clean_environment() | place.environment)
    python = sys.executable
    config = place.options.get("config")
    account = place.account
    if account is None:
        ended = shell.run(python, str(script), "run", "--list")
        assert (ended.code, ended.out) == (2, ""), ended
        place.complains(ended.err)
        return
    ended = shell.run(python, str(script), *([config] if config else []))
    assert ended.code == 0, ended
    source, partner_id, secret, url = ended.json
    assert os.path.basename(source) == account["from"]
    assert (partner_id, secret) == (account["partner_id"], account["admin_secret"])
    assert normalize_service_url(url) == account["service_url"]
