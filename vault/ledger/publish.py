"""The published ledger: checkpoint and hash tiles as static files (C2SP tlog-tiles), remade from rows.

Tiles are written before the checkpoint that needs them, so that whoever reads the checkpoint finds every tile. A
crash leaves the older checkpoint with its tiles. Entry bundles are not published: exports carry the entries.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from vault.ledger.tiles import Tile, tiles_between

ReadTile = Callable[[Tile], bytes]


def publish(folder: Path, note: str, old_size: int, new_size: int, read_tile: ReadTile) -> None:
    """Write the tiles that changed between two sizes, then the checkpoint; partial tiles that are full now go."""
    for tile in tiles_between(old_size, new_size):
        _write(folder / tile.path(), read_tile(tile))
    _write(folder / "checkpoint", note.encode())
    for tile in tiles_between(old_size, new_size):
        _drop_older_partials(folder, tile)


def _drop_older_partials(folder: Path, tile: Tile) -> None:
    partials = folder / (Tile(tile.level, tile.index, 256).path() + ".p")
    if not partials.is_dir():
        return
    if tile.width == 256:  # noqa: PLR2004 - a full tile, by the specification
        shutil.rmtree(partials)
        return
    for entry in partials.iterdir():
        if entry.name != str(tile.width):
            entry.unlink()


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    with fresh.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    # A power cut must not leave a checkpoint whose tiles are empty: at the next start it would count as known.
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    os.fsync(folder)
    os.close(folder)
