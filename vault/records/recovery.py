"""Recovery from a ledger that went back: it is closed, and goes on as a new one under a new origin.

The new ledger's first event names the old head, the last checkpoint known, and which entries are missing. Objects that
have no row now may belong to the missing entries: the sweep spares all that was written before.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import update

from vault.canonical_json import Json
from vault.errors import IntegrityError
from vault.ledger.checkpoint import Checkpoint
from vault.ledger.event import EventKind
from vault.ledger.guard import Guard
from vault.ledger.log import Log
from vault.ledger.transaction import Transaction
from vault.people.actor import Actor
from vault.people.authority import Act, require
from vault.records.founding import ledger_body, new_ledger
from vault.records.ground import Contract, Ground
from vault.storage.tables import ContractRow, LedgerRow


@dataclass(frozen=True, slots=True)
class Suspect:
    """A ledger that does not continue what is known of it."""

    log: Log
    known: Sequence[Checkpoint]  # empty where the guard itself is missing
    problem: str  # error code


def recover_ledger(ground: Ground, guard: Guard, actor: Actor, suspect: Suspect) -> Log:
    """Close a suspect ledger and begin its successor; the vault must be open, and every suspect recovered.

    Raises:
        SealedError: the vault is sealed: the successor needs a signing key.
        RefusedError: the actor may not.
    """
    old = suspect.log
    for contract_id in [old.contract_id] if old.contract_id else sorted(ground.contracts):
        require(actor, Act.RECOVER, contract_id)
    base, _, number = old.id.rpartition(".")
    ledger_id = f"{base}.{int(number) + 1}" if base else f"{old.id}.2"
    origin_base = old.key.name.removesuffix(f".{number}") if base else old.key.name
    log, row = new_ledger(ground, guard, ledger_id, old.contract_id, f"{origin_base}.{ledger_id.rpartition('.')[2]}")

    def change(transaction: Transaction) -> None:
        if not old.is_open:  # another process has recovered it
            raise IntegrityError("ledger-closed", ledger=old.id)
        transaction.connection.execute(update(LedgerRow).where(LedgerRow.id == old.id).values(state="closed"))
        transaction.open_ledger(log, row)
        if old.contract_id is not None:
            successor = update(ContractRow).where(ContractRow.id == old.contract_id).values(ledger_id=log.id)
            transaction.connection.execute(successor)
        event = actor.did(EventKind.LEDGER_RECOVERED, ground.clock(), ledger_body(row) | _story(suspect))
        transaction.append(log.id, event)

    ground.sequencer.run(change, old.id)
    old.is_open = False
    if old.contract_id is None:
        ground.operator_ledger_id = log.id
    else:
        contract = ground.contracts[old.contract_id]
        ground.contracts[old.contract_id] = Contract(contract.id, log.id, contract.policy)
    return log


def _story(suspect: Suspect) -> dict[str, Json]:
    head = suspect.log.checkpoint()
    last = max(suspect.known, key=lambda checkpoint: checkpoint.size, default=None)
    story: dict[str, Json] = {
        "old": {"ledger": suspect.log.id, "origin": head.origin, "size": head.size, "root": head.root.hex()},
        "problem": suspect.problem,
    }
    if last is not None:
        story["last_known"] = {"size": last.size, "root": last.root.hex()}
        story["missing"] = {"from": min(head.size, last.size), "before": last.size}
    return story
