"""Yesterday's rows, put back in the place of today's: as from a backup of the database alone."""

import shutil
from pathlib import Path
from secrets import token_hex

import engines

from vault.settings import read_settings


def save(folder: Path) -> str:
    """Keep the rows of a vault that is closed; give what `put_back` takes."""
    url = read_settings(folder).database.url
    if url is not None:
        name = engines.new_name()
        engines.copy_database(engines.name_of(url), name)
        return name
    kept = folder.with_name(f"kept_{token_hex(6)}")
    kept.mkdir()
    for path in folder.glob("kura.db*"):
        shutil.copy(path, kept / path.name)
    return str(kept)


def put_back(folder: Path, saved: str) -> None:
    """Put kept rows in the place of a closed vault's."""
    url = read_settings(folder).database.url
    if url is not None:
        name = engines.name_of(url)
        engines.sql("postgres", f"ALTER DATABASE {name} RENAME TO {engines.new_name()}")
        engines.copy_database(saved, name)
        return
    for path in folder.glob("kura.db*"):
        path.unlink()
    for path in Path(saved).iterdir():
        shutil.copy(path, folder / path.name)
