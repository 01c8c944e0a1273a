"""Drives a parser over bytes that arrive in pieces cut anywhere; knows no file format.

A parser is a generator that asks for bytes and is written as if it read from a file:

    def parse() -> Steps:
        header = yield Take(8)                                # exactly 8 bytes
        yield Skip(int.from_bytes(header[4:8], "big"))        # passed over, never held
        try:
            header = yield Take(8)
        except EndOfBytesError as end:                        # thrown in where the document ends
            ...

It raises RefusedError as soon as it knows; `StreamedCheck` keeps that for `finish`.
"""

from collections.abc import Generator
from dataclasses import dataclass

from vault.errors import RefusedError
from vault.records.intake.content_check import ContentCheck


@dataclass(frozen=True, slots=True)
class Take:
    """Asks for exactly `count` bytes: headers only, as they are held until complete."""

    count: int


@dataclass(frozen=True, slots=True)
class Skip:
    """Asks to pass over `count` bytes; None means all that come."""

    count: int | None


class EndOfBytesError(Exception):
    """The document ended before a step had its bytes; `received` of them had come."""

    def __init__(self, received: int) -> None:
        """Take how many bytes of the unfinished step came."""
        self.received = received
        super().__init__(received)


Steps = Generator[Take | Skip, bytes, None]


class StreamedCheck(ContentCheck):
    """A content check made of a parser."""

    def __init__(self, steps: Steps) -> None:
        """Begin with the first step of `steps`, which must refuse nothing before its first byte."""
        self._steps = steps
        self._step: Take | Skip | None = next(steps)
        self._held = bytearray()  # of an unfinished Take
        self._skipped = 0  # of an unfinished Skip
        self._refusal: RefusedError | None = None

    def update(self, chunk: memoryview | bytes) -> None:
        """Take the next bytes."""
        rest = memoryview(chunk)
        while rest and self._step is not None:
            rest = self._take(rest, self._step) if isinstance(self._step, Take) else self._skip(rest, self._step)

    def begin(self) -> None:
        """Do nothing: the verdict is ready with the last byte."""

    def finish(self) -> None:
        """Raise what the parser refused, or let it judge that the document ends here."""
        if self._step is not None:
            received = len(self._held) if isinstance(self._step, Take) else self._skipped
            self._end(received)
        if self._refusal is not None:
            raise self._refusal

    def abort(self) -> None:
        """Close the parser."""
        self._step = None
        self._steps.close()

    def _end(self, received: int) -> None:
        """Tell the parser that nothing more comes, at this step and at those it still asks for."""
        self._step = None
        try:
            while True:
                self._steps.throw(EndOfBytesError(received))
                received = 0
        except StopIteration:
            pass
        except RefusedError as refusal:
            self._refusal = refusal

    def _take(self, rest: memoryview, step: Take) -> memoryview:
        missing = step.count - len(self._held)
        self._held += rest[:missing]
        if len(self._held) == step.count:
            self._advance(bytes(self._held))
        return rest[missing:]

    def _skip(self, rest: memoryview, step: Skip) -> memoryview:
        missing = len(rest) if step.count is None else min(len(rest), step.count - self._skipped)
        self._skipped += missing
        if self._skipped == step.count:
            self._advance(b"")
        return rest[missing:]

    def _advance(self, taken: bytes) -> None:
        """Answer the parser's step and those after it that ask for no bytes."""
        try:
            self._step = self._steps.send(taken)
            while self._step in (Take(0), Skip(0)):
                self._step = self._steps.send(b"")
        except StopIteration:
            self._step = None
        except RefusedError as refusal:
            self._step, self._refusal = None, refusal
        self._held.clear()
        self._skipped = 0
