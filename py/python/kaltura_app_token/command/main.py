"""The command `kaltura-app-token`: which subcommands there are, and the way to each of them.

What a subcommand does is in the module that `COMMANDS` names, which is loaded only to run it; how
Kaltura is spoken to is the client's to know.
"""

from __future__ import annotations

import sys

from kaltura_app_token._version import PROGRAM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kaltura_app_token.command.arguments import Command, Parser

COMMANDS: dict[str, tuple[str, str, str]] = {
    "create": ("Create a token and print it, its value included", "tokens", "CREATE"),
    "list": ("List the account's tokens", "tokens", "LIST"),
    "get": ("Show one token", "tokens", "GET"),
    "update": ("Change fields of a token", "tokens", "UPDATE"),
    "delete": ("Delete tokens", "tokens", "DELETE"),
    "rotate": ("Replace tokens by new ones without downtime", "rotate", ""),
    "ensure": ("Find a token by what it is for, or create it", "workflows", "ENSURE"),
    "audit": ("Judge tokens, and say what fixes them", "workflows", "AUDIT"),
    "revoke": ("Delete tokens by id or filter, after a look at them", "workflows", "REVOKE"),
    "session": ("Exchange a token for a session and print its KS", "sessions", "SESSION"),
    "exec": ("Exchange a token and run a program with KALTURA_KS set", "sessions", "EXEC"),
    "doctor": ("Check configuration, server, account and token, and say what to do", "doctor", ""),
    "ks inspect": ("Tell what is in a KS", "ks", "INSPECT"),
    "ks generate": ("Sign a KS with the admin secret; nothing is sent", "ks", "GENERATE"),
    "ks end": ("End a session", "ks", "END"),
    "hash": ("Compute the tokenHash of an exchange; nothing is sent", "hash", ""),
    "config show": ("Show the settings in effect and where each comes from", "config", "SHOW"),
    "config path": ("Print where profiles are read from", "config", "PATH"),
    "config list": ("List the profiles", "config", "LIST"),
    "config set": ("Write a profile, or settings of one", "config", "SET"),
    "config use": ("Choose the profile that is used by default", "config", "USE"),
    "config unset": ("Remove a profile, or settings of one", "config", "UNSET"),
    "completion": ("Print a completion script for a shell", "completion", ""),
    "sandbox": ("Run a local Kaltura", "local", "SANDBOX"),
    "demo": ("Show all of this on a local Kaltura", "local", "DEMO"),
}
"""Each one's summary, module, and the `Command` there (`COMMAND` where it is the only one)."""


def main(argv: list[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    from kaltura_app_token.command.output.run import run

    arguments = sys.argv[1:] if argv is None else list(argv)
    return run(PROGRAM, lambda: _dispatch(arguments))


def load(name: str) -> tuple[Command, Parser]:
    """A subcommand and the parser of its options."""
    from importlib import import_module

    from kaltura_app_token.command import messages
    from kaltura_app_token.command.arguments import Parser

    summary, module, variable = COMMANDS[name]
    command: Command = getattr(
        import_module(f"kaltura_app_token.command.{module}"), variable or "COMMAND"
    )
    parser = Parser(
        PROGRAM, prog=f"{PROGRAM} {name}", description=f"{summary}.", allow_abbrev=False
    )
    command.add_options(parser)
    messages.add_options(parser)
    return command, parser


def _dispatch(arguments: list[str]) -> int:
    if arguments[:1] == ["help"]:
        # `help COMMAND` is `COMMAND --help`.
        named = " ".join(arguments[1:3])
        arguments = [*(arguments[1:3] if named in COMMANDS else arguments[1:]), "--help"]
    group, words = "", arguments
    if words and any(name.startswith(f"{words[0]} ") for name in COMMANDS):
        group, words = f"{words[0]} ", words[1:]
    if not words:
        print(_overview(group), file=sys.stderr)
        return 2
    word, rest = words[0], words[1:]
    if word in ("-h", "--help"):
        print(_overview(group))
        return 0
    if word in ("-V", "--version") and not group:
        from kaltura_app_token._version import VERSION

        print(f"{PROGRAM} {VERSION}")
        return 0
    if group + word not in COMMANDS:
        return _unknown(group, word)

    command, parser = load(group + word)
    program: list[str] = []
    if command.runs_program and "--" in rest:
        at = rest.index("--")
        rest, program = rest[:at], rest[at + 1 :]
    args = parser.parse_args(rest)
    args.program = program
    from kaltura_app_token.command import messages

    messages.begin(args)
    return command.work(args)


def _unknown(group: str, word: str) -> int:
    from kaltura_app_token.command.arguments import shown, similar
    from kaltura_app_token.command.output.run import fail

    names = [name.removeprefix(group) for name in COMMANDS if name.startswith(group)]
    listed = ", ".join(names)
    if word.startswith("-"):
        # What follows = is a value.
        problem = f"unknown option: {shown(word.split('=', 1)[0])}"
        hint = (
            f"options follow a command: {listed}; "
            "the flags of the old script are those of kaltura_app_token_manager.py"
        )
    else:
        problem = f"unknown command: {group}{shown(word)}"
        hint = f"the commands are {listed}"
        # A word of a group alone may be meant too, such as `inspect`.
        last = [name for name in COMMANDS if not group and name.endswith(f" {word}")]
        if near := last or [group + name for name in similar(word, names)]:
            hint = f"did you mean {' or '.join(near)}? {hint}"
    fail(f"{PROGRAM}: error: {problem}", hint)
    return 2


def _overview(group: str) -> str:
    """The help without a command, or that of the commands whose first word is `group`."""
    shown = [name for name in COMMANDS if name.startswith(group)]
    width = max(map(len, shown))
    lines = [f"  {name:{width}}  {COMMANDS[name][0]}" for name in shown]
    if group:
        usage = f"usage: {PROGRAM} {group}COMMAND [OPTIONS]"
        return "\n".join([usage, "", "commands:", *lines])
    return "\n".join(
        [
            f"usage: {PROGRAM} COMMAND [OPTIONS]",
            "",
            "Kaltura application tokens and the sessions that are started from them.",
            "",
            "commands:",
            *lines,
            "",
            "options:",
            "  -h, --help     show this, or with a command its options; so does help COMMAND",
            "  -V, --version  show the version",
            "",
            "The account is taken from the options, from the environment (KALTURA_PARTNER_ID,",
            "KALTURA_ADMIN_SECRET, KALTURA_SERVICE_URL), from a profile (--profile NAME, or what",
            "`config use` chose) or from config.json in the working directory.",
            f"Try it without an account: {PROGRAM} demo",
        ]
    )
