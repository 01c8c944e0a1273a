"""`python -m vault` is the `kura` command."""

import sys

from vault.cli import main

sys.exit(main())
