"""Yesterday's rows, put back in the place of today's: as from a backup of the database alone."""

import shutil
from pathlib import Path
from secrets import token_hex

import engines

from vault.settings import read_settings


def save(folder: Path) -> str:
    """Keep the rows of a vault that is closed; give what `put_back` takes."""
    name = f"kept_{token_hex(6)}"
    url = read_settings(folder).database.url
    if url is not None:
        engines.copy_database(_name(url), name)
        return name
    kept = folder.with_name(name)
    kept.mkdir()
    for path in folder.glob("kura.db*"):
        shutil.copy(path, kept / path.name)
    return str(kept)


def put_back(folder: Path, saved: str) -> None:
    """Put kept rows in the place of a closed vault's."""
    url = read_settings(folder).database.url
    if url is not None:
        engines.copy_database(saved, _name(url))
        return
    for path in folder.glob("kura.db*"):
        path.unlink()
    for path in Path(saved).iterdir():
        shutil.copy(path, folder / path.name)


def _name(url: str) -> str:
    return url.split("?", 1)[0].rsplit("/", 1)[1]
