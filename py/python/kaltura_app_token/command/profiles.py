"""Named accounts in a file of the user's own, such as

    {"profiles": {"production": {"partner_id": 123456, "service_url": "eu",
                                 "admin_secret_file": "production.secret"}},
     "default": "production"}

Reads and writes that file and the files of secrets that a profile names; never quotes their values.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
from typing import Any, NamedTuple

from kaltura_app_token import _native
from kaltura_app_token.command.arguments import looks_like_secret, read_secret, shown
from kaltura_app_token.errors import ConfigError, LocalError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

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
SECRETS = ("admin_secret", "ks", "app_token")
_DEFAULT = "default"


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


def read_profile(name: str, *, found: bool = False) -> Profile:
    """The settings of one profile; `found` says that it was not asked for.

    Raises:
        ConfigError: There is none of that name, or it cannot be used.
    """
    path = profiles_path()
    document, warnings = _read(path)
    profiles = document["profiles"]
    if name not in profiles:
        raise _unknown(path, name, profiles)
    values, of_secrets = _checked(path, name, profiles[name])
    settings = _settings(f"{path}: profile {name}", values)
    duration = settings.pop("session_expiry", None)
    return Profile(
        _native.Settings(admin_session_duration=duration, profile=name, found=found, **settings),
        [*warnings, *of_secrets],
    )


def default_profile() -> str | None:
    """The name of the profile that is used where none is asked for, if one was chosen.

    Raises:
        ConfigError: The file of profiles cannot be used.
    """
    path = profiles_path()
    if not os.path.exists(path):
        return None
    name = _read(path)[0].get(_DEFAULT)
    if name is not None and not isinstance(name, str):
        raise ConfigError(f"{path}: {_DEFAULT} is not the name of a profile")
    return name or None


def all_profiles() -> dict[str, Any]:
    """What each profile says, as it stands in the file; nothing where there is no file.

    Raises:
        ConfigError: The file cannot be used.
    """
    path = profiles_path()
    return dict(_read(path)[0]["profiles"]) if os.path.exists(path) else {}


def check_name(name: str) -> None:
    """Refuses a name for a new profile that is no good as one, or as a part of a file's.

    Raises:
        ConfigError: It is such a name.
    """
    if len(name) > 64 or re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) is None:
        raise ConfigError(
            "this is not a name for a profile", hint="letters, digits, and . _ - after the first"
        )
    if looks_like_secret(name):
        raise ConfigError(
            "the profile's name looks like a secret",
            hint="a secret goes into a file for --admin-secret-file, or to standard input for -",
        )


def write_profile(name: str, values: dict[str, Any], secrets: dict[str, str]) -> list[str]:
    """Sets values of a profile, which need not be there, and puts its secrets into files of their
    own; answers the paths that were written.

    Raises:
        ConfigError: What is there cannot be used, or not with these values.
        LocalError: It cannot be written.
    """
    check_name(name)
    directory = os.path.dirname(profiles_path())
    written = {}
    with _changed(create=True) as document:
        profile = document["profiles"].setdefault(name, {})
        if not isinstance(profile, dict):
            raise ConfigError(f"{profiles_path()}: profile {name} is not an object of settings")
        for secret, text in secrets.items():
            file = f"{name}.{secret.replace('_', '-')}"
            written[os.path.join(directory, file)] = text
            values[f"{secret}_file"] = file
        for key in values:
            # The file takes the place of what may stand here.
            profile.pop(key.removesuffix("_file"), None)
        profile.update(values)
        checked = {key: value for key, value in profile.items() if not key.endswith("_file")}
        _settings(f"{profiles_path()}: profile {name}", checked)
        for path, text in written.items():
            _replace(path, text + "\n")
    return [profiles_path(), *written]


def remove(name: str, settings: list[str]) -> list[str]:
    """Removes a profile or, where some are named, settings of it; answers the files of secrets that
    it named and that are left.

    Raises:
        ConfigError: There is no such profile or setting.
        LocalError: It cannot be written.
    """
    path = profiles_path()
    with _changed() as document:
        profiles = document["profiles"]
        if name not in profiles:
            raise _unknown(path, name, profiles)
        profile = profiles[name] if isinstance(profiles[name], dict) else {}
        gone = {key: profile[key] for key in settings or profile if key in profile}
        if missing := [key for key in settings if key not in profile]:
            raise ConfigError(
                f"{path}: profile {name} has no {', '.join(missing)}",
                hint=f"it has {', '.join(profile) or 'no settings'}",
            )
        if settings:
            for key in gone:
                del profile[key]
        else:
            del profiles[name]
            if document.get(_DEFAULT) == name:
                del document[_DEFAULT]
        files = [value for key, value in gone.items() if key.endswith("_file")]
    return [_beside(path, file) for file in files if isinstance(file, str)]


def choose(name: str | None) -> None:
    """Makes a profile the default one, or none.

    Raises:
        ConfigError: There is none of that name.
        LocalError: It cannot be written.
    """
    with _changed() as document:
        document.pop(_DEFAULT, None)
        if name is None:
            return
        if name not in document["profiles"]:
            raise _unknown(profiles_path(), name, document["profiles"])
        document[_DEFAULT] = name


def _unknown(path: str, name: str, profiles: dict[str, Any]) -> ConfigError:
    known = ", ".join(sorted(profiles)) or "none"
    return ConfigError(f"{path} has no profile {name}", hint=f"its profiles are: {known}")


@contextlib.contextmanager
def _changed(*, create: bool = False) -> Iterator[dict[str, Any]]:
    """The file's document, to be changed: it is written when the block ends without an error.
    No two processes do so at a time.
    """
    path = os.path.realpath(profiles_path())
    directory = os.path.dirname(path)
    if not create:
        # Only who writes a profile makes a directory for it.
        _read(path)
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        lock = os.open(directory, os.O_RDONLY) if os.name == "posix" else None
    except OSError as error:
        raise _unwritable(directory, error) from None
    try:
        if lock is not None:
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX)
        document: dict[str, Any] = {"profiles": {}}
        if os.path.exists(path):
            document, _ = _read(path)
        before = json.dumps(document)
        yield document
        if json.dumps(document) != before:
            _replace(path, json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    finally:
        if lock is not None:
            os.close(lock)


def _replace(path: str, text: str) -> None:
    """Writes a file of its owner's alone, as a whole or not at all."""
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise _unwritable(path, error) from None


def _unwritable(path: str, error: OSError) -> LocalError:
    return LocalError(f"{path} cannot be written: {error.strerror}")


def _beside(path: str, file: str) -> str:
    return os.path.join(os.path.dirname(path), os.path.expanduser(file))


def _checked(path: str, name: str, profile: object) -> tuple[dict[str, Any], list[str]]:
    """A profile's values with its secrets read from their files, and warnings about those."""
    where = f"{path}: profile {name}"
    if not isinstance(profile, dict):
        raise ConfigError(f"{where} is not an object of settings")
    values, warnings = dict(profile), []
    if any(secret in values for secret in SECRETS) and _others_can_read(path):
        warnings.append(_warning(path))
    for secret in SECRETS:
        file = values.pop(f"{secret}_file", None)
        if file is None:
            continue
        if secret in values:
            raise ConfigError(
                f"{where}: {secret} and {secret}_file are both given", hint="one is enough"
            )
        if not isinstance(file, str):
            raise ConfigError(f"{where}: {secret}_file is not a path")
        file = _beside(path, file)
        values[secret] = read_secret(f"{where}: {secret}_file", file)
        if _others_can_read(file):
            warnings.append(_warning(file))
    return values, warnings


def _read(path: str) -> tuple[dict[str, Any], list[str]]:
    if not os.path.exists(path):
        raise ConfigError(
            f"there is no file of profiles: {path}",
            hint="write one: kaltura-app-token config set NAME --partner-id ID --service-url URL "
            "--admin-secret-file PATH",
        )
    text, warning = _native.read_configuration(path)
    try:
        document = json.loads(text.reveal(), object_pairs_hook=lambda pairs: _once(path, pairs))
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"{path} is not JSON", hint=f"see line {error.lineno}, column {error.colno}"
        ) from None
    except RecursionError:
        raise ConfigError(f"{path} is nested too deeply") from None
    profiles = document.get("profiles") if isinstance(document, dict) else None
    if not isinstance(profiles, dict):
        raise ConfigError(f'{path} has no "profiles" object')
    return document, [warning] if warning else []


def _once(path: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these keys, none of which may stand twice: it is not clear which one counts."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ConfigError(f"{path}: the key {key} stands twice in one object")
        found[key] = value
    return found


def _settings(where: str, values: dict[str, Any]) -> dict[str, Any]:
    """The values, each of which can be what it stands for."""
    for key, value in values.items():
        if key not in _KEYS:
            raise ConfigError(
                f"{where}: unknown setting {shown(key)}",
                hint=f"the settings are {', '.join(_KEYS)}, and for a secret its name with _file",
            )
        kind = _KEYS[key]
        # A JSON true is an int to Python.
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ConfigError(f"{where}: {key} is not {'a number' if kind is int else 'a text'}")
        if not value or (isinstance(value, int) and not 0 < value < 2**63):
            raise ConfigError(f"{where}: {key} is {'empty' if kind is str else 'out of range'}")
    return values


def _others_can_read(path: str) -> bool:
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return os.name == "posix" and stat.S_ISREG(mode) and bool(mode & 0o077)


def _warning(path: str) -> str:
    return f"{path} holds a secret and can be read by other users: chmod 600 {path}"
