"""Actors: who does a thing. A value; what they may do is `authority`'s."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from vault.canonical_json import Json
from vault.ledger.event import Event, EventKind


@dataclass(frozen=True, slots=True)
class Actor:
    """A person by staff number, acting on the vault's own host, a station, or the vault itself.

    Attributes:
        name: "person:<number>", "station:<name>", "host" or "vault", as ledger entries write it.
        roles: the roles held, by contract; a station's kind in its one contract.
        user_id: the operating system's user, where the act came through the owner's socket or command line.
    """

    name: str
    roles: tuple[tuple[str, str], ...] = ()  # (contract, role)
    user_id: int | None = None

    def roles_in(self, contract_id: str) -> frozenset[str]:
        """Give the roles held in one contract."""
        return frozenset(role for contract, role in self.roles if contract == contract_id)

    def did(self, kind: EventKind, at: datetime, body: Mapping[str, Json]) -> Event:
        """Say in an event that this actor did something."""
        return Event(kind, at, self.name, body, self.user_id)


STATION = "station:"
"""What the names of stations begin with."""

HOST = "host"
"""Who acts on the vault's own host and named no person: a custodian with the secret, or the owner's user."""

VAULT = Actor("vault")
"""The vault itself: what it does by rule, without anybody asking."""
