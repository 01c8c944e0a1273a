"""The settings: one typed, frozen object, read once from `kura.toml` and the environment.

Every key may be overridden by `KURA_<SECTION>__<KEY>`. Paths are relative to the vault's folder, but for
`keys.epoch_dir` and the second disk's, which must lie outside it.
"""

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from vault.errors import RefusedError

FILE_NAME = "kura.toml"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class VaultSettings(_Section):
    """Which vault this is."""

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]  # 16 hex digits, fixed at init
    origin: Annotated[str, Field(pattern=r"^[a-z0-9.-]+(/[a-z0-9.-]+)*$")]  # schema-less URL; ledgers are below it


class KeySettings(_Section):
    """Where the epoch slots lie, and whether the vault opens itself."""

    epoch_dir: Path  # absolute, outside the vault's folder and outside backups
    auto_unseal: bool = False  # True: the custodian secret lies in keys/custodian, for a first try only
    hsm: Annotated[str, Field(pattern=r"^pkcs11:")] | None = None  # RFC 7512 URI of a token; without: a sealed file


class DatabaseSettings(_Section):
    """Where rows lie: in the folder, or in a PostgreSQL database. A URL holds no password: libpq knows `passfile`.

    The URL is that of the role that serves. The owner's, who migrates, is given to the commands that need it.
    """

    url: Annotated[str, Field(pattern=r"^postgresql://")] | None = None  # without: kura.db in the folder
    patience_s: Annotated[float, Field(ge=0.5, le=3600)] = 30.0  # for one statement of PostgreSQL


class SecondDiskSettings(_Section):
    """The second disk of an embedded vault, or none: rows, keys and these settings stand there, too."""

    folder: Path | None = None  # absolute, on another disk; its objects are a store of their own
    epoch_dir: Path | None = None  # absolute, on that disk, outside `folder` and outside backups

    @property
    def places(self) -> tuple[Path, Path] | None:
        """Folder and epoch slots of the second disk; None where there is none."""
        return (self.folder, self.epoch_dir) if self.folder is not None and self.epoch_dir is not None else None


class StorageSettings(_Section):
    """Where objects lie: each store a folder (on two disks where there are two), or a bucket.

    s3+https://HOST:PORT/BUCKET[/PREFIX]?region=R&credentials=FILE[&profile=P][&disposer=P][&authorities=FILE]
    """

    stores: Annotated[tuple[str, ...], Field(min_length=1, max_length=2)] = ("objects/a", "objects/b")
    engine_timeout_s: Annotated[float, Field(gt=0, le=600)] = 10.0  # how long an engine may say nothing
    engine_lock_s: Annotated[int, Field(ge=1, le=30 * 86400)] = 2 * 86400  # what an object is born locked for


class IntakeSettings(_Section):
    """Limits of the child processes that open foreign PDFs."""

    pdf_workers: Annotated[int, Field(ge=1, le=16)] = 2
    pdf_memory_mib: Annotated[int, Field(ge=256, le=8192)] = 1024
    pdf_timeout_s: Annotated[float, Field(gt=0, le=600)] = 30.0


class SequencerSettings(_Section):
    """How many changes share a commit."""

    max_batch: Annotated[int, Field(ge=1, le=4096)] = 256  # 1: a commit for each


class BucketSettings(_Section):
    """How far ahead buckets are made while the vault is open."""

    days_ahead: Annotated[int, Field(ge=1, le=400)] = 35  # days of deposits that a sealed vault can take


class ListenerSettings(_Section):
    """Where stations connect. Without a port none can."""

    port: Annotated[int, Field(ge=0, le=65535)] | None = None  # 0: any that is free
    address: str = "127.0.0.1"  # of the network card to listen on
    hosts: Annotated[tuple[str, ...], Field(min_length=1)] = ("localhost", "127.0.0.1")  # as stations name the vault
    connections: Annotated[int, Field(ge=1, le=65536)] = 256  # at a time; others wait
    requests_per_second: Annotated[float, Field(gt=0)] = 500.0  # of one station, in the long run
    burst: Annotated[float, Field(ge=1)] = 2000.0  # at once
    patience_s: Annotated[float, Field(gt=0, le=3600)] = 30.0  # for a body that stalls


class Settings(BaseSettings):
    """All settings of one vault."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix="KURA_", env_nested_delimiter="__")

    vault: VaultSettings
    keys: KeySettings
    database: DatabaseSettings = DatabaseSettings()
    storage: StorageSettings = StorageSettings()
    second: SecondDiskSettings = SecondDiskSettings()
    intake: IntakeSettings = IntakeSettings()
    sequencer: SequencerSettings = SequencerSettings()
    buckets: BucketSettings = BucketSettings()
    listener: ListenerSettings = ListenerSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over the file's values, which come as arguments; nothing else is read."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings


def read_settings(folder: Path) -> Settings:
    """Read a vault's settings.

    Args:
        folder: the vault's folder, which holds `kura.toml`.

    Raises:
        RefusedError: no such file, not TOML, or a key is missing, unknown or wrong; the sentence names it.
    """
    path = folder / FILE_NAME
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise RefusedError("settings-missing", folder=str(folder)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RefusedError("settings-malformed", reason=str(error)) from error
    settings = _validated(values)
    _require_apart("keys.epoch_dir", settings.keys.epoch_dir, folder)
    require_second(settings.second, settings.database, folder)
    return settings


def require_second(second: SecondDiskSettings, database: DatabaseSettings, folder: Path) -> None:
    """Check that a second disk's places are apart from the vault's folder `folder` and from each other.

    Raises:
        RefusedError: `settings-wrong`.
    """
    if second.places is None:
        if second != SecondDiskSettings():
            raise RefusedError("settings-wrong", key="second", reason="name both folder and epoch_dir")
        return
    place, epoch_dir = second.places
    _require_apart("second.folder", place, folder)
    _require_apart("second.epoch_dir", epoch_dir, folder)
    _require_apart("second.epoch_dir", epoch_dir, place)
    if database.url is not None:
        raise RefusedError("settings-wrong", key="second", reason="PostgreSQL keeps rows on several disks by itself")


def _require_apart(key: str, place: Path, folder: Path) -> None:
    if not place.is_absolute():
        raise RefusedError("settings-wrong", key=key, reason="write an absolute path outside the folder")
    if place.resolve().is_relative_to(folder.resolve()):
        raise RefusedError("settings-wrong", key=key, reason=f"it must lie outside the folder {folder.name}")


def write_settings(folder: Path, settings: Settings) -> None:
    """Write what `read_settings` reads, for a new vault."""
    stores = ", ".join(f'"{store}"' for store in settings.storage.stores)
    lines = [
        "# Kura's settings. Each key may be overridden by the environment, as KURA_KEYS__AUTO_UNSEAL=false.",
        "[vault]",
        f'id = "{settings.vault.id}"',
        f'origin = "{settings.vault.origin}"',
        "",
        "[keys]",
        "# Outside this folder and outside backups: without it no copy of this folder opens anything.",
        f'epoch_dir = "{settings.keys.epoch_dir}"',
        f"auto_unseal = {str(settings.keys.auto_unseal).lower()}",
        *([f'hsm = "{settings.keys.hsm}"'] if settings.keys.hsm else []),
        "",
        *(["[database]", f'url = "{settings.database.url}"', ""] if settings.database.url else []),
        "[storage]",
        f"stores = [{stores}]",
        *_engine(settings.storage),
        "",
        *_second(settings.second),
        "[listener]",
        "# Where stations connect. Without a port none can; `hosts` are the names by which they know this machine.",
        *_listener(settings.listener),
        "",
    ]
    (folder / FILE_NAME).write_text("\n".join(lines), "utf-8")


def _second(second: SecondDiskSettings) -> list[str]:
    if second.places is None:
        return []
    return [
        "[second]",
        "# The second disk: rows, keys and these settings stand there, too; `kura rebuild` makes the vault from it.",
        f'folder = "{second.folder}"',
        f'epoch_dir = "{second.epoch_dir}"',
        "",
    ]


def _engine(storage: StorageSettings) -> list[str]:
    """What differs from the defaults."""
    values = {"engine_timeout_s": storage.engine_timeout_s, "engine_lock_s": storage.engine_lock_s}
    standard = StorageSettings()
    return [f"{name} = {value}" for name, value in values.items() if value != getattr(standard, name)]


def _listener(listener: ListenerSettings) -> list[str]:
    if listener.port is None:
        return ["# port = 8470"]
    hosts = ", ".join(f'"{host}"' for host in listener.hosts)
    return [f"port = {listener.port}", f'address = "{listener.address}"', f"hosts = [{hosts}]"]


def _validated(values: dict[str, object]) -> Settings:
    try:
        return Settings(**values)  # type: ignore[arg-type]  # validated right here
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise RefusedError("settings-wrong", key=key, reason=first["msg"]) from error
