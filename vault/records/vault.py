"""One opened vault: its verbs on common ground, and its life from opening to closing."""

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from retention.periods import trigger_date
from vault.errors import (
    ConflictError,
    IntegrityError,
    KuraError,
    NotFoundError,
    RefusedError,
    SealedError,
    UnavailableError,
)
from vault.keys.custodian import CustodianSecret
from vault.ledger.checkpoint import open_checkpoint
from vault.ledger.event import EventKind
from vault.ledger.guard import Guard
from vault.ledger.log import Log
from vault.ledger.publish import publish
from vault.people.actor import VAULT, Actor
from vault.people.authority import Act, require
from vault.people.persons import NewPerson, actor_of
from vault.records.buckets import Buckets, wanted_ahead
from vault.records.deposit import Deposits
from vault.records.enrolment import Enrolment
from vault.records.founding import grant_role, open_contract, open_operator_ledger
from vault.records.going_back import Comparisons
from vault.records.ground import Contract, Ground, append_operator_event
from vault.records.indexing import index_pending
from vault.records.leases import Leases, holder_of
from vault.records.reading import Readings
from vault.records.recovery import recover_ledger
from vault.records.search import Searches
from vault.records.second_disk import SecondDiskKeeper
from vault.service_log import service_log
from vault.storage.tables import BucketRow


class Vault:
    """A vault that takes deposits; and, when custodians have opened it, shows and finds them."""

    def __init__(self, ground: Ground, guard: Guard, folder: Path, origin: str) -> None:
        """Join the verbs; `start` begins."""
        self.ground = ground
        self.folder = folder
        self.buckets = Buckets(ground)
        self.deposits = Deposits(ground, self.buckets)
        self.readings = Readings(ground, self.buckets)
        self.searches = Searches(ground, self.buckets)
        self.enrolment = Enrolment(ground)
        self.leases = Leases(ground.sequencer, holder_of(folder))
        self.second_disk = SecondDiskKeeper(ground, guard, folder)
        self._guard = guard
        self._origin = origin
        self._comparisons = Comparisons(ground, guard, folder / "ledgers")
        self._closers: list[Callable[[], object]] = []
        self._disown: Callable[[], None] = lambda: None
        self._publishing = threading.Lock()

    @property
    def is_sealed(self) -> bool:
        """Whether custodians must still open the vault."""
        return self.ground.keys.is_sealed

    @property
    def problem(self) -> KuraError | None:
        """Why the vault takes no changes, or None."""
        second = self.ground.second
        if second is not None and second.is_first_away:
            return UnavailableError("first-disk-away")
        return self.ground.sequencer.halted

    def start(self, closers: list[Callable[[], object]]) -> None:
        """Compare the ledgers with what is known outside; then take changes, unless one went back."""
        self._closers = closers
        self.ground.sequencer.start()
        self._comparisons.compare_all()
        if not self._comparisons.suspects:
            self.second_disk.begin()
            self.publish()

    def own_keys(self) -> None:
        """Be the one owner of a key store that lies in this folder, whoever else reaches the database.

        Raises:
            ConflictError: `keys-owned`: another folder's process has the database with a key store of its own.
        """
        if self.ground.sequencer.is_shared:
            halt = self.ground.sequencer.halt
            self._disown = self.leases.owned("keys", lambda: halt(ConflictError("keys-owned")))

    def unseal(self, custodian: CustodianSecret, actor: Actor = VAULT) -> None:
        """Open the vault; make buckets ahead and the index tokens of what was taken while it was sealed.

        Raises:
            RefusedError: the custodians' secret is wrong.
            IntegrityError: a bucket's disposal key is missing from the key store.
        """
        was_sealed = self.is_sealed
        self.ground.keys.unseal(custodian)
        if self._comparisons.suspects:
            return
        self._compare_keys()
        if was_sealed:
            append_operator_event(self.ground, actor.did(EventKind.VAULT_UNSEALED, self.ground.clock(), {}))
        self.make_ahead()
        index_pending(self.ground, self.buckets)

    def make_ahead(self) -> int:
        """Make the buckets that the coming days will need; give their number. The vault must be open."""
        return self.buckets.make(
            which
            for contract in self.ground.contracts.values()
            for which in wanted_ahead(contract, trigger_date(self.ground.clock()), self.ground.days_ahead)
        )

    def seal(self, actor: Actor = VAULT) -> None:
        """Close the vault: it goes on taking deposits."""
        if not self.is_sealed and self.problem is None:
            append_operator_event(self.ground, actor.did(EventKind.VAULT_SEALED, self.ground.clock(), {}))
        self.ground.keys.seal()
        self.buckets.secrets.forget()

    def actor(self, number: str, user_id: int | None = None) -> Actor:
        """Take up a person by number."""
        with self.ground.engine.connect() as connection:
            return actor_of(connection, number, user_id)

    def open_operator_ledger(self) -> None:
        """Begin the operator's ledger: the first thing in a new vault."""
        open_operator_ledger(self.ground, self._guard, self._origin)

    def open_contract(self, policy_text: str, people: list[NewPerson], actor: Actor = VAULT) -> Contract:
        """Begin a contract; errors as `founding.open_contract`."""
        self._require_open()
        return open_contract(self.ground, self.buckets, self._guard, actor, self._origin, policy_text, people)

    def add_person(self, actor: Actor, contract_id: str, person: NewPerson) -> None:
        """Add a person or a role.

        Raises:
            RefusedError: the actor may not.
        """
        require(actor, Act.GRANT_ROLE, contract_id)
        grant_role(self.ground, self.buckets, self.ground.contract(contract_id), actor, person)

    def recover(self, actor: Actor) -> list[Log]:
        """Close every ledger that went back, and go on under new origins; give the new ledgers."""
        self._require_open()
        problem = self.problem
        if problem is not None and self.ground.sequencer.is_shared:
            self._comparisons.compare_again()
        self.ground.sequencer.resume()
        recovered = []
        try:
            for suspect in list(self._comparisons.suspects.values()):
                recovered.append(recover_ledger(self.ground, self._guard, actor, suspect))
                del self._comparisons.suspects[suspect.log.id]
        except BaseException:
            if problem is not None:
                self.ground.sequencer.halt(problem)
            raise
        self._compare_keys()
        self.make_ahead()
        index_pending(self.ground, self.buckets)
        self.second_disk.begin()
        self.publish()
        return recovered

    def confront(self, contract_id: str, note: str) -> None:
        """Compare a ledger with a checkpoint that somebody was given; where it is behind, all appending stops.

        Raises:
            IntegrityError: the checkpoint is not of this ledger; or the ledger does not continue it.
        """
        self._comparisons.confront(self.ground.log_of(contract_id), note)

    def publish(self, then: Callable[[], object] = lambda: None) -> None:
        """Bring the published tiles and checkpoints up to the durable heads; one thread at a time does it.

        Args:
            then: called before anything further is published.
        """
        with self._publishing:
            self._publish()
            then()

    def _publish(self) -> None:
        self.ground.follow()
        for log in self.ground.sequencer.logs():
            if not log.is_open or log.size == 0:
                continue
            folder = self.published_folder(log.id)
            published = folder / "checkpoint"
            old_size = 0
            if published.is_file():
                old_size = open_checkpoint(published.read_bytes(), log.key).size
            head = log.checkpoint()
            if head.size > old_size:
                publish(folder, log.signed(head), old_size, head.size, log.tile)

    def published_folder(self, ledger_id: str) -> Path:
        """Where a ledger's checkpoint and tiles are published."""
        return self.folder / "ledgers" / ledger_id

    def close(self) -> None:
        """Finish what is under way, publish, and let go of everything. Harmless to repeat."""
        closers, self._closers = self._closers, []
        if not closers:
            return
        self._disown()
        self.second_disk.finish()
        self.ground.sequencer.stop()
        try:
            if self.problem is None:
                self.publish()
        except (UnavailableError, SQLAlchemyError) as error:  # the next start publishes it
            service_log().warning("publish-failed", reason=type(error).__name__)
        finally:
            for closer in closers:
                closer()

    def _require_open(self) -> None:
        if self.is_sealed:
            raise SealedError("vault-sealed")

    def _compare_keys(self) -> None:
        """A bucket without its disposal key is an integrity alarm; a key without a bucket was never used, and goes."""
        keys = self.ground.keys
        with self.ground.engine.connect() as connection:
            live: Mapping[str, str] = dict(
                connection.execute(select(BucketRow.key_id, BucketRow.id).where(BucketRow.state != "destroyed")).all()
            )
        missing = sorted(set(live) - keys.disposal_key_ids())
        if missing:
            with suppress(
                NotFoundError, RefusedError
            ):  # asked for by its id, it is found though another process made it
                keys.wrap(missing[0], bytes(8))
            missing = sorted(set(live) - keys.disposal_key_ids())
        if missing:
            raise IntegrityError("disposal-key-missing", bucket=live[missing[0]], count=len(missing))
        unused = keys.disposal_key_ids() - set(live)
        # Where several processes make keys, one without a row may be another's, whose transaction is under way.
        if unused and not self._has_recovered() and not self.ground.sequencer.is_shared:
            with suppress(UnavailableError):  # while the disk of a replica is away they stay: they harm nobody
                keys.destroy(unused, self.ground.clock())

    def _has_recovered(self) -> bool:
        """Whether a ledger was ever recovered: then a key without a row may belong to a lost one."""
        return any(not log.is_open for log in self.ground.sequencer.logs())
