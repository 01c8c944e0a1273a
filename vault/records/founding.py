"""Beginning things: a ledger, a contract with its policy and first persons, another person. Each with its event."""

import hashlib
from collections.abc import Sequence

from sqlalchemy import insert, select

from retention.errors import PolicyError
from retention.periods import trigger_date
from retention.policy import Policy
from retention.policy_reader import read_policy
from vault.canonical_json import Json
from vault.errors import ConflictError, RefusedError
from vault.keys.keystore import KeyStore
from vault.ledger.event import EventKind
from vault.ledger.guard import Guard
from vault.ledger.log import Log
from vault.ledger.note import VerifierKey
from vault.ledger.transaction import Transaction
from vault.people import persons
from vault.people.actor import VAULT, Actor
from vault.people.persons import NewPerson
from vault.records.buckets import Buckets, wanted_ahead
from vault.records.event_parts import write_with_part
from vault.records.ground import Contract, Ground
from vault.storage.tables import ContractRow, LedgerRow

OPERATOR = "operator"


def adopted_policy(text: str, source: str) -> Policy:
    """Read a policy.

    Raises:
        RefusedError: it is not valid; the sentence names line and remedy.
    """
    try:
        return read_policy(text, source)
    except PolicyError as error:
        raise RefusedError("policy-wrong", reason=str(error)) from error


def new_ledger(
    ground: Ground, guard: Guard, ledger_id: str, contract_id: str | None, origin: str
) -> tuple[Log, LedgerRow]:
    """Make a signing key and a guard for a ledger that a change then opens.

    A crash after this leaves a key that signs nothing and an empty guard.
    """
    keys: KeyStore = ground.keys
    key_id = keys.create_signing_key()
    guard.create(ledger_id)
    row = LedgerRow(
        id=ledger_id,
        contract_id=contract_id,
        origin=origin,
        vkey=VerifierKey.named(origin, keys.public_key(key_id)).encode(),
        signing_key_id=key_id,
        state="open",
        size=0,
        compact_range=b"",
    )
    return Log(ground.engine, row, lambda message: keys.sign(key_id, message)), row


def open_operator_ledger(ground: Ground, guard: Guard, origin: str) -> None:
    """Begin the ledger of the operator's own acts: the first event of a vault."""
    log, row = new_ledger(ground, guard, OPERATOR, None, f"{origin}/{OPERATOR}")

    def change(transaction: Transaction) -> None:
        transaction.open_ledger(log, row)
        body = ledger_body(row) | {"vault": ground.vault_id}
        transaction.append(OPERATOR, VAULT.did(EventKind.LEDGER_OPENED, ground.clock(), body))

    ground.sequencer.run(change)


def open_contract(
    ground: Ground,
    buckets: Buckets,
    guard: Guard,
    actor: Actor,
    origin: str,
    policy_text: str,
    people: Sequence[NewPerson],
) -> Contract:
    """Begin a contract: its ledger, whose genesis event names policy and founders; its buckets; its founders.

    Raises:
        RefusedError: the policy is not valid, or nobody is named.
        ConflictError: the vault holds this contract already.
    """
    policy = adopted_policy(policy_text, "policy")
    if policy.contract in ground.contracts or policy.contract == OPERATOR:
        raise ConflictError("contract-exists", contract=policy.contract)
    if not people:
        raise RefusedError("founders-missing")
    ground.require_residence(policy)
    log, row = new_ledger(ground, guard, policy.contract, policy.contract, f"{origin}/{policy.contract}")
    contract = Contract(policy.contract, log.id, policy)

    def change(transaction: Transaction) -> None:
        # Contracts are opened under the lock of the operator's ledger: one at a time, whatever process does it.
        known = select(ContractRow.id).where(ContractRow.id == contract.id)
        if transaction.connection.scalar(known) is not None:
            raise ConflictError("contract-exists", contract=contract.id)
        transaction.open_ledger(log, row)
        values = {"id": contract.id, "ledger_id": log.id, "policy": policy_text}
        transaction.connection.execute(insert(ContractRow), [values])
        founders: list[Json] = [{"number": person.number, "role": person.role.value} for person in people]
        body = ledger_body(row) | {"founders": founders, "policy": policy_digest(policy_text)}
        transaction.append(log.id, actor.did(EventKind.LEDGER_OPENED, ground.clock(), body))

    ground.sequencer.run(change, ground.operator_ledger_id)
    ground.contracts[contract.id] = contract
    buckets.make(wanted_ahead(contract, trigger_date(ground.clock()), ground.days_ahead))
    for person in people:
        grant_role(ground, buckets, contract, actor, person)
    return contract


def grant_role(ground: Ground, buckets: Buckets, contract: Contract, granted_by: Actor, person: NewPerson) -> None:
    """Add a person, or give one more role; the name goes to the event's sealed part.

    Raises:
        ConflictError: the person has the role already.
    """
    bucket = buckets.audit_trail(contract)

    def change(transaction: Transaction) -> None:
        now = ground.clock()
        persons.add(transaction.connection, person, contract.id, now)
        body: dict[str, Json] = {"contract": contract.id, "number": person.number, "role": person.role.value}
        event = granted_by.did(EventKind.ROLE_GRANTED, now, body)
        write_with_part(transaction, contract.ledger_id, event, {"name": person.name}, bucket)

    ground.sequencer.run(change, contract.ledger_id)


def ledger_body(row: LedgerRow) -> dict[str, Json]:
    """What a ledger's first event says of its row: all that may not change but state, size and range."""
    return {
        "contract": row.contract_id,
        "key": row.signing_key_id,
        "ledger": row.id,
        "origin": row.origin,
        "vkey": row.vkey,
    }


def policy_digest(text: str) -> str:
    """SHA-256 of a policy's text, hex."""
    return hashlib.sha256(text.encode()).hexdigest()
