"""The subcommands `sandbox` and `demo`: a local Kaltura, which needs no account and no network."""

from __future__ import annotations

from kaltura_app_token.command.arguments import Command, Parser, port

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def _add_sandbox(parser: Parser) -> None:
    parser.epilog = "The first line of output is its service URL; Ctrl-C ends it."
    parser.add_argument("--host", metavar="HOST", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", metavar="PORT", type=port, help="default: any free one")
    parser.add_argument(
        "--accounts", metavar="PATH", help="accounts as JSON (otherwise: one, told on stderr)"
    )
    parser.add_argument(
        "--control", action="store_true", help="offer the control interface under /_sandbox"
    )


def _sandbox(args: argparse.Namespace) -> int:
    import signal

    from kaltura_app_token import _native

    words = [
        f"--{name}={value}"
        for name in ("host", "port", "accounts")
        if (value := getattr(args, name)) is not None
    ]
    # The sandbox handles Ctrl-C itself; Python's handler would make an interrupt of it as well.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _native.sandbox_main([*words, *(["--control"] if args.control else [])])


def _add_demo(parser: Parser) -> None:
    """It takes no options."""


def _demo(_args: argparse.Namespace) -> int:
    from kaltura_app_token.command.demo import demo

    return demo()


SANDBOX = Command(_add_sandbox, _sandbox)
DEMO = Command(_add_demo, _demo)
