"""What the verbs stand on, handed to each of them: built in `vault/bootstrap.py`, and nowhere else."""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Engine

from retention.policy import Policy
from vault.errors import NotFoundError, UnavailableError
from vault.keys.keystore import KeyStore
from vault.ledger.log import Log
from vault.ledger.sequencer import Sequencer
from vault.records.intake.pdf_pool import PdfPool
from vault.storage.objects import ObjectStore
from vault.storage.ready import ReadyConnections

Clock = Callable[[], datetime]
"""Gives the present instant, aware, in UTC."""


@dataclass(frozen=True, slots=True)
class Contract:
    """A contract that this vault holds, and the ledger it writes to now."""

    id: str
    ledger_id: str
    policy: Policy


@dataclass(slots=True)
class Ground:
    """Database, sequencer, key store, object stores, PDF checker, clock and contracts of one opened vault."""

    vault_id: str
    engine: Engine
    sequencer: Sequencer
    keys: KeyStore
    stores: Sequence[ObjectStore]
    pdf_pool: PdfPool
    clock: Clock
    days_ahead: int
    contracts: dict[str, Contract] = field(default_factory=dict)
    operator_ledger_id: str = "operator"
    bucket_lock: threading.Lock = field(default_factory=threading.Lock)
    ready: ReadyConnections = field(init=False)

    def __post_init__(self) -> None:
        """Keep connections ready for single queries."""
        self.ready = ReadyConnections(self.engine)

    def contract(self, contract_id: str) -> Contract:
        """Give a contract.

        Raises:
            NotFoundError: this vault does not hold it.
        """
        contract = self.contracts.get(contract_id)
        if contract is None:
            raise NotFoundError("contract-unknown")
        return contract

    def require_residence(self, policy: Policy) -> None:
        """Check that every store may hold what a policy keeps on the premises.

        Raises:
            RefusedError: bytes given to one of them might leave.
        """
        if any(record_class.residence == "on-premises" for record_class in policy.classes.values()):
            for store in self.stores:
                with suppress(UnavailableError):  # it is away; it is asked again before it is given anything
                    store.require_on_premises()

    def log_of(self, contract_id: str) -> Log:
        """Give the ledger that a contract writes to now."""
        return self.sequencer.log(self.contract(contract_id).ledger_id)
