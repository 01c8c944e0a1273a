"""The names of those who may deposit or read: roles of people and kinds of stations, letter for letter.

Leaves out who holds a role, when, and what else it may do (`vault/people/`). Parties without an account in the vault,
such as recipients and visitors, are no roles.

Source: the glossary, parties and roles.
"""

from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """What a person may be in a contract."""

    CITY_STAFF = "city_staff"
    OPERATIONS_MANAGER = "operations_manager"
    DEPUTY_OPERATIONS_MANAGER = "deputy_operations_manager"
    GENERAL_MANAGER = "general_manager"
    MANAGER = "manager"
    SITE_LEADER = "site_leader"
    SUPERVISOR = "supervisor"
    WORKER = "worker"
    CALL_AGENT = "call_agent"
    CARD_PICKER = "card_picker"
    CHIEF_PRIVACY_MANAGER = "chief_privacy_manager"
    PRIVACY_MANAGER = "privacy_manager"
    INFORMATION_PROTECTION_MANAGER = "information_protection_manager"
    SCAN_OPERATOR = "scan_operator"
    CUSTODY_WORKER = "custody_worker"
    CUSTODY_WITNESS = "custody_witness"
    SECURITY_OFFICER = "security_officer"
    CITY_AUDITOR = "city_auditor"
    VAULT_ADMIN = "vault_admin"  # keeps the machine running and has no access to content


class StationKind(StrEnum):
    """What a machine that writes may be; none of them ever reads."""

    COUNTER = "counter"
    SCANNER = "scanner"
    RECORDER = "recorder"
    EXCHANGE = "exchange"


READERS: Final = frozenset(Role) - {Role.VAULT_ADMIN}
"""Roles that a policy may let read content."""

DEPOSITORS: Final = frozenset[str](Role) | frozenset[str](StationKind)
"""Roles and station kinds that a policy may let deposit."""
