"""Who may do what: one table of roles and acts, asked by every verb.

For depositing and reading, the role must also be named by the record class in the contract's policy. What a person
may do on the host with the vault's files is not decided here.
"""

from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from retention.policy import RecordClass
from retention.roles import Role, StationKind
from vault.errors import RefusedError
from vault.people.actor import VAULT, Actor


class Act(StrEnum):
    """What a person may ask the vault to do."""

    DEPOSIT = "deposit"
    READ = "read"
    SEARCH = "search"
    CHECK_FIXITY = "check-fixity"
    GRANT_ROLE = "grant-role"
    ENROL_STATION = "enrol-station"
    BACK_UP = "back-up"
    RECOVER = "recover"


_CONTENT: Final = frozenset({Act.DEPOSIT, Act.READ, Act.SEARCH})

MAY: Final[Mapping[str, frozenset[Act]]] = MappingProxyType(
    {
        Role.SCAN_OPERATOR: _CONTENT,
        Role.OPERATIONS_MANAGER: _CONTENT | {Act.GRANT_ROLE, Act.ENROL_STATION},
        Role.DEPUTY_OPERATIONS_MANAGER: _CONTENT,
        Role.SITE_LEADER: _CONTENT,
        Role.WORKER: frozenset({Act.DEPOSIT}),
        Role.CALL_AGENT: frozenset({Act.DEPOSIT}),
        Role.SECURITY_OFFICER: frozenset({Act.READ, Act.SEARCH, Act.CHECK_FIXITY}),
        Role.PRIVACY_MANAGER: frozenset({Act.READ, Act.SEARCH, Act.CHECK_FIXITY}),
        Role.CITY_AUDITOR: frozenset({Act.READ, Act.SEARCH}),
        # Keeps the machine running and has no access to content.
        Role.VAULT_ADMIN: frozenset({Act.CHECK_FIXITY, Act.GRANT_ROLE, Act.ENROL_STATION, Act.BACK_UP, Act.RECOVER}),
        # Machines write, and that is all they do.
        StationKind.COUNTER: frozenset({Act.DEPOSIT}),
        StationKind.SCANNER: frozenset({Act.DEPOSIT}),
        StationKind.RECORDER: frozenset({Act.DEPOSIT}),
        StationKind.EXCHANGE: frozenset({Act.DEPOSIT}),
    }
)
"""The table. A role that is not in it may do nothing."""


def require(actor: Actor, act: Act, contract_id: str, record_class: RecordClass | None = None) -> None:
    """Let the act pass, or refuse it.

    Args:
        actor: who asks.
        act: what is asked.
        contract_id: where.
        record_class: of what, for depositing, reading and searching.

    Raises:
        RefusedError: no role of the actor in this contract allows it.
    """
    if actor == VAULT:
        return
    able = _able(actor, act, contract_id)
    if record_class is not None:
        able &= record_class.deposit if act is Act.DEPOSIT else record_class.read
    if not able:
        of = record_class.id if record_class is not None else "-"
        raise RefusedError("not-allowed", actor=actor.name, act=act.value, contract=contract_id, record_class=of)


@lru_cache(maxsize=1024)
def _able(actor: Actor, act: Act, contract_id: str) -> frozenset[str]:
    """The roles of an actor that allow an act. A pure function of its values: what is kept cannot become wrong."""
    return frozenset(role for role in actor.roles_in(contract_id) if act in MAY.get(role, frozenset()))
