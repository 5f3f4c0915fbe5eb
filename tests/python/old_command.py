"""Runs a command with the old script's flags on a local Kaltura and tells what it did there: how it
ended, what it printed, and what was another on the server afterwards. Knows no case.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

from conftest import ROOT, Shell, clean_environment
from kaltura_app_token.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TABLE: dict[str, Any] = json.loads((ROOT / "tests/scenarios/old_command.json").read_text("utf-8"))

_FIELDS = ("description", "session_privileges", "session_user_id", "session_duration", "expiry")
_FIELDS_FIXED = ("token", "hash_type", "session_type", "status", "partner_id")


@dataclass
class Did:
    """What a run did. Ids, values and sessions stand in it as ID, VALUE, NEW, NEW_VALUE and KS."""

    exit: int
    prints: list[str]
    says: list[str]
    server: dict[str, Any] = field(default_factory=dict)
    sent_secret: bool = False


def run(command: Sequence[str], case: dict[str, Any], directory: Path) -> Did:
    """Runs the words of a case, on an account of as many tokens as the case says, from a directory
    with the case's `config.json`.
    """
    with Sandbox() as sandbox:
        client = sandbox.client()
        for _ in range(case.get("tokens", 1)):
            client.add_token(description="kept", session_privileges="sview:*")
        before = _state(sandbox)
        write_config(directory, sandbox, case.get("config"))
        first = min(before, default="0_unknown1")
        words = [word.replace("ID", first) for word in shlex.split(case["words"])]
        ended = Shell(directory, clean_environment()).run(*command, *words)
        after = _state(sandbox)
        names = {sandbox.service_url: "URL"} | {token_id: "ID" for token_id in before}
        names |= {token["token"]: "VALUE" for token in before.values()}
        for token_id in after.keys() - before.keys():
            names |= {token_id: "NEW", after[token_id]["token"]: "NEW_VALUE"}
        called = [request["action"] for request in sandbox.requests()]
        return Did(
            ended.code,
            _shape(ended.out, names),
            _shape(ended.err, names),
            _changes(before, after, called.count("startSession")),
            "start" in called,
        )


def write_config(directory: Path, sandbox: Sandbox, text: str | None) -> None:
    """The `config.json` of a text in which PARTNER, SECRET and URL stand for the account; without a
    text one of the old script's keys.
    """
    if text == "":
        return
    text = text or '{"PARTNER_ID": PARTNER, "ADMIN_SECRET": "SECRET", "KALTURA_SERVICE_URL": "URL"}'
    for name, value in (
        (": PARTNER", f": {sandbox.partner_id}"),
        ('"PARTNER"', f'"{sandbox.partner_id}"'),
        ('"SECRET"', f'"{sandbox.admin_secret}"'),
        ('"URL', f'"{sandbox.service_url.removesuffix("/api_v3")}'),
    ):
        text = text.replace(name, value)
    path = directory / "config.json"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)


def _state(sandbox: Sandbox) -> dict[str, dict[str, Any]]:
    return {
        token.id: {name: _plain(getattr(token, name)) for name in _FIELDS + _FIELDS_FIXED}
        for token in sandbox.client().tokens(with_secrets=True)
    }


def _plain(value: Any) -> Any:
    return value.reveal() if hasattr(value, "reveal") else value


def _changes(
    before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]], sessions: int
) -> dict[str, Any]:
    """What was changed; nothing that stayed as it was."""
    changed: dict[str, Any] = {}
    added = [after[token_id] for token_id in after.keys() - before.keys()]
    if added:
        (token,) = added
        changed["added"] = {
            name: token[name] for name in ("description", "session_privileges") if token[name]
        }
    if before.keys() - after.keys():
        changed["deleted"] = len(before.keys() - after.keys())
    for token_id in before.keys() & after.keys():
        for name, value in after[token_id].items():
            if value != before[token_id][name]:
                changed.setdefault("updated", {})[name] = value
    if sessions:
        changed["sessions"] = sessions
    return changed


def _shape(text: str, names: dict[str, str]) -> list[str]:
    """The lines of an output without what differs from run to run, and without its widths."""
    for value, name in names.items():
        text = text.replace(value, name)
    text = re.sub(r"djJ8[\w-]+=*", "KS", text).replace("\r", "")
    if text.startswith("usage:"):
        return ["(usage)" if ": error: " in text else "(help)"]
    if text.startswith("Traceback"):
        return [f"(traceback) {text.splitlines()[-1].strip()}"]
    lines = [re.sub(r" +", " ", line).strip() for line in text.splitlines()]
    return [
        f"{count} times: {line}" if count > 1 else line
        for line, group in groupby("---" if re.fullmatch("-+", line) else line for line in lines)
        for count in [len(list(group))]
    ]
