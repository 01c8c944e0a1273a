"""Buckets of the S3 engine of this run, with users of least rights, and stores in them."""

import json
import os
from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from secrets import token_hex
from urllib.parse import urlsplit

import engines
from minio import Minio

from vault.storage.s3 import S3Store
from vault.storage.s3_place import read_place

REGION = "us-east-1"
DEPLOY = Path(__file__).parents[2] / "deploy" / "s3"
USERS = ("depositor", "disposer", "auditor")


def address() -> str:
    """Host and port of the engine."""
    return urlsplit(os.environ["S3_ENDPOINT"]).netloc


def owner() -> Minio:
    """The owner of the buckets, whose keys no service has."""
    return client(os.environ["S3_ACCESS_KEY"], os.environ["S3_SECRET_KEY"])


def client(access_key: str, secret_key: str) -> Minio:
    return Minio(address(), access_key, secret_key, secure=False, region=REGION)


@cache
def keys() -> Mapping[str, tuple[str, str]]:
    """Make the users of the vault; of each its access key and its secret."""
    made = {}
    for user in USERS:
        made[user] = (f"{user}{token_hex(4)}", token_hex(20))
        engines.run(
            "ceph-rgw",
            "admin",
            "user",
            "create",
            f"--uid={made[user][0]}",
            f"--display-name={user}",
            f"--access-key={made[user][0]}",
            f"--secret-key={made[user][1]}",
        )
    return made


def credentials(folder: Path) -> Path:
    """Write the vault's credentials file."""
    path = folder / f"s3-{token_hex(4)}"
    path.touch(0o600)
    path.write_text(
        "".join(
            f"[{user}]\naws_access_key_id = {access}\naws_secret_access_key = {secret}\n"
            for user, (access, secret) in keys().items()
        )
    )
    return path


def new_bucket(*, object_lock: bool = True) -> str:
    """Make an empty bucket under the policy that the project ships."""
    bucket = f"kura-{token_hex(6)}"
    owner().make_bucket(bucket, object_lock=object_lock)
    owner().set_bucket_policy(bucket, policy(bucket))
    return bucket


def policy(bucket: str) -> str:
    """The bucket policy that the project ships, for this bucket and these users."""
    text = (DEPLOY / "bucket-policy.json").read_text("utf-8").replace("BUCKET", bucket)
    for user, (access, _) in keys().items():
        text = text.replace(f"user/{user.upper()}", f"user/{access}")
    return json.dumps(json.loads(text))


def line(folder: Path, bucket: str | None = None, *, at: str | None = None) -> str:
    """A store's line for the settings; in a new bucket where none is given."""
    place = f"{at or address()}/{bucket or new_bucket()}"
    options = f"region={REGION}&credentials={credentials(folder)}&profile=depositor&disposer=disposer"
    return f"s3+http://{place}?{options}"


def store(
    folder: Path,
    vault_id: str,
    *,
    bucket: str | None = None,
    at: str | None = None,
    birth_lock: timedelta = timedelta(seconds=60),
    timeout_s: float = 10.0,
) -> S3Store:
    """A store in a bucket, a new one where none is given; `at` another address, behind which the engine stands."""
    place = read_place(line(folder, bucket, at=at), folder)
    return S3Store(place, vault_id, folder, timeout_s=timeout_s, birth_lock=birth_lock)
