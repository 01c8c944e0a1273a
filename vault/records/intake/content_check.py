"""The contract of a content check: it sees a deposit's plaintext as it streams by and refuses it at the end."""

from typing import Protocol


class ContentCheck(Protocol):
    """Looks at one document while it is being sealed. Used by one thread at a time; kept for one document only."""

    def update(self, chunk: memoryview | bytes) -> None:
        """Take the next plaintext bytes, in order and without gaps; `chunk` may be reused after return.

        May block until there is memory. A check that has seen enough ignores the rest: refusals wait for `finish`.

        Raises:
            UnavailableError: the check cannot be made now.
        """

    def begin(self) -> None:
        """Say that all bytes are in, so that the verdict can be worked out while the caller does something else."""

    def finish(self) -> None:
        """Return when the document is well formed; calls `begin` where that was left out.

        Raises:
            RefusedError: the document is not what its media type promises; the code says what is wrong, never what
                the document holds.
            UnavailableError: the check cannot be made now.
        """

    def abort(self) -> None:
        """Give up the document and free what it holds. Harmless after `finish` and when repeated."""
