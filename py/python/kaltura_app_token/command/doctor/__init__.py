"""The subcommand `doctor`: checks what an exchange and the management of tokens need, one thing
after the other, and says of each what is right, what is wrong and what to do. It changes nothing on
the server and asks no host but the configured one; sessions that it starts expire by themselves.

This file has its options, the order of the checks and its exit code.
"""

from __future__ import annotations

import argparse

from kaltura_app_token.command import account
from kaltura_app_token.command.arguments import Command, Parser
from kaltura_app_token.command.doctor.report import Report, Stop
from kaltura_app_token.command.doctor.server import ServerChecks
from kaltura_app_token.command.doctor.token import TokenChecks
from kaltura_app_token.command.sessions import add_request
from kaltura_app_token.errors import ConfigError

_FINDINGS = 6


def _add(parser: Parser) -> None:
    parser.epilog = (
        "It changes nothing on the server. It exchanges the token, and uses the session for one\n"
        "call, session.get: that counts where the token has an actionslimit, for this session\n"
        "alone. The admin secret is not sent unless --send-secret says so.\n"
        "\n"
        "exit codes:\n"
        "  0  all is well, or was not there to be checked\n"
        "  2  the command line or the configuration cannot be used\n"
        "  4  no Kaltura server could be reached\n"
        "  6  a problem was found"
    )
    account.add_token(parser)
    add_request(parser)
    parser.add_argument(
        "--send-secret",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="try session.start too, which sends the admin secret to the server",
    )
    group = parser.add_argument_group("output")
    group.add_argument(
        "--format",
        choices=("table", "csv", "json", "jsonl"),
        default="table",
        help="default: table",
    )
    account.add_account(parser)
    account.add_network(parser)


def _doctor(args: argparse.Namespace) -> int:
    if args.admin_session == "started" and not args.send_secret:
        raise ConfigError(
            "--admin-session started sends the admin secret, which --send-secret does not allow",
            hint="add --send-secret, or leave out --admin-session",
        )
    report = Report(args.format)
    try:
        server = ServerChecks(args, report)
        reached = server.examine()
        if reached is not None:
            TokenChecks(args, report, server.places, reached).examine(server.admin())
    except Stop as stop:
        code = stop.code
    else:
        code = _FINDINGS if report.has_problem else 0
    report.end()
    return code


COMMAND = Command(_add, _doctor)
