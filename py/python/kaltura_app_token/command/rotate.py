"""The subcommand `rotate`: tokens are replaced by new ones, which go to standard output, a file or
a program. Their values stay in the native half on that way: what is said here knows ids alone.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import threading
from typing import NamedTuple

from kaltura_app_token import _native
from kaltura_app_token._version import PROGRAM
from kaltura_app_token.command import arguments as types
from kaltura_app_token.command.account import add_account, add_network, admin_client
from kaltura_app_token.command.arguments import Command, Parser
from kaltura_app_token.command.output.fields import print_request, to_json
from kaltura_app_token.command.output.run import fail, note
from kaltura_app_token.command.output.text import printable
from kaltura_app_token.command.workflows import same_account
from kaltura_app_token.errors import ApiError, ConfigError, exit_code

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from kaltura_app_token.model import Rotated

_ACTIVE = 2


def _wait(text: str) -> int:
    seconds = types.duration(text)
    if seconds == 0:
        raise argparse.ArgumentTypeError("that is --delete-now")
    return seconds


def _add(parser: Parser) -> None:
    parser.usage = (
        f"{parser.prog} ID [ID ...] [OPTIONS] [-- PROGRAM [ARGUMENTS]]\n"
        f"       {parser.prog} --resume | --undo [OPTIONS] [-- PROGRAM [ARGUMENTS]]"
    )
    parser.epilog = (
        "A new token gets the properties of the old one, is exchanged and compared with it,\n"
        "and is then handed over: as a line of JSON (id, token, hashType, replaces) on\n"
        "standard output, in a file, or on the standard input of PROGRAM, which is started\n"
        "for each token and sees none of the secrets in our environment. The old token stays\n"
        "until the printed command, or one of --delete-now and --delete-after, deletes it;\n"
        "its sessions end with it.\n\n"
        "The journal lets --resume go on after a crash; the hand-over happens at least once.\n"
        "It is $XDG_STATE_HOME/kaltura-app-token/rotation-PARTNER.journal unless another is\n"
        "named; XDG_STATE_HOME stands for ~/.local/state where it is not set."
    )
    parser.add_argument("ids", metavar="ID", type=types.token_id, nargs="*", help="the tokens' ids")
    group = parser.add_argument_group("the new tokens")
    group.add_argument(
        "-o",
        "--output",
        metavar="PATH",
        help="the file to hand them over in, mode 0600, where {id} stands for the old token's id; "
        "- is standard output (default)",
    )
    group.add_argument(
        "--hash-type",
        type=types.upper,
        choices=("SHA256", "SHA512"),
        help="default: the old token's",
    )
    group.add_argument(
        "--expiry",
        metavar="TIME",
        type=types.future,
        help="2030-01-31T12:00:00Z, unix seconds, or +30d (default: the old token's)",
    )
    group = parser.add_argument_group("the old tokens (otherwise: they stay)")
    either = group.add_mutually_exclusive_group()
    either.add_argument(
        "--delete-now", action="store_true", help="delete them once the new ones are handed over"
    )
    either.add_argument(
        "--delete-after",
        metavar="DURATION",
        type=_wait,
        help="wait so long after the hand-over, then delete them: 600, 30m, 12h",
    )
    group = parser.add_argument_group("rotations that were begun")
    group.add_argument("--journal", metavar="PATH", help="the file that remembers them")
    either = group.add_mutually_exclusive_group()
    either.add_argument("--resume", action="store_true", help="go on with those in the journal")
    either.add_argument(
        "--undo", action="store_true", help="delete those new tokens that nobody can have got yet"
    )
    parser.add_argument(
        "--concurrency",
        metavar="NUMBER",
        type=types.whole_number,
        help="tokens to work on at a time (default: 4)",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print the requests that create and delete tokens in place of sending them",
    )
    parser.add_argument(
        "--format",
        choices=("text", "json", "jsonl"),
        default="text",
        help="of what is said about each rotation (default: text)",
    )
    add_account(parser)
    add_network(parser)


class _Target(NamedTuple):
    """Where new tokens go, and the options that say so."""

    sink: _native.Sink
    options: list[str]
    program: list[str]
    takes_stdout: bool


def _rotate(args: argparse.Namespace) -> int:
    ids = list(dict.fromkeys(args.ids))
    _check(args, ids)
    if args.dry_run:
        return _preview(args, ids)
    target = _target(args, ids)
    client = admin_client(args)
    if target.program:
        _forget_secrets()
    journal = _journal(args, client)
    if not ids and not os.path.exists(journal):
        raise ConfigError(
            f"there is no journal {journal}", hint="name the one that is meant with --journal"
        )
    if target.options and os.path.realpath(journal) in map(os.path.realpath, _outputs(args, ids)):
        raise ConfigError(
            f"--output and the journal are the same file, {journal}",
            hint="the journal is needed when the token is there: give each a file of its own",
        )
    resume = [PROGRAM, "rotate", "--resume", "--journal", journal]
    note(f"{PROGRAM}: the journal is {journal}")
    try:
        with _Progress(len(ids), target) as progress:
            outcomes = _run(args, ids, client, journal, target, progress)
    except KeyboardInterrupt:
        fail(
            f"{PROGRAM}: interrupted: what was begun is in the journal",
            f"go on with: {shlex.join(_same(resume, args, target))}",
        )
        raise
    if not outcomes:
        note(f"{PROGRAM}: nothing in the journal is unfinished")
    return _report(args, outcomes, target)


def _check(args: argparse.Namespace, ids: list[str]) -> None:
    """Refuses options that do not go together.

    Raises:
        ConfigError: It says which.
    """
    again = "--resume" if args.resume else "--undo" if args.undo else None
    if again is None:
        if not ids:
            raise ConfigError("no token is named", hint="give ids, or --resume")
    else:
        if ids:
            raise ConfigError(f"{again} takes no ids: it ends everything in the journal")
        names = ("hash_type", "expiry", "delete_now", "delete_after", "concurrency", "dry_run")
        for name in names:
            if getattr(args, name):
                option = "--" + name.replace("_", "-")
                raise ConfigError(f"{option} is for new rotations, and {again} begins none")
    if args.output is not None and args.program:
        raise ConfigError("--output and a program are both given: one is enough")
    to_file = args.output not in (None, "-") or args.undo or args.dry_run
    if args.format != "text" and not to_file:
        raise ConfigError(
            f"--format {args.format}: standard output is for the new tokens",
            hint="give a file for them: --output PATH",
        )


def _target(args: argparse.Namespace, ids: list[str]) -> _Target:
    """Where new tokens go, as far as can be told before one is created.

    Raises:
        ConfigError: None can go there.
    """
    if args.undo:
        return _Target(_native.Sink.stdout(), [], [], False)
    if args.program:
        import shutil

        if shutil.which(args.program[0]) is None:
            raise ConfigError(f"there is no program {args.program[0]}")
        return _Target(_native.Sink.command(*args.program), [], args.program, True)
    if args.output in (None, "-"):
        return _Target(_native.Sink.stdout(), [], [], True)
    output = os.path.abspath(args.output)
    for path in _outputs(args, ids) if ids else ():
        directory = os.path.dirname(path)
        if not os.access(directory, os.W_OK | os.X_OK) or os.path.isdir(path):
            raise ConfigError(
                f"--output: {path} cannot be written",
                hint="name a file in a directory that is there",
            )
    return _Target(_native.Sink.file(output), [f"--output={output}"], [], False)


def _outputs(args: argparse.Namespace, ids: list[str]) -> list[str]:
    """The files that --output names."""
    output = os.path.abspath(args.output)
    return [output.replace("{id}", token_id) for token_id in ids] or [output]


def _forget_secrets() -> None:
    """Takes out of our environment, which the program inherits, what the client was made with."""
    from kaltura_app_token.command.sessions import without_secrets

    for name in os.environ.keys() - without_secrets(dict(os.environ)).keys():
        del os.environ[name]


def _journal(args: argparse.Namespace, client: _native.Client) -> str:
    """The journal's path, whose directory is made unless somebody chose it."""
    if args.journal is not None:
        return os.path.abspath(str(args.journal))
    base = os.environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(base):
        base = os.path.join(os.path.expanduser("~"), ".local", "state")
    directory = os.path.join(base, "kaltura-app-token")
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{directory} cannot be made for the journal: {error.strerror}",
            hint="name another place with --journal",
        ) from None
    return os.path.join(directory, f"rotation-{client.partner_id}.journal")


def _run(
    args: argparse.Namespace,
    ids: list[str],
    client: _native.Client,
    journal: str,
    target: _Target,
    progress: Callable[[str, str], None],
) -> list[Rotated]:
    if not ids:
        return _native.resume_rotations(
            client, journal=journal, sink=target.sink, undo=args.undo, progress=progress
        )
    return _native.rotate(
        client,
        ids,
        journal=journal,
        sink=target.sink,
        hash_type=args.hash_type,
        expiry=args.expiry,
        delete_now=args.delete_now,
        delete_after=args.delete_after,
        concurrency=args.concurrency or 4,
        progress=progress,
    )


class _Progress:
    """Tells on stderr how far rotations are: on a terminal in one line that changes, elsewhere in
    one line for each that has ended, unless it is the only one.
    """

    def __init__(self, total: int, target: _Target) -> None:
        self._total = total
        # On one terminal the line would run into the tokens.
        self._is_line = sys.stderr.isatty() and not (target.takes_stdout and sys.stdout.isatty())
        self._steps: dict[str, str] = {}
        self._told: set[str] = set()
        self._shown = ""
        self._end = threading.Event()
        self._teller = threading.Thread(target=self._tell_now_and_then, daemon=True)

    def __enter__(self) -> Callable[[str, str], None]:
        """What to call with an old token's id and a step.

        It runs no Python code: an interrupt that came up in some would be lost to the native half.
        """
        self._teller.start()
        return self._steps.__setitem__

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._teller.join()
        self._tell()
        self._show("")

    def _tell_now_and_then(self) -> None:
        while not self._end.wait(_TELL_EVERY):
            self._tell()

    def _tell(self) -> None:
        steps = self._steps.copy()
        ended = [old_id for old_id, step in steps.items() if step in ("finished", "undone")]
        if self._is_line:
            of_total = f" of {self._total}" if self._total else ""
            under_way = [f"; {old_id}: {steps[old_id]}" for old_id in steps if old_id not in ended]
            self._show(printable(f"{len(ended)}{of_total} done{''.join(under_way[:1])}"))
        elif self._total != 1:
            for old_id in ended:
                if old_id not in self._told:
                    note(f"{old_id}: {steps[old_id]}")
        self._told.update(ended)

    def _show(self, line: str) -> None:
        if line != self._shown:
            blank = " " * len(self._shown)
            print(f"\r{blank}\r{line}", end="", file=sys.stderr, flush=True)
            self._shown = line


_TELL_EVERY = 0.1


def _same(words: Sequence[str], args: argparse.Namespace, target: _Target) -> list[str]:
    """A command for the same account; one that hands over tokens does so to the same target."""
    if words[1] != "rotate":
        return [*words, *same_account(args)]
    program = ["--", *target.program] if target.program else []
    return [*words, *target.options, *same_account(args), *program]


def _report(args: argparse.Namespace, outcomes: Sequence[Rotated], target: _Target) -> int:
    """Says what came of each rotation: on stdout, unless that is where the tokens went."""
    code = 0
    documents: list[dict[str, object]] = []
    # What many have in common is said once: the hint of a failure, and the command that goes on.
    said: set[str] = set()
    for rotated in outcomes:
        error = rotated.error
        finish = _same(rotated.finish, args, target) if rotated.finish else []
        documents.append(
            {
                "oldId": rotated.old_id,
                "newId": rotated.new_id,
                "state": rotated.state,
                "oldDeleted": rotated.old_deleted,
                "error": None if error is None else error.message,
                "finish": finish,
            }
        )
        lines = [_in_words(rotated)] if error is None else []
        if error is not None:
            code = code or exit_code(error)
            hint = None if error.hint in said else error.hint
            fail(f"{PROGRAM}: error: {_failure(rotated, args)}: {error.message}", hint)
            said.add(error.hint or "")
        if finish and shlex.join(finish) not in said:
            lines.append(f"  finish with: {shlex.join(finish)}")
            said.add(shlex.join(finish))
        for line in lines if args.format == "text" else ():
            if error is not None or target.takes_stdout:
                note(line)
            else:
                print(printable(line))
    if args.format == "json":
        print(to_json(documents))
    elif args.format == "jsonl":
        for document in documents:
            print(to_json(document, indent=None))
    return code


def _in_words(rotated: Rotated) -> str:
    if rotated.state == "undone":
        return f"{rotated.old_id} stays, and nothing new is left beside it"
    deleted = ", and the old one is deleted" if rotated.old_deleted else ""
    return f"{rotated.old_id} -> {rotated.new_id}{deleted}"


def _failure(rotated: Rotated, args: argparse.Namespace) -> str:
    if args.undo:
        return f"the rotation of {rotated.old_id} was not undone"
    if rotated.state == "handed over":
        return f"{rotated.old_id} is replaced by {rotated.new_id}, but was not deleted"
    if rotated.new_id is not None and rotated.state != "undone":
        return f"{rotated.old_id} was not replaced by {rotated.new_id}, which is there"
    return f"{rotated.old_id} was not replaced"


def _preview(args: argparse.Namespace, ids: list[str]) -> int:
    client = admin_client(args)
    output_format = "table" if args.format == "text" else args.format
    code = 0
    for token_id in ids:
        try:
            parameters = client.preview_add(**_successor(args, client, token_id))
        except (ApiError, ConfigError) as error:
            fail(f"{PROGRAM}: error: {token_id} cannot be replaced: {error.message}", error.hint)
            code = code or exit_code(error)
            continue
        print_request(client, "appToken.add", parameters, output_format)
        if args.delete_now or args.delete_after:
            parameters = [("format", "1"), ("id", token_id)]
            print_request(client, "appToken.delete", parameters, output_format)
    note(
        f"{PROGRAM}: note: until the new token's id is in the journal, a mark of the rotation ends "
        "its description"
    )
    return code


def _successor(args: argparse.Namespace, client: _native.Client, token_id: str) -> dict[str, Any]:
    """The fields of the token that would replace this one.

    Raises:
        KalturaError: There is none that could.
    """
    old = client.get_token(token_id, response_profile=_native.ResponseProfile.exclude("token"))
    if old.status not in (None, _ACTIVE):
        raise ConfigError("it is disabled, and its successor would not be")
    if old.session_duration is not None and old.session_duration <= 0:
        raise ConfigError(
            f"its session duration is {old.session_duration}: its successor's sessions would be "
            "dead at birth, too"
        )
    return {
        "description": old.description,
        "hash_type": args.hash_type or old.hash_type,
        "session_type": old.session_type,
        "session_duration": old.session_duration,
        "session_privileges": old.session_privileges,
        "session_user_id": old.session_user_id,
        "expiry": old.expiry if args.expiry is None else args.expiry,
    }


COMMAND = Command(_add, _rotate, runs_program=True)
