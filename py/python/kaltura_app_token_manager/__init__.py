"""The old name of `kaltura_app_token.legacy`, for programs that import the old script.

The name stands for that very module, not for a copy of its names: who replaces `setup_parser` here
replaces it for `main`.
"""

from __future__ import annotations

import sys

from kaltura_app_token import legacy
from kaltura_app_token.legacy import *  # noqa: F403

sys.modules[__name__] = legacy
