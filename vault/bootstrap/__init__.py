"""The one place that wires settings to adapters.

`parts.py` makes and opens the adapters that the settings name; `opening.py` makes a vault and opens one; `verifying.py`
opens a vault's parts for reading only, to verify them; `joining.py` makes the folder of a further owner.
"""

from vault.bootstrap.joining import Joining, join_vault
from vault.bootstrap.opening import NewVault, create_vault, migrate_database, open_vault
from vault.bootstrap.parts import examine_database, now_utc, probe_stores
from vault.bootstrap.verifying import opened_files, verify_vault

__all__ = [
    "Joining",
    "NewVault",
    "create_vault",
    "examine_database",
    "join_vault",
    "migrate_database",
    "now_utc",
    "open_vault",
    "opened_files",
    "probe_stores",
    "verify_vault",
]
