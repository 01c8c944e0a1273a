"""Where each key of a policy file stands: `tomllib` gives values without lines, so the text is scanned for them.

Leaves out reading values, which is `tomllib`'s work. Known weakness: keys inside inline tables and arrays are found by
the line of the key that holds them, and a line that only looks like a header inside an array would mislead; either
costs an exact line number in a message and nothing else.
"""

import re
from typing import Final

KeyPath = tuple[str | int, ...]
"""Keys from the top of the file down; a number, counted from 1, picks a table of an array."""

_PART: Final = r"""(?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+)"""
_DOTTED: Final = rf"{_PART}(?:\s*\.\s*{_PART})*"
_HEADER: Final = re.compile(rf"\s*(?P<array>\[)?\[\s*(?P<key>{_DOTTED})\s*\]\]?\s*(?:#.*)?")
_KEY: Final = re.compile(rf"\s*(?P<key>{_DOTTED})\s*=(?P<value>.*)")
_MULTILINE_QUOTES: Final = ('"""', "'''")


def write_key(path: KeyPath) -> str:
    """Write a path as messages show it, such as `class.call_recording.retain` or `site[2].id`."""
    written = ""
    for part in path:
        if isinstance(part, int):
            written += f"[{part}]"
        else:
            written += f".{part}" if written else part
    return written


class KeyLines:
    """The line of every table header and key in one text."""

    def __init__(self, text: str) -> None:
        """Scan `text`; nothing in it is refused here."""
        self._lines: dict[KeyPath, int] = {}
        self._tables_in_array: dict[KeyPath, int] = {}
        table: KeyPath = ()
        open_quotes = ""
        for number, line in enumerate(text.split("\n"), start=1):
            if open_quotes:
                open_quotes = "" if open_quotes in line else open_quotes
            elif header := _HEADER.fullmatch(line.rstrip()):
                table = self._enter(header, number)
            elif key := _KEY.match(line):
                self._note(table + _parts(key["key"]), number)
                open_quotes = _left_open(key["value"])

    def line_of(self, path: KeyPath) -> int:
        """Give the line of `path`, counted from 1; of what holds it where it has none; 1 for the whole file."""
        while path:
            if path in self._lines:
                return self._lines[path]
            path = path[:-1]
        return 1

    def _enter(self, header: re.Match[str], number: int) -> KeyPath:
        """Note a table header, and give the path of the table it opens."""
        path = _parts(header["key"])
        if header["array"]:
            self._tables_in_array[path] = self._tables_in_array.get(path, 0) + 1
            self._note(path, number)
            path = (*path, self._tables_in_array[path])
        self._note(path, number)
        return path

    def _note(self, path: KeyPath, number: int) -> None:
        """Keep the first line of `path` and of the tables that it implies."""
        for length in range(1, len(path) + 1):
            self._lines.setdefault(path[:length], number)


def _parts(dotted: str) -> KeyPath:
    return tuple(part.strip("\"'") for part in re.findall(_PART, dotted))


def _left_open(value: str) -> str:
    """Give the quotes of a multi-line string that `value` opens and does not close; empty where there is none."""
    for quotes in _MULTILINE_QUOTES:
        if value.lstrip().startswith(quotes) and value.count(quotes) == 1:
            return quotes
    return ""
