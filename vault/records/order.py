"""An order: one record that somebody asks to be taken, with what opens its bytes."""

from collections.abc import Callable
from dataclasses import dataclass

from vault.people.actor import Actor
from vault.records.request import DepositRequest
from vault.records.source import Source

OpenSource = Callable[[], Source]


@dataclass(frozen=True, slots=True)
class Order:
    """A record to be taken.

    Attributes:
        actor: who deposits.
        contract_id: to which contract.
        request: what is said of the record.
        open_source: gives its bytes, to be read once; called when the request was found to be right.
        sha256: the digest that the bytes must have, where the depositor said it.
    """

    actor: Actor
    contract_id: str
    request: DepositRequest
    open_source: OpenSource
    sha256: bytes | None = None
