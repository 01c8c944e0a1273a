"""One call of a host verb: who asks, what for, with which open files. All of it comes from outside and is checked."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from vault.errors import RefusedError
from vault.people.actor import HOST, Actor
from vault.records.vault import Vault

_TEXT_LENGTH = 4096
_NOT_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")

Tell = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Item:
    """Fields and an open file; whoever takes an item closes its descriptor."""

    fields: Mapping[str, Any]
    descriptor: int


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked, before it is looked at."""

    verb: str
    person: str | None
    arguments: Mapping[str, Any] = field(repr=False)

    @classmethod
    def parse(cls, message: Mapping[str, Any]) -> Self:
        """Read a request line.

        Raises:
            RefusedError: it is not one.
        """
        verb, person, arguments = message.get("verb"), message.get("as"), message.get("arguments")
        if not isinstance(verb, str) or not isinstance(person, str | None) or not isinstance(arguments, dict):
            raise RefusedError("request-malformed")
        return cls(verb, person, arguments)

    def message(self) -> dict[str, Any]:
        """Give the request line."""
        return {"verb": self.verb, "as": self.person, "arguments": dict(self.arguments)}


class Fields:
    """Named values from outside, taken out by type; the errors name the field and never its value."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        """Take them as they came."""
        self._values = values

    def text(self, name: str, *, most: int = _TEXT_LENGTH) -> str:
        """Give a text that must be there."""
        value = self.optional_text(name, most=most)
        if value is None:
            raise RefusedError("argument-missing", name=name)
        return value

    def optional_text(self, name: str, *, most: int = _TEXT_LENGTH) -> str | None:
        """Give a text of Unicode characters without control characters (line ends and tabs apart), or None."""
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or len(value) > most:
            raise RefusedError("argument-wrong", name=name)
        if _NOT_TEXT.search(value):
            raise RefusedError("argument-wrong", name=name)
        return value

    def texts(self, name: str) -> list[str]:
        """Give a list of texts; an absent one is empty."""
        values = self._values.get(name, [])
        if not isinstance(values, list):
            raise RefusedError("argument-wrong", name=name)
        return [Fields({name: value}).text(name) for value in values]

    def integer(self, name: str, default: int | None = None) -> int | None:
        """Give an integer of at most 63 bits, or the default."""
        value = self._values.get(name)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or not -(1 << 62) < value < 1 << 62:
            raise RefusedError("argument-wrong", name=name)
        return value

    def instant(self, name: str) -> datetime | None:
        """Give an RFC 3339 instant, which must name its offset, or None."""
        text = self.optional_text(name)
        if text is None:
            return None
        try:
            instant = datetime.fromisoformat(text)
        except ValueError as error:
            raise RefusedError("argument-wrong", name=name) from error
        if instant.tzinfo is None:
            raise RefusedError("time-without-offset")
        return instant


@dataclass(frozen=True, slots=True)
class Call:
    """A verb's whole input.

    Attributes:
        vault: the vault, owned by this process.
        actor: the person who asks, where one was named.
        user_id: the operating system's user that asks.
        fields: the arguments.
        items: open files, drawn as the verb goes; may block.
        tell: hears of the progress; UnavailableError where the client is gone.
    """

    vault: Vault
    actor: Actor | None
    user_id: int
    fields: Fields
    items: Iterator[Item]
    tell: Tell

    def person(self) -> Actor:
        """Give the person who asks.

        Raises:
            RefusedError: nobody was named.
        """
        if self.actor is None:
            raise RefusedError("person-not-named")
        return self.actor

    def somebody(self) -> Actor:
        """Give the person who asks, or whoever is at the host with the right to its files."""
        return self.actor or Actor(HOST, user_id=self.user_id)

    def contract_id(self) -> str:
        """Give the contract that was named, or the only one there is.

        Raises:
            RefusedError: none was named and the vault holds several.
        """
        named = self.fields.optional_text("contract")
        if named is not None:
            return self.vault.ground.contract(named).id
        held = sorted(self.vault.ground.contracts)
        if len(held) != 1:
            raise RefusedError("contract-not-named", contracts=", ".join(held))
        return held[0]
