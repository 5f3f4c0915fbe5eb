"""The subcommand `completion`: scripts for bash, zsh and fish, made from the parsers of all the
others once and for all. Completing runs no Python.
"""

from __future__ import annotations

import argparse
import shlex
from typing import NamedTuple

from kaltura_app_token._version import PROGRAM
from kaltura_app_token.command.arguments import Command, Parser, actions_of

_FILES = "PATH"


class _Option(NamedTuple):
    """An option: its spellings, its help, and what can stand after it (None where nothing can)."""

    names: list[str]
    help: str
    values: list[str] | None
    files: bool


class _Subcommand(NamedTuple):
    """A subcommand of one or two words."""

    name: str
    summary: str
    options: list[_Option]
    arguments: list[str]
    runs_program: bool


def _add(parser: Parser) -> None:
    parser.epilog = (
        'bash: eval "$(kaltura-app-token completion bash)" in ~/.bashrc\n'
        "zsh:  kaltura-app-token completion zsh > a directory of $fpath/_kaltura-app-token\n"
        "fish: kaltura-app-token completion fish > "
        "~/.config/fish/completions/kaltura-app-token.fish"
    )
    parser.add_argument("shell", choices=tuple(_SCRIPTS), help="the shell")


def _completion(args: argparse.Namespace) -> int:
    print(_SCRIPTS[args.shell](_subcommands()), end="")
    return 0


def _subcommands() -> list[_Subcommand]:
    from kaltura_app_token.command.main import COMMANDS, load

    found = []
    for name, (summary, _, _) in COMMANDS.items():
        command, parser = load(name)
        actions = [action for action in actions_of(parser) if action.help != argparse.SUPPRESS]
        options = [_option(action) for action in actions if action.option_strings]
        arguments = [
            str(choice)
            for action in actions
            if not action.option_strings
            for choice in action.choices or ()
        ]
        found.append(_Subcommand(name, summary, options, arguments, command.runs_program))
    first = list(_groups(found))
    return [*found, _Subcommand("help", "Show the options of a command", [], first, False)]


def _option(action: argparse.Action) -> _Option:
    takes_value = action.nargs != 0
    values = [str(choice) for choice in action.choices or ()] if takes_value else None
    return _Option(list(action.option_strings), action.help or "", values, action.metavar == _FILES)


def _groups(commands: list[_Subcommand]) -> dict[str, list[_Subcommand]]:
    """The subcommands by their first word."""
    groups: dict[str, list[_Subcommand]] = {}
    for command in commands:
        groups.setdefault(command.name.split()[0], []).append(command)
    return groups


def _summary(members: list[_Subcommand]) -> str:
    """What the first word of these is for."""
    if " " not in members[0].name:
        return members[0].summary
    return ", ".join(member.name.split()[1] for member in members)


_BASH = """\
# bash completion of {program}
_kaltura_app_token_files() {{
    local IFS=$'\\n'
    COMPREPLY=( $(compgen -f -- "$1") )
    compopt -o filenames 2>/dev/null
}}
_kaltura_app_token() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}}
    local command=${{COMP_WORDS[1]}} words= i
    COMPREPLY=()
    # A value after = is a word of its own here.
    if [[ $cur == "=" ]]; then cur=; elif [[ $prev == "=" ]]; then
        prev=${{COMP_WORDS[COMP_CWORD-2]}}
    fi
    if (( COMP_CWORD == 1 )); then
        COMPREPLY=( $(compgen -W "{first} --help --version" -- "$cur") )
        return
    fi
    case $command in
        {pairs}) if (( COMP_CWORD > 2 )); then command="$command ${{COMP_WORDS[2]}}"; fi ;;
        {runners})
            for (( i = 2; i < COMP_CWORD; i++ )); do
                [[ ${{COMP_WORDS[i]}} == "--" ]] || continue
                if (( COMP_CWORD == i + 1 )); then
                    COMPREPLY=( $(compgen -c -- "$cur") )
                else
                    _kaltura_app_token_files "$cur"
                fi
                return
            done
            ;;
    esac
    case "$command $prev" in
{values}
    esac
    case "$command" in
{options}
    esac
    COMPREPLY=( $(compgen -W "$words" -- "$cur") )
}}
complete -F _kaltura_app_token {program}
"""


def _bash(commands: list[_Subcommand]) -> str:
    groups = _groups(commands)
    values, options = [], []
    for name, members in groups.items():
        if " " in members[0].name:
            second = " ".join(member.name.split()[1] for member in members)
            options.append(f'{name}) words="{second} --help" ;;')
    for command in commands:
        replies: dict[str, list[str]] = {}
        for option in command.options:
            if option.values is not None:
                patterns = [shlex.quote(f"{command.name} {name}") for name in option.names]
                replies.setdefault(_bash_reply(option), []).extend(patterns)
        values += [f"{'|'.join(patterns)}) {reply}" for reply, patterns in replies.items()]
        names = [name for option in command.options for name in option.names]
        words = " ".join([*command.arguments, *names])
        options.append(f'{shlex.quote(command.name)}) words="{words}" ;;')
    return _BASH.format(
        program=PROGRAM,
        first=" ".join(groups),
        pairs="|".join(name for name, members in groups.items() if " " in members[0].name),
        runners="|".join(command.name for command in commands if command.runs_program),
        values="\n".join(f"        {line}" for line in values),
        options="\n".join(f"        {line}" for line in options),
    )


def _bash_reply(option: _Option) -> str:
    """What completes the option's value."""
    if option.files:
        return '_kaltura_app_token_files "$cur"; return ;;'
    if not option.values:
        return "return ;;"
    words = " ".join(option.values)
    return f'COMPREPLY=( $(compgen -W "{words}" -- "$cur") ); return ;;'


_ZSH_PROGRAM = [
    "    local -i at=${words[(ie)--]}",
    "    if (( at < CURRENT )); then",
    "        shift $at words",
    "        (( CURRENT -= at ))",
    "        _normal",
    "        return",
    "    fi",
]


def _zsh(commands: list[_Subcommand]) -> str:
    groups = _groups(commands)
    lines = [f"#compdef {PROGRAM}", "", f"# zsh completion of {PROGRAM}"]
    for command in commands:
        lines.append(f"{_zsh_name(command.name)}() {{")
        if command.runs_program:
            lines += _ZSH_PROGRAM
        lines.append("    _arguments -s \\")
        lines += [
            f"        {_zsh_option(name, option)} \\"
            for option in command.options
            for name in option.names
        ]
        if command.arguments:
            choices = f"1: :({' '.join(command.arguments)})"
            lines.append(f"        {_zsh_quote(choices)} \\")
        lines += ["        '*: :'", "}"]
    for name, members in groups.items():
        if " " in members[0].name:
            words = [(member.name.split()[1], member.summary) for member in members]
            lines += _zsh_choice(_zsh_name(name), words)
    lines += _zsh_choice(
        "_kaltura_app_token", [(name, _summary(members)) for name, members in groups.items()]
    )
    lines += [
        'if [[ ${zsh_eval_context[-1]} == loadautofunc ]]; then _kaltura_app_token "$@"',
        f"else compdef _kaltura_app_token {PROGRAM}",
        "fi",
    ]
    return "\n".join(lines) + "\n"


def _zsh_choice(function: str, words: list[tuple[str, str]]) -> list[str]:
    """A function that completes one word and hands the rest over to the word's own function."""
    lines = [f"{function}() {{", "    local -a subcommands=("]
    lines += [f"        {_zsh_quote(f'{word}:{summary}')}" for word, summary in words]
    lines += [
        "    )",
        "    if (( CURRENT == 2 )); then",
        "        _describe command subcommands",
        "        return",
        "    fi",
        "    shift words",
        "    (( CURRENT-- ))",
        "    case $words[1] in",
    ]
    lines += [f"        {word}) {function}_{word} ;;" for word, _ in words]
    return [*lines, "    esac", "}"]


def _zsh_name(name: str) -> str:
    return "_kaltura_app_token_" + name.replace(" ", "_")


def _zsh_quote(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _zsh_option(name: str, option: _Option) -> str:
    escaped = option.help.replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")
    spec = f"*{name}{'=' if option.values is not None and name.startswith('--') else ''}[{escaped}]"
    if option.files:
        spec += ":file:_files"
    elif option.values is not None:
        spec += f":value:({' '.join(option.values)})" if option.values else ":value: "
    return _zsh_quote(spec)


def _fish(commands: list[_Subcommand]) -> str:
    groups = _groups(commands)
    at_start = "not __fish_seen_subcommand_from " + " ".join(groups)
    lines = [f"# fish completion of {PROGRAM}", f"complete -c {PROGRAM} -f"]
    for name, members in groups.items():
        lines.append(_fish_line(at_start, f"-a {name}", _summary(members)))
        if " " not in members[0].name:
            continue
        words = [member.name.split()[1] for member in members]
        inside = f"__fish_seen_subcommand_from {name}; and not __fish_seen_subcommand_from "
        for word, member in zip(words, members, strict=True):
            lines.append(_fish_line(inside + " ".join(words), f"-a {word}", member.summary))
    for command in commands:
        where = "; and ".join(
            f"__fish_seen_subcommand_from {word}" for word in command.name.split()
        )
        for option in command.options:
            spelled = " ".join(
                f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}"
                for name in option.names
            )
            if option.files:
                spelled += " -r -F"
            elif option.values is not None:
                spelled += (
                    f" -x -a {_fish_quote(' '.join(option.values))}" if option.values else " -x"
                )
            lines.append(_fish_line(where, spelled, option.help))
        if command.arguments:
            lines.append(_fish_line(where, f"-a {_fish_quote(' '.join(command.arguments))}", ""))
    return "\n".join(lines) + "\n"


def _fish_line(condition: str, what: str, summary: str) -> str:
    described = f" -d {_fish_quote(summary)}" if summary else ""
    return f"complete -c {PROGRAM} -n {_fish_quote(condition)} {what}{described}"


def _fish_quote(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


_SCRIPTS = {"bash": _bash, "zsh": _zsh, "fish": _fish}

COMMAND = Command(_add, _completion)
