"""`python -m kaltura_app_token`: the command `kaltura-app-token`."""

from __future__ import annotations

import sys

from kaltura_app_token.command.main import main

sys.exit(main())
