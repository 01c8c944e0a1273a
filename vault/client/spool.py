"""The spool: deposits sealed on the station while the vault cannot be reached, one file each, named by record id.

Order of writing, and what a crash after each step leaves: the file under a temporary name – swept at the next start,
its number open; the file in place – taken up at the next start; the number marked – done. Never plaintext.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vault.client.content import Content
from vault.client.durable import move_file, remove_file, replace_file
from vault.errors import RefusedError, UnavailableError
from vault.sealing.spooled import Fill, SpoolHeader, SpoolReader, SpoolWriter

_SUFFIX = ".spool"
_FOLDER_MODE = 0o700


class Spool:
    """The spool folder of one station.

    Methods raise UnavailableError `state-failed` where a file of it cannot be read, moved or removed.
    """

    def __init__(self, folder: Path) -> None:
        """Make the folder where there is none, and sweep what a crash left half-written."""
        self._folder, self._refused = folder, folder / "refused"
        with _reaching():
            for path in (folder, self._refused):
                path.mkdir(_FOLDER_MODE, exist_ok=True)
            for leftover in folder.glob(f"*{_SUFFIX}.new"):
                remove_file(leftover)

    def record_ids(self) -> list[str]:
        """Give the records that wait, oldest first."""
        return sorted(path.name.removesuffix(_SUFFIX) for path in self._folder.glob(f"*{_SUFFIX}"))

    def write(self, writer: SpoolWriter, content: Content) -> None:
        """Seal a deposit into its file, durable on return.

        Raises:
            UnavailableError: `spool-failed`; `source-changed`, `source-unreadable`.
        """
        try:
            with content.opened() as file:
                self._write(writer, file.readinto)  # type: ignore[attr-defined]  # both kinds of file have it
        except RefusedError as error:
            raise UnavailableError("source-changed") from error

    def header(self, record_id: str) -> SpoolHeader:
        """Read the head of a spool.

        Raises:
            RefusedError: `spool-malformed`: the file was altered.
        """
        with _reaching(), self.path(record_id).open("rb") as file:
            header = SpoolReader(file.readinto).header
        if header.id != record_id:
            raise RefusedError("spool-malformed")
        return header

    def path(self, record_id: str) -> Path:
        """Say where the spool of a record is."""
        return self._folder / f"{record_id}{_SUFFIX}"

    def remove(self, record_id: str) -> None:
        """Remove the spool of a record that the vault has."""
        with _reaching():
            remove_file(self.path(record_id))

    def set_aside(self, record_id: str) -> None:
        """Keep apart the spool of a record that the vault refused: only the vault can open it."""
        with _reaching():
            move_file(self.path(record_id), self._refused / self.path(record_id).name)

    def _write(self, writer: SpoolWriter, fill: Fill) -> None:
        try:
            replace_file(self.path(writer.header.id), writer.parts(fill))
        except OSError as error:
            raise UnavailableError("spool-failed", reason=type(error).__name__) from error


@contextmanager
def _reaching() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnavailableError("state-failed", reason=type(error).__name__) from error
