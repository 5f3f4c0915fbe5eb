"""The subcommand `rotate`: tokens are replaced by new ones, which go to standard output, a file or
a program. Their values stay in the native half on that way: what is said here knows ids alone.
"""

from __future__ import annotations

import argparse
import os
import shlex
from typing import NamedTuple

from kaltura_app_token import _native
from kaltura_app_token._version import PROGRAM
from kaltura_app_token.command import arguments as types
from kaltura_app_token.command import token_file
from kaltura_app_token.command.account import add_account, add_network, admin_client, same_account
from kaltura_app_token.command.arguments import Command, Parser
from kaltura_app_token.command.output.fields import Report, print_requests
from kaltura_app_token.command.output.run import fail, note
from kaltura_app_token.command.output.text import printable
from kaltura_app_token.command.rotation_progress import ENDED, Progress
from kaltura_app_token.command.signals import Signals
from kaltura_app_token.command.told import Account, distinct, each
from kaltura_app_token.errors import ConfigError, exit_code

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from kaltura_app_token.errors import KalturaError
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
        "--force",
        action="store_true",
        help="replace the file although it holds something else, or a token that is still there",
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
        choices=("text", "csv", "json", "jsonl"),
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
    ids = distinct(args.ids)
    _check(args, ids)
    if args.dry_run:
        return _preview(args, ids)
    target = _target(args, ids)
    account = Account(args)
    client = account.client
    if target.program:
        _forget_secrets()
    journal = _journal(args, client)
    if not ids and not os.path.exists(journal):
        raise ConfigError(
            f"there is no journal {journal}", hint="name the one that is meant with --journal"
        )
    if target.options:
        if os.path.realpath(journal) in map(os.path.realpath, _outputs(args, ids)):
            raise ConfigError(
                f"--output and the journal are the same file, {journal}",
                hint="the journal is needed when the token is there: give each a file of its own",
            )
        _refuse_to_lose(args, ids, client, journal)
    account.tell()
    note(f"{PROGRAM}: the journal is {journal}")
    progress = Progress(len(ids), takes_stdout=target.takes_stdout)

    def say_how_to_go_on() -> None:
        resume = [PROGRAM, "rotate", "--resume", "--journal", journal]
        fail(
            f"{PROGRAM}: interrupted: what was begun is in the journal{_begun(progress, journal)}",
            f"go on with: {shlex.join(_same(resume, args, target))}",
        )

    signals = Signals(say_how_to_go_on)
    try:
        try:
            with progress as tell:
                outcomes = _run(args, ids, client, journal, target, tell)
        except KeyboardInterrupt:
            say_how_to_go_on()
            raise
        if not outcomes:
            note(f"{PROGRAM}: nothing in the journal is unfinished")
        return _report(args, outcomes, target, journal, progress.steps)
    finally:
        signals.give_back()


def _in_journal(journal: str) -> dict[str, str | None]:
    """The tokens of the rotations in a journal: the new one's id, if it is known, by the old one's.

    For what is said and refused here; what is done with them is the native half's, which checks
    whether it may trust the file.
    """
    import json

    found: dict[str, str | None] = {}
    try:
        with open(journal, "rb") as file:
            for line in file.read(_MAX_JOURNAL_BYTES).splitlines():
                entry = json.loads(line)
                found[str(entry["oldId"])] = entry.get("newId")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        # Half a line of one that was killed, or no journal, which is said elsewhere.
        pass
    return found


_MAX_JOURNAL_BYTES = 64 << 20


def _begun(progress: Progress, journal: str) -> str:
    """The tokens of the rotations that are under way, for people."""
    new_ids = _in_journal(journal)
    pairs = [
        f"{old_id} -> {new_ids[old_id]}" if new_ids.get(old_id) else old_id
        for old_id, step in progress.steps.copy().items()
        if step not in ENDED
    ]
    return f": {', '.join(pairs)}" if pairs else ""


def _refuse_to_lose(
    args: argparse.Namespace, ids: list[str], client: _native.Client, journal: str
) -> None:
    """
    Raises:
        ConfigError: A file for a new token holds something that is still needed.
    """
    if args.force:
        return
    # After a crash the file may hold the new token already.
    new_ids = {} if ids else _in_journal(journal)
    for old_id in ids or new_ids:
        (path,) = _outputs(args, [old_id])
        token_file.refuse_to_lose(client, path, (old_id, new_ids.get(old_id)))


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
    if args.force and (args.output in (None, "-") or args.undo):
        raise ConfigError("--force: there is no file to replace", hint="name it with --output")
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
        token_file.refuse_ours(path, args)
        directory = os.path.dirname(path)
        if not os.access(directory, os.W_OK | os.X_OK) or os.path.isdir(path):
            raise ConfigError(
                f"--output: {path} cannot be written",
                hint="name a file in a directory that is there",
            )
    options = [f"--output={output}", *(["--force"] if args.force else [])]
    return _Target(_native.Sink.file(output), options, [], False)


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


def _same(words: Sequence[str], args: argparse.Namespace, target: _Target) -> list[str]:
    """A command for the same account; one that hands over tokens does so to the same target."""
    if words[1] != "rotate":
        return [*words, *same_account(args)]
    program = ["--", *target.program] if target.program else []
    return [*words, *target.options, *same_account(args), *program]


def _report(
    args: argparse.Namespace,
    outcomes: Sequence[Rotated],
    target: _Target,
    journal: str,
    steps: Mapping[str, str],
) -> int:
    """Says what came of each rotation: on stdout, unless that is where the tokens went."""
    code = 0
    failed: dict[tuple[_Failure, str, str | None], list[Rotated]] = {}
    # The commands that go on: many rotations have the same one.
    said: set[str] = set()

    def ways_on(rotated: Rotated) -> Iterator[str]:
        ways = [("finish with", _finish(rotated, args, target))]
        if rotated.error is not None and rotated.state in _UNDOABLE:
            ways.append(("or undo with", undo))
        for words, way in ways:
            line = f"  {words}: {shlex.join(way)}"
            if way and line not in said:
                said.add(line)
                yield line

    undo = [PROGRAM, "rotate", "--undo", "--journal", journal, *same_account(args)]
    with Report(args.format, lambda _row: ()) as report:
        for rotated in outcomes:
            error = rotated.error
            finish = _finish(rotated, args, target)
            back = undo if error is not None and rotated.state in _UNDOABLE else []
            report.add(
                {
                    "oldId": rotated.old_id,
                    "newId": rotated.new_id,
                    "state": rotated.state,
                    "oldDeleted": rotated.old_deleted,
                    "error": None if error is None else error.message,
                    "finish": shlex.join(finish) if args.format == "csv" else finish,
                    "undo": shlex.join(back) if args.format == "csv" else back,
                }
            )
            if error is not None:
                code = code or _code(rotated, error)
                kind = _failure(rotated, args, steps.get(rotated.old_id))
                same = (kind, _of_any(rotated, error.message), error.hint)
                failed.setdefault(same, []).append(rotated)
                continue
            for line in (_in_words(rotated), *ways_on(rotated)) if args.format == "text" else ():
                if target.takes_stdout:
                    note(line)
                else:
                    print(printable(line))
    hints: set[str | None] = set()
    for (kind, of_any, hint), some in failed.items():
        _say_failure(kind, of_any, None if hint in hints else hint, some)
        hints.add(hint)
        for line in (
            (line for one in some for line in ways_on(one)) if args.format == "text" else ()
        ):
            note(line)
    return code


def _finish(rotated: Rotated, args: argparse.Namespace, target: _Target) -> list[str]:
    return _same(rotated.finish, args, target) if rotated.finish else []


def _in_words(rotated: Rotated) -> str:
    if rotated.state == "undone":
        return f"{rotated.old_id} stays, and nothing new is left beside it"
    deleted = ", and the old one is deleted" if rotated.old_deleted else ""
    return f"{rotated.old_id} -> {rotated.new_id}{deleted}"


class _Failure(NamedTuple):
    """What a failure left, of one rotation and of many."""

    one: str
    many: str


_NOT_UNDONE = _Failure("the rotation of {old} was not undone", "{count} rotations were not undone")
_NOT_JOURNALED = _Failure(
    "{old} is replaced by {new} and deleted, but the journal does not say so",
    "{count} tokens are replaced and deleted, but the journal does not say so",
)
_NOT_DELETED = _Failure(
    "{old} is replaced by {new}, but was not deleted",
    "{count} tokens are replaced, but were not deleted",
)
_NOT_ENDED = _Failure(
    "{old} is replaced by {new}, but the rotation is not ended",
    "{count} tokens are replaced, but the rotations are not ended",
)
_NOT_USED = _Failure(
    "{old} was not replaced by {new}, which is there",
    "{count} tokens were not replaced by the new ones, which are there",
)
_NOT_REPLACED = _Failure("{old} was not replaced", "{count} tokens were not replaced")
_UNDOABLE = ("intended", "created", "proved")
_UNPROVED = 8


def _failure(rotated: Rotated, args: argparse.Namespace, step: str | None) -> _Failure:
    if args.undo:
        return _NOT_UNDONE
    if step == "deleted":
        return _NOT_JOURNALED
    if rotated.state == "handed over":
        # A rotation that is resumed has its own mind about the old token.
        return _NOT_DELETED if args.delete_now or args.delete_after else _NOT_ENDED
    if rotated.new_id is not None and rotated.state != "undone":
        return _NOT_USED
    return _NOT_REPLACED


def _code(rotated: Rotated, error: KalturaError) -> int:
    """The exit code of a failed rotation. What a new token's sessions lack is no mistake of the
    command line.
    """
    is_proof = rotated.state == "created" and isinstance(error, ConfigError)
    return _UNPROVED if is_proof else exit_code(error)


def _of_any(rotated: Rotated, message: str) -> str:
    """The message without the ids of its own rotation, by which others have the same one."""
    for token_id in (rotated.old_id, rotated.new_id):
        if token_id:
            message = message.replace(token_id, "ID")
    return message


def _say_failure(
    kind: _Failure, of_any: str, hint: str | None, rotations: Sequence[Rotated]
) -> None:
    first = rotations[0]
    if len(rotations) == 1 and first.error is not None:
        words = kind.one.format(old=first.old_id, new=first.new_id)
        fail(f"{PROGRAM}: error: {words}: {first.error.message}", hint)
        return
    fail(f"{PROGRAM}: error: {kind.many.format(count=len(rotations))}: {of_any}", hint)
    pairs = [
        one.old_id
        if one.new_id is None or one.state == "undone"
        else f"{one.old_id} -> {one.new_id}"
        for one in rotations
    ]
    note(f"  ID is: {', '.join(pairs)}")


def _preview(args: argparse.Namespace, ids: list[str]) -> int:
    client = admin_client(args)
    requests: list[tuple[str, list[tuple[str, str]]]] = []

    def preview(token_id: str) -> None:
        adding = client.preview_add(**_successor(args, client, token_id))
        requests.append(("appToken.add", adding))
        if args.delete_now or args.delete_after:
            requests.append(("appToken.delete", [("format", "1"), ("id", token_id)]))

    code = each(ids, preview, "cannot be replaced")
    print_requests(client, requests, "table" if args.format == "text" else args.format)
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
