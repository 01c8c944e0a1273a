"""One table of a policy file with typed, checked access: each getter gives the right type or refuses with a remedy.

Leaves out what the keys mean (`policy_reader`).
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, NoReturn, Self, TypeVar

from retention.errors import PolicyError
from retention.policy_lines import KeyLines, KeyPath, write_key

Option = TypeVar("Option", bound=str | int)

_IDENTIFIER: Final = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
_LONGEST_IDENTIFIER: Final = 64
_PROHIBITED: Final = {
    "mynumber": "a My Number is never kept as data of its own",  # glossary 1.2
    "pinmemo": "a PIN memo is never accepted and never kept",  # NIS-6.3.a.2.8
}


@dataclass(frozen=True, slots=True)
class Fields:
    """The keys of one table, at `path` of the file `source`."""

    values: Mapping[str, object]
    path: KeyPath
    source: str
    lines: KeyLines

    def refuse(self, key: str, message: str, remedy: str) -> NoReturn:
        """Refuse what stands, or is missing, at `key`.

        Raises:
            PolicyError: always.
        """
        path = (*self.path, key)
        line = self.lines.line_of(path)
        raise PolicyError(self.source, line, _escaped(write_key(path)), _escaped(message), _escaped(remedy))

    def hold_only(self, required: Sequence[str], optional: Sequence[str] = ()) -> None:
        """Refuse keys that are not known here, then keys that are missing."""
        for key in self.values:
            self.refuse_prohibited(key, key)
            if key not in required and key not in optional:
                known = ", ".join((*required, *optional))
                self.refuse(key, "this key is not known here", f"take it out, or write one of: {known}")
        for key in required:
            if key not in self.values:
                self.refuse(key, "this key is missing", f"add {key} = …")

    def refuse_prohibited(self, key: str, name: str) -> None:
        """Refuse `name` where it stands for what must not exist in the vault, however it is spelt."""
        reason = _PROHIBITED.get(re.sub("[^a-z]", "", name.lower()))
        if reason is not None:
            self.refuse(key, f'"{name}" is prohibited: {reason}', "take it out")

    def text(self, key: str) -> str:
        """Give a string of one line with something in it."""
        value = self.values[key]
        if not isinstance(value, str):
            self.refuse(key, f"{_shown(value)} is not a string", f'write {key} = "…"')
        if not value or value != value.strip() or any(map(_is_unseen, value)):
            message = f"{_shown(value)} is empty, has spaces around it or unseen characters in it"
            self.refuse(key, message, f'write {key} = "…" in one line')
        return value

    def identifier(self, key: str) -> str:
        """Give an identifier in snake_case."""
        value = self.text(key)
        self.check_identifier(key, value)
        return value

    def check_identifier(self, key: str, name: str) -> None:
        """Refuse a name that is no identifier in snake_case, or is prohibited."""
        self.refuse_prohibited(key, name)
        if not _IDENTIFIER.fullmatch(name) or len(name) > _LONGEST_IDENTIFIER:
            self.refuse(key, f'"{name}" is not an identifier', "write small letters, digits and single _, letter first")

    def positive(self, key: str) -> int:
        """Give a whole number above zero."""
        value = self.values[key]
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            self.refuse(key, f"{_shown(value)} is not a whole number above zero", f"write {key} = 52_428_800, in bytes")
        return value

    def flag(self, key: str) -> bool:
        """Give true or false."""
        value = self.values[key]
        if not isinstance(value, bool):
            self.refuse(key, f"{_shown(value)} is neither true nor false", f"write {key} = true or {key} = false")
        return value

    def day(self, key: str) -> date:
        """Give a day without a time."""
        value = self.values[key]
        if not isinstance(value, date) or isinstance(value, datetime):
            self.refuse(key, f"{_shown(value)} is not a day", f"write {key} = 2025-03-31, without quotes")
        return value

    def choice(self, key: str, options: Sequence[Option]) -> Option:
        """Give one of `options`, of their type: 1 is not true and not 1.0."""
        value = self.values[key]
        chosen = [option for option in options if type(value) is type(option) and value == option]
        if not chosen:
            written = " or ".join(f"{key} = {_shown(option)}" for option in options)
            self.refuse(key, f"{_shown(value)} is not one of the choices", f"write {written}")
        return chosen[0]

    def strings(self, key: str) -> tuple[str, ...]:
        """Give a list of different strings with at least one in it."""
        value = self.values[key]
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.refuse(key, f"{_shown(value)} is not a list of strings", f'write {key} = ["…", "…"]')
        if not value:
            self.refuse(key, "the list is empty", f'write {key} = ["…"] with at least one name')
        for item in value:
            if value.count(item) > 1:
                self.refuse(key, f'"{item}" stands twice', "keep one of the two")
        return tuple(value)

    def table(self, key: str) -> Self:
        """Give the table at `key`, with something in it."""
        value = self.values[key]
        if not isinstance(value, dict) or not value:
            header = write_key((*self.path, key))
            self.refuse(key, f"{_shown(value)} is not a table with keys in it", f"write a table [{header}]")
        return type(self)(value, (*self.path, key), self.source, self.lines)

    def tables(self, key: str) -> list[Self]:
        """Give the tables of the array at `key`, at least one."""
        value = self.values[key]
        if not isinstance(value, list) or not value or not all(isinstance(item, dict) for item in value):
            self.refuse(key, f"{_shown(value)} is not an array of tables", f"write one [[{key}]] table for each")
        return [
            type(self)(item, (*self.path, key, number), self.source, self.lines)
            for number, item in enumerate(value, start=1)
        ]


def _shown(value: object) -> str:
    """Show a value much as the file wrote it, cut to a length that fits a message."""
    longest = 60
    shown = f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    return shown if len(shown) <= longest else shown[:longest] + "…"


def _escaped(text: str) -> str:
    """Give `text` with what is unseen written out, so that what a file says cannot break or turn a message."""
    return "".join(ascii(character)[1:-1] if _is_unseen(character) else character for character in text)


def _is_unseen(character: str) -> bool:
    """Tell control, format and line-breaking characters, which could make a message or a page lie."""
    category = unicodedata.category(character)
    return category.startswith("C") or category in {"Zl", "Zp"}
