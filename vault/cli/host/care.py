"""Host verbs of whoever looks after a vault: its state, fixity check, backup, recovery."""

import os
import time
from pathlib import Path
from typing import Any

from vault.cli.host.call import Call
from vault.cli.owner.wire import encode_error
from vault.errors import ConflictError, RefusedError
from vault.records.backup import back_up as make_backup
from vault.records.health import health_of
from vault.records.scrub import Pause, Progress, scrub
from vault.records.second_disk import SecondDiskHealth


def state(call: Call) -> dict[str, Any]:
    """Say how the vault stands."""
    health = health_of(call.vault.ground)
    return {
        "vault": call.vault.ground.vault_id,
        "sealed": health.is_sealed,
        "halted": encode_error(health.halted) if health.halted is not None else None,
        "missing": list(health.missing),
        "contracts": [
            {"id": found.id, "records": found.record_count, "bucket_days_ahead": found.bucket_days_ahead}
            for found in health.contracts
        ],
        "ledgers": [
            {
                "id": found.id,
                "contract": found.contract_id,
                "open": found.is_open,
                "size": found.size,
                "log_vkey": found.vkey,
            }
            for found in health.ledgers
        ],
        "orphans": health.orphan_count,
        "second_disk": _second_disk(call.vault.second_disk.health()),
        "stores": [
            {"label": found.label, "problem": None if found.problem is None else encode_error(found.problem)}
            for found in health.stores
        ],
        "owed_copies": health.owed_copies,
        "locks": {
            "waiting": health.locks.length,
            "oldest_s": round(health.locks.oldest_s),
            "late": health.locks.is_late,
        },
    }


def check_fixity(call: Call) -> dict[str, Any]:
    """Read every copy of every record of a contract, from where the last check stopped."""

    def report(progress: Progress) -> None:
        call.tell({"done": progress.checked, "total": progress.total})

    rate = call.fields.integer("bytes_per_second")
    contract_id, vault = call.contract_id(), call.vault
    with vault.leases.held(f"scrub {contract_id}") as is_mine:
        if not is_mine:
            raise ConflictError("job-elsewhere", job="scrub")
        done = scrub(vault.ground, vault.buckets, call.person(), contract_id, _pause(rate), report)
    return {"contract": contract_id, "checked": done.checked, "damaged": list(done.damaged)}


def back_up(call: Call) -> dict[str, Any]:
    """Copy the vault below the one item's descriptor, which is an open folder."""
    item = next(call.items, None)
    if item is None:
        raise RefusedError("request-malformed")
    try:
        # The client opened the folder: by its descriptor nothing is reached that the client could not reach.
        folder = Path(f"/proc/self/fd/{item.descriptor}")
        made = make_backup(
            call.vault, call.person(), folder, lambda done, total: call.tell({"done": done, "total": total})
        )
    finally:
        os.close(item.descriptor)
    return {"files": made.file_count, "bytes": made.byte_count, "copied": made.copied_count, "manifest": made.manifest}


def recover(call: Call) -> dict[str, Any]:
    """Close the ledgers that went back and go on under new origins."""
    logs = call.vault.recover(call.person())
    return {"recovered": [{"id": log.id, "origin": log.key.name, "log_vkey": log.key.encode()} for log in logs]}


def _second_disk(health: SecondDiskHealth | None) -> dict[str, Any] | None:
    if health is None:
        return None
    return {"folder": str(health.folder), "whole": health.is_whole, "reason": health.reason, "keys": health.has_keys}


def _pause(bytes_per_second: int | None) -> Pause:
    """Wait so long after each reading that the rate is kept; None does not wait."""
    if bytes_per_second is None:
        return lambda _count: None
    if bytes_per_second <= 0:
        raise RefusedError("argument-wrong", name="bytes_per_second")
    began, passed = time.monotonic(), 0

    def pause(count: int) -> None:
        nonlocal passed
        passed += count
        time.sleep(max(0.0, began + passed / bytes_per_second - time.monotonic()))

    return pause
