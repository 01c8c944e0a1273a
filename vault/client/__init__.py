"""The station's side of the narrow API: deposits that count as sent only once their receipts are checked.

Stands alone: the standard library and `cryptography` are all it needs, and nothing of the vault's server.

    from vault.client import Deposit, Spooled, Station

    with Station(Path("/var/lib/kura/counter-1")) as station:  # made by `kura-send init`
        received = Deposit(
            class_id="application_form",
            ended_at=datetime.now(UTC),
            subject_key="NIS-00001",
            file_name="form.pdf",
        )
        done = station.deposit(Path("form.pdf"), received, key="scan-4711")
        if isinstance(done, Spooled):  # the vault is away: the record is sealed here
            ...
        station.send_spooled()  # later, once the vault is there and open

Errors are those of `vault.errors`, each with a code and a sentence: RefusedError (the same call will be refused
again), UnavailableError (the same call may succeed later), IntegrityError (an answer does not prove what it says).
"""

from vault.client.answers import Taken
from vault.client.deposit import JOURNAL_KINDS, Deposit
from vault.client.exchange import Health
from vault.client.outcomes import Delivery, Spooled
from vault.client.problems import RefusedByVaultError, VaultBusyError
from vault.client.state import Numbers
from vault.client.station import Station

__all__ = [
    "JOURNAL_KINDS",
    "Delivery",
    "Deposit",
    "Health",
    "Numbers",
    "RefusedByVaultError",
    "Spooled",
    "Station",
    "Taken",
    "VaultBusyError",
]
