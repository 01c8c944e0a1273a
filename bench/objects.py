"""Deposits into an S3 engine with Object Lock, beside the bare engine through the same library.

The yardstick puts each file with its lock in the request and looks at it afterwards, from as many threads; it seals
nothing, hashes nothing, and keeps no rows. The vault's extension of locks follows from a queue, and is not in its time.
"""

import threading
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from minio import Minio
from minio.commonconfig import COMPLIANCE
from minio.retention import Retention

from bench.against import contest
from bench.child import run
from bench.engines import running
from bench.inputs import make_pdfs, make_segments
from bench.options import Options
from bench.result import Result
from bench.threads import share
from bench.vaults import CONTRACT, OpenedFile, depositor_for, make_vault, opened, request_for, warm_up
from vault.bootstrap import now_utc
from vault.cli.trial_places import new_buckets

_CLIENTS = 8
_LOCK = timedelta(minutes=1)


def objects_small(options: Options) -> Result:
    """2,000 PDFs of 100 KiB from 8 clients into an S3 engine with Object Lock, beside the engine alone."""
    count = 20 if options.quick else 2000
    folder = options.work / f"small-{count}"
    return _contest("objects-small", options, lambda: make_pdfs(folder, count, (100 << 10, 100 << 10)))


def objects_large(options: Options) -> Result:
    """40 video segments of 12 MiB from 8 clients, likewise."""
    count = 4 if options.quick else 40
    return _contest("objects-large", options, lambda: make_segments(options.work / f"large-{count}", count))


def _contest(name: str, options: Options, make: Callable[[], Any]) -> Result:
    inputs = make()
    with running("ceph-rgw") as engines:

        def ours() -> float:
            folder = options.fresh("vault")
            [bucket, _] = new_buckets(engines)
            make_vault(folder, stores=[bucket])
            return float(run(timed_deposits, folder, inputs.folder).figures["seconds"])

        def theirs() -> float:
            [bucket, _] = new_buckets(engines)
            facts = engines.facts
            keys = (
                facts["S3_ENDPOINT"],
                facts["S3_ACCESS_KEY"],
                facts["S3_SECRET_KEY"],
                urlsplit(bucket).path.strip("/"),
            )
            return float(run(timed_puts, inputs.folder, *keys).figures["seconds"])

        return contest(name, options, inputs, ours, theirs)


def timed_deposits(folder: str, source: str) -> Mapping[str, Any]:
    """Deposit every file of a folder by itself, from 8 threads."""
    paths = sorted(Path(source).iterdir())
    with opened(Path(folder)) as vault:
        warm_up(vault, paths[0].suffix)
        actor = depositor_for(vault, paths[0].name)

        def deposit(path: Path) -> None:
            vault.deposits.deposit(actor, CONTRACT, request_for(path.name), OpenedFile(path)).receipt.encode()

        begin = time.perf_counter()
        share(paths, deposit, _CLIENTS)
        return {"seconds": time.perf_counter() - begin}


def timed_puts(source: str, endpoint: str, access_key: str, secret_key: str, bucket: str) -> Mapping[str, Any]:
    """Put every file of a folder with its lock, and look at it, from 8 threads."""
    local = threading.local()

    def put(path: Path) -> None:
        if not hasattr(local, "client"):
            local.client = Minio(urlsplit(endpoint).netloc, access_key, secret_key, secure=False, region="us-east-1")
        size = path.stat().st_size
        with path.open("rb") as file:
            done = local.client.put_object(
                bucket,
                path.name,
                file,
                size,
                part_size=max(size, 5 << 20),  # one request: locks of requests in parts are lost
                retention=Retention(COMPLIANCE, now_utc() + _LOCK),
            )
        local.client.stat_object(bucket, path.name, version_id=done.version_id)

    begin = time.perf_counter()
    share(sorted(Path(source).iterdir()), put, _CLIENTS)
    return {"seconds": time.perf_counter() - begin}
