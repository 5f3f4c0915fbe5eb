"""The files that new tokens' values go to: their owner's alone, written whole or not at all, and
never over something that is still needed. Creates no token.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat

from kaltura_app_token import _native
from kaltura_app_token.errors import ConfigError, TokenNotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from kaltura_app_token.command.arguments import Parser
    from kaltura_app_token.model import AppToken

_MAX_BYTES = 65536
_ROOM = 4096


def add_file(parser: Parser) -> None:
    """Adds the options for a file that takes a new token."""
    group = parser.add_argument_group("the value")
    group.add_argument(
        "-o",
        "--output",
        metavar="PATH",
        help="a new file for id, value and hash type as JSON, mode 0600, in place of printing the "
        "value",
    )
    group.add_argument("--force", action="store_true", help="replace the file if there is one")


def path_of(args: argparse.Namespace) -> str | None:
    """The file that --output names, if it does.

    Raises:
        ConfigError: --force has nothing to do, or the file is one that configures us.
    """
    if args.output in (None, "-"):
        if args.force:
            raise ConfigError("--force: there is no file to replace", hint="name it with --output")
        return None
    if not args.output:
        raise ConfigError("--output: the name is empty")
    path = os.path.abspath(str(args.output))
    refuse_ours(path, args)
    return path


def refuse_ours(path: str, args: argparse.Namespace) -> None:
    """
    Raises:
        ConfigError: The file is one that settings or secrets are read from.
    """
    from kaltura_app_token.command.profiles import profiles_path

    options = ("config", "admin_secret_file", "ks_file", "app_token_file")
    variables = [name for name in os.environ if name.startswith("KALTURA_")]
    ours = [
        "config.json",
        profiles_path(),
        *(getattr(args, name, None) or "-" for name in options),
        *(os.environ[name] for name in variables if name.endswith(("_FILE", "_CONFIG"))),
    ]
    if os.path.realpath(path) in [os.path.realpath(one) for one in ours if one != "-"]:
        raise ConfigError(
            f"--output: settings or secrets are read from {path}",
            hint="name another file for the new token",
        )


def _refuse_what_is_no_file(path: str) -> None:
    """
    Raises:
        ConfigError: Something other than a file stands there.
    """
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return
    if not stat.S_ISREG(mode):
        raise _no_file(path)


def _no_file(path: str) -> ConfigError:
    what = "a directory" if os.path.isdir(path) else "not a regular file"
    return ConfigError(
        f"--output: {path} cannot be replaced: it is {what}", hint="name a file, or a new one"
    )


def held(path: str) -> str | None:
    """The id of the token that is in a file; None for no file and for an empty one.

    Raises:
        ConfigError: There is something else in it.
    """
    something_else = ConfigError(
        f"--output: {path} holds something else than a token",
        hint="name another file, or add --force to replace it",
    )
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            # Opening one may wait for ever.
            raise _no_file(path)
        with open(path, "rb") as file:
            content = file.read(_MAX_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(
            f"--output: {path} cannot be read: {error.strerror}",
            hint="name another file, or add --force to replace it",
        ) from None
    if not content.strip():
        return None
    try:
        document = json.loads(content)
    except ValueError:
        raise something_else from None
    if isinstance(document, dict) and isinstance(document.get("token"), str):
        token_id = document.get("id")
        if isinstance(token_id, str):
            return token_id
    raise something_else


def is_there(client: _native.Client, token_id: str) -> AppToken | None:
    """The token as the account has it, without its value; None when it is gone."""
    profile = _native.ResponseProfile.exclude("token")
    try:
        return client.get_token(token_id, response_profile=profile)
    except TokenNotFound:
        return None


def refuse_to_lose(client: _native.Client, path: str, replaced: Iterable[str | None]) -> None:
    """
    Raises:
        ConfigError: The file holds the value of a token that is neither one of these nor gone.
    """
    token_id = held(path)
    if token_id is None or token_id.lower() in [known.lower() for known in replaced if known]:
        return
    if is_there(client, token_id) is not None:
        raise still_needed(path, token_id)


def still_needed(path: str, token_id: str) -> ConfigError:
    """The refusal to replace the value of a token that is not the one to be replaced."""
    return ConfigError(
        f"--output: {path} holds token {token_id}, which is there and another one",
        hint="name another file, or add --force to replace it: the token stays, and get "
        "--show-secrets tells its value again",
    )


class Reserved:
    """A place for a token that is still to be created. `write` fills it; on the way out whatever
    was not needed is removed.
    """

    def __init__(self, path: str, *, replaces: bool) -> None:
        """
        Raises:
            ConfigError: The file cannot be written, or is there and `replaces` is false.
        """
        self._path = path
        self._replaces = replaces
        _refuse_what_is_no_file(path)
        if not replaces and os.path.lexists(path):
            raise ConfigError(
                f"--output: {path} is there already",
                hint="name a new file, or add --force to replace it",
            )
        directory, name = os.path.split(path)
        self._aside = os.path.join(
            directory, f".{name}.kaltura-app-token-{os.urandom(3).hex()}.tmp"
        )
        try:
            self._file = open(  # noqa: SIM115
                self._aside,
                "xb",
                buffering=0,
                opener=lambda name, flags: os.open(name, flags, 0o600),
            )
            if hasattr(os, "posix_fallocate"):
                # A full disk is found out while there is nothing to lose.
                os.posix_fallocate(self._file.fileno(), 0, _ROOM)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(self._aside)
            raise ConfigError(
                f"--output: {path} cannot be written: {error.strerror}",
                hint="name a file in a directory that is there and can be written to",
            ) from None

    def __enter__(self) -> Reserved:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._aside)

    def write(self, token: AppToken) -> None:
        """Writes id, value and hash type, which `TokenSource.file` reads.

        Raises:
            OSError: It cannot be done; its text names the file.
        """
        value = "" if token.token is None else token.token.reveal()
        document: dict[str, str] = {"id": token.id, "token": value}
        if token.hash_type is not None:
            document["hashType"] = str(token.hash_type)
        line = json.dumps(document).encode() + b"\n"
        try:
            if self._file.write(line) < len(line):
                raise OSError(28, os.strerror(28))
            self._file.truncate(len(line))
            os.fsync(self._file.fileno())
            if self._replaces:
                os.replace(self._aside, self._path)
            else:
                _give_name(self._aside, self._path)
        except OSError as error:
            raise OSError(
                error.errno, f"{self._path} could not be written: {error.strerror}"
            ) from None


def _give_name(aside: str, path: str) -> None:
    """Names a file unless something has that name, also since it was looked at."""
    try:
        os.link(aside, path)
    except FileExistsError:
        raise
    except OSError:
        # A file system without links. What is created here is nobody else's either.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        os.replace(aside, path)
