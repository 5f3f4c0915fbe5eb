"""Named accounts in a file of the user's own, such as

    {"profiles": {"production": {"partner_id": 123456, "service_url": "eu",
                                 "admin_secret_file": "production.secret"}}}

Reads that file and the files of secrets that a profile names; never quotes a value of it.
"""

from __future__ import annotations

import json
import os
import stat
from typing import Any, NamedTuple

from kaltura_app_token import _native
from kaltura_app_token.command.arguments import read_secret
from kaltura_app_token.errors import ConfigError

_KEYS = {
    "partner_id": int,
    "admin_secret": str,
    "ks": str,
    "service_url": str,
    "user_id": str,
    "session_expiry": int,
    "admin_privileges": str,
    "app_token_id": str,
    "app_token": str,
}
_SECRETS = ("admin_secret", "ks", "app_token")


class Profile(NamedTuple):
    """A profile's settings, and what is worth a warning about its files."""

    settings: _native.Settings
    warnings: list[str]


def profiles_path() -> str:
    """Where profiles are read from, whether or not there is such a file."""
    base = os.environ.get("XDG_CONFIG_HOME", "")
    if not os.path.isabs(base):
        base = os.path.join(os.path.expanduser("~"), ".config")
    return os.path.join(base, "kaltura-app-token", "config.json")


def read_profile(name: str) -> Profile:
    """The settings of one profile.

    Raises:
        ConfigError: There is none of that name, or it cannot be used.
    """
    path = profiles_path()
    profiles, warnings = _read(path)
    if name not in profiles:
        known = ", ".join(sorted(profiles)) or "none"
        raise ConfigError(f"{path} has no profile {name}", hint=f"its profiles are: {known}")
    where = f"{path}: profile {name}"
    profile = profiles[name]
    if not isinstance(profile, dict):
        raise ConfigError(f"{where} is not an object of settings")
    values = dict(profile)
    if any(secret in values for secret in _SECRETS) and _others_can_read(path):
        warnings.append(_warning(path))
    for secret in _SECRETS:
        file = values.pop(f"{secret}_file", None)
        if file is None:
            continue
        if secret in values:
            raise ConfigError(f"{where}: {secret} and {secret}_file are both given")
        if not isinstance(file, str):
            raise ConfigError(f"{where}: {secret}_file is not a path")
        file = os.path.join(os.path.dirname(path), os.path.expanduser(file))
        values[secret] = read_secret(f"{where}: {secret}_file", file)
        if _others_can_read(file):
            warnings.append(_warning(file))
    return Profile(_settings(where, name, values), warnings)


def _read(path: str) -> tuple[dict[str, Any], list[str]]:
    if not os.path.exists(path):
        raise ConfigError(
            f"there is no file of profiles: {path}",
            hint='it holds {"profiles": {"NAME": {"partner_id": 123456, "service_url": "eu", '
            '"admin_secret_file": "PATH"}}}',
        )
    text, warning = _native.read_configuration(path)
    try:
        document = json.loads(text.reveal(), object_pairs_hook=lambda pairs: _once(path, pairs))
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"{path} is not JSON", hint=f"see line {error.lineno}, column {error.colno}"
        ) from None
    profiles = document.get("profiles") if isinstance(document, dict) else None
    if not isinstance(profiles, dict):
        raise ConfigError(f'{path} has no "profiles" object')
    return profiles, [warning] if warning else []


def _once(path: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these keys, none of which may stand twice: it is not clear which one counts."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ConfigError(f"{path}: the key {key} stands twice in one object")
        found[key] = value
    return found


def _settings(where: str, name: str, values: dict[str, Any]) -> _native.Settings:
    for key, value in values.items():
        if key not in _KEYS:
            raise ConfigError(
                f"{where}: unknown setting {key}",
                hint=f"the settings are {', '.join(_KEYS)}, and for a secret its name with _file",
            )
        kind = _KEYS[key]
        # A JSON true is an int to Python.
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ConfigError(f"{where}: {key} is not {'a number' if kind is int else 'a text'}")
        if not value or (isinstance(value, int) and not 0 < value < 2**63):
            raise ConfigError(f"{where}: {key} is {'empty' if kind is str else 'out of range'}")
    duration = values.pop("session_expiry", None)
    return _native.Settings(admin_session_duration=duration, profile=name, **values)


def _others_can_read(path: str) -> bool:
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return os.name == "posix" and stat.S_ISREG(mode) and bool(mode & 0o077)


def _warning(path: str) -> str:
    return f"{path} holds a secret and can be read by other users: chmod 600 {path}"
