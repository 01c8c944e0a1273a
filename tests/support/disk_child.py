"""A process whose disk fails: it deposits what it is told, one line of outcome each, then waits to be told to go on.

Lines in: "go" before each deposit of a record number, "end" to close the vault. Lines out: {"pid"}, then
{"done": receipt} or {"refused": code} with the files of the stores, and {"closed"}.
"""

import ctypes
import json
import os
import sys
from pathlib import Path
from typing import Any

import crash_load
import stored
import vaults

from vault.bootstrap import open_vault
from vault.errors import KuraError
from vault.records.vault import Vault

_PR_SET_PTRACER, _ANY = 0x59616D61, ctypes.c_ulong(-1)


def main(folder: Path, class_id: str) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, _ANY, 0, 0, 0)  # anybody may trace this process
    vault = open_vault(folder, vaults.custodian())
    _say(pid=os.getpid())
    number = 0
    while sys.stdin.readline().strip() == "go":
        number += 1
        _say(**_outcome(vault, class_id, number), files=sorted(stored.objects(vault)))
    vault.close()
    _say(closed=True)


def _outcome(vault: Vault, class_id: str, number: int) -> dict[str, Any]:
    is_video = class_id == "surveillance_video"
    content = crash_load.video(number, crash_load.LARGE) if is_video else crash_load.sound(number, 600_000)
    request = vaults.request(class_id=class_id, subject_key=None, file_name=None)
    planned = crash_load.Planned(request, content)
    try:
        return {"done": crash_load.deposit(vault, vault.actor(vaults.MANAGER), planned).receipt.encode()}
    except KuraError as error:
        return {"refused": error.code}


def _say(**line: object) -> None:
    os.writev(1, [json.dumps(line).encode(), b"\n"])  # not the call that is made to fail


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
