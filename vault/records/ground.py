"""What the verbs stand on, handed to each of them: built in `vault/bootstrap.py`, and nowhere else."""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Engine, select

from retention.policy import Policy
from vault.errors import NotFoundError, UnavailableError
from vault.keys.keystore import KeyStore
from vault.ledger.event import Event
from vault.ledger.log import Log
from vault.ledger.sequencer import Sequencer
from vault.records.intake.pdf_pool import PdfPool
from vault.storage.objects import ObjectStore
from vault.storage.ready import ReadyConnections
from vault.storage.second.disk import SecondDisk
from vault.storage.tables import ContractRow

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
    """Database, sequencer, key store, object stores, PDF checker, clock and contracts of one opened vault.

    `read_contracts` gives the contracts as the database has them, which other processes may write to.
    """

    vault_id: str
    engine: Engine
    sequencer: Sequencer
    keys: KeyStore
    stores: Sequence[ObjectStore]
    pdf_pool: PdfPool
    clock: Clock
    days_ahead: int
    read_contracts: Callable[[], Mapping[str, Contract]]
    contracts: dict[str, Contract] = field(default_factory=dict)
    operator_ledger_id: str = "operator"
    second: SecondDisk | None = None
    bring_up_keys: Callable[[], bool] = lambda: True  # makes the key store's replicas alike; says whether they are
    bucket_lock: threading.Lock = field(default_factory=threading.Lock)
    ready: ReadyConnections = field(init=False)

    def __post_init__(self) -> None:
        """Keep connections ready for single queries."""
        self.ready = ReadyConnections(self.engine)

    def contract(self, contract_id: str) -> Contract:
        """Give a contract; one that another process opened is taken up.

        Raises:
            NotFoundError: this vault does not hold it.
        """
        if contract_id not in self.contracts and self.sequencer.is_shared:
            self.follow()
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

    def follow(self) -> None:
        """Take up what other processes did to ledgers and contracts; errors as `Sequencer.follow`."""
        if not self.sequencer.is_shared:
            return
        self.sequencer.follow()
        with self.engine.connect() as connection:
            rows = connection.execute(select(ContractRow.id, ContractRow.ledger_id)).all()
        if {(row.id, row.ledger_id) for row in rows} == {(one.id, one.ledger_id) for one in self.contracts.values()}:
            return
        self.contracts = dict(self.read_contracts())
        self.operator_ledger_id = next(
            (log.id for log in self.sequencer.logs() if log.contract_id is None and log.is_open),
            self.operator_ledger_id,
        )

    def log_of(self, contract_id: str) -> Log:
        """Give the ledger that a contract writes to now."""
        return self.sequencer.log(self.contract(contract_id).ledger_id)


def append_operator_event(ground: Ground, event: Event) -> None:
    """Append an event to the operator's ledger; durable on return."""
    ledger_id = ground.operator_ledger_id
    ground.sequencer.run(lambda transaction: transaction.append(ledger_id, event), ledger_id)
