#!python
"""The command with the old flags; and, for what is started from the directory that this file is
installed in, the importable module of the same name.

A program's own directory comes first on its import path, so that there `import
kaltura_app_token_manager` finds this file in place of the package.
"""

import sys

from kaltura_app_token import legacy
from kaltura_app_token.legacy import *  # noqa: F403

if __name__ == "__main__":
    sys.exit(legacy.main())

# As in the package: who replaces a function here replaces it for `main`.
sys.modules[__name__] = legacy
