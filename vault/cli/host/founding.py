"""Host verbs that begin things: a contract, a person."""

from typing import Any

from vault.cli.host.call import Call
from vault.people.persons import NewPerson


def open_contract(call: Call) -> dict[str, Any]:
    """Begin a contract with a policy and its founders."""
    people = [NewPerson.parse(text) for text in call.fields.texts("people")]
    contract = call.vault.open_contract(call.fields.text("policy", most=1 << 19), people, call.somebody())
    log = call.vault.ground.log_of(contract.id)
    return {"contract": contract.id, "ledger": log.id, "log_vkey": log.key.encode()}


def add_person(call: Call) -> dict[str, Any]:
    """Add a person, or a role."""
    person = NewPerson.parse(call.fields.text("person"))
    contract_id = call.contract_id()
    call.vault.add_person(call.person(), contract_id, person)
    return {"contract": contract_id, "number": person.number, "role": person.role.value}
