#!/usr/bin/env python3
"""The command with the old flags, run in place from a checkout: ./kaltura_app_token_manager.py

Uses the installed package, or the one that `make demo` builds beside this file. Holds nothing of
the command itself.
"""

import os
import sys


def _use_the_one_that_was_built(missing: ImportError) -> None:
    """Runs this file again with the checkout's own Python, or ends with a line of advice."""
    here = os.path.dirname(os.path.abspath(__file__))
    python = os.path.join(here, "build", "venv", "bin", "python")
    if __name__ != "__main__":
        raise missing
    if os.path.exists(python) and "_KALTURA_RUN_IN_PLACE" not in os.environ:
        environment = os.environ | {"_KALTURA_RUN_IN_PLACE": "again"}
        os.execve(python, [python, os.path.abspath(__file__), *sys.argv[1:]], environment)  # noqa: S606
    sys.stderr.write(
        "kaltura_app_token_manager.py: error: the package kaltura-app-token is not installed\n"
        f"  hint: run `make demo` or `pip install .` in {here}\n"
    )
    sys.exit(2)


try:
    from kaltura_app_token import legacy
    from kaltura_app_token.legacy import *  # noqa: F403
except ImportError as missing:
    _use_the_one_that_was_built(missing)

if __name__ == "__main__":
    sys.exit(legacy.main())

# As in the installed package: who replaces a function here replaces it for `main`.
sys.modules[__name__] = legacy
