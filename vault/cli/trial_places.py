"""Places for a new vault in engines that run for a trial: an empty database, two buckets, two tokens."""

from pathlib import Path
from secrets import token_hex
from typing import NamedTuple
from urllib.parse import urlsplit

from minio import Minio

from vault.cli.engines import TrialEngines
from vault.settings import DatabaseSettings, StorageSettings

_REGION = "us-east-1"
_PIN_DIGITS = 16
_LOCK_S = 60  # what an object is born locked for; whoever tries Kura does not wait for days


class TrialPlaces(NamedTuple):
    """What of a new vault's beginning names engines (`NewVault`)."""

    database: DatabaseSettings
    owner_url: str
    storage: StorageSettings
    hsm: str


def new_places(engines: TrialEngines) -> TrialPlaces:
    """Make places that nobody used yet. Files with secrets are in the engines' folder, for their owner alone.

    Raises:
        UnavailableError: `engine-not-started`.
    """
    mark = token_hex(4)
    engines.run("postgresql", "database", f"kura_{mark}")
    service, owner = (
        engines.facts[name].replace("/postgres?", f"/kura_{mark}?") for name in ("PG_SERVICE_URL", "PG_OWNER_URL")
    )
    storage = StorageSettings(stores=new_buckets(engines), engine_lock_s=_LOCK_S)
    return TrialPlaces(DatabaseSettings(url=service), owner, storage, _tokens(engines, mark))


def new_buckets(engines: TrialEngines) -> tuple[str, str]:
    """Make two buckets with Object Lock; give the lines that name them in the settings."""
    mark = token_hex(4)
    return _bucket(engines, f"kura-{mark}-a"), _bucket(engines, f"kura-{mark}-b")


def _bucket(engines: TrialEngines, name: str) -> str:
    address = urlsplit(engines.facts["S3_ENDPOINT"]).netloc
    access, secret = engines.facts["S3_ACCESS_KEY"], engines.facts["S3_SECRET_KEY"]
    Minio(address, access, secret, secure=False, region=_REGION).make_bucket(name, object_lock=True)
    credentials = engines.folder / "s3-credentials"
    _write_secret(credentials, f"[default]\naws_access_key_id = {access}\naws_secret_access_key = {secret}\n")
    return f"s3+http://{address}/{name}?region={_REGION}&credentials={credentials}"


def _tokens(engines: TrialEngines, mark: str) -> str:
    pin = "".join(str(int(digit, 16) % 10) for digit in token_hex(_PIN_DIGITS // 2))
    for label in (f"taking-{mark}", f"opening-{mark}"):
        engines.run("softhsm", "token", label, pin)
    pin_file = engines.folder / f"pin-{mark}"
    _write_secret(pin_file, pin + "\n")
    module = engines.facts["HSM_MODULE"]
    return f"pkcs11:token=taking-{mark}?module-path={module}&pin-source=file:{pin_file}&opening-token=opening-{mark}"


def _write_secret(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, "utf-8")
