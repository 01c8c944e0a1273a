"""Persons by staff number: adding one, giving roles, and taking one up as an actor. Passkeys are a later part.

A person's name goes to the sealed part of the event only.
"""

import re
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select

from retention.roles import Role
from vault.errors import ConflictError, RefusedError
from vault.people.actor import Actor
from vault.storage.tables import GrantRow, PersonRow

_NUMBER = re.compile(r"[A-Za-z0-9-]{1,32}")
_NAME_LENGTH = 64


@dataclass(frozen=True, slots=True)
class NewPerson:
    """A person to add, with one role."""

    number: str
    name: str
    role: Role

    @classmethod
    def parse(cls, text: str) -> "NewPerson":
        """Read "NUMBER:NAME:ROLE".

        Raises:
            RefusedError: it has another form, or the role is not one of the glossary's.
        """
        number, _, rest = text.partition(":")
        name, _, role = rest.rpartition(":")
        if not _NUMBER.fullmatch(number) or not 0 < len(name.strip()) <= _NAME_LENGTH:
            raise RefusedError("person-malformed")
        if role not in set(Role):
            raise RefusedError("role-unknown", role=role)
        return cls(number, name.strip(), Role(role))


def actor_of(connection: Connection, number: str, user_id: int | None = None) -> Actor:
    """Take up a person by number, with all roles.

    Raises:
        RefusedError: nobody has this number.
    """
    known = connection.scalar(select(PersonRow.number).where(PersonRow.number == number))
    if known is None:
        raise RefusedError("person-unknown", number=number if _NUMBER.fullmatch(number) else "?")
    grants = connection.execute(
        select(GrantRow.contract_id, GrantRow.role)
        .where(GrantRow.person_number == number)
        .order_by(GrantRow.contract_id, GrantRow.role)
    )
    return Actor(f"person:{number}", tuple((row.contract_id, row.role) for row in grants), user_id)


def add(connection: Connection, person: NewPerson, contract_id: str, at: datetime) -> None:
    """Write a person's rows; the event is the caller's.

    Raises:
        ConflictError: the person has this role here already.
    """
    if connection.scalar(select(PersonRow.number).where(PersonRow.number == person.number)) is None:
        connection.execute(insert(PersonRow), [{"number": person.number, "added_at": at}])
    grant = {"person_number": person.number, "contract_id": contract_id, "role": person.role.value}
    held = select(GrantRow.role).where(*(getattr(GrantRow, name) == value for name, value in grant.items()))
    if connection.scalar(held) is not None:
        raise ConflictError("role-held", number=person.number, role=person.role.value)
    connection.execute(insert(GrantRow), [grant | {"granted_at": at}])
