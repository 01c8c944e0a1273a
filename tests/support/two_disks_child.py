"""A process that deposits from four threads until it is refused, or told to end; one line for each acknowledged record.

Lines out: {"pid"}, {"id", "receipt"} for each acknowledged deposit, {"refused": code} for each thread that was, and
{"closed"} at the end. Standing input closed: end.
"""

import json
import os
import sys
import threading
from pathlib import Path

import vaults

from vault.bootstrap import open_vault
from vault.errors import KuraError
from vault.records.source import BytesSource
from vault.records.vault import Vault

THREADS = 4
_LOCK = threading.Lock()


def main(folder: Path) -> None:
    vault = open_vault(folder, vaults.custodian())
    _say(pid=os.getpid())
    is_over = threading.Event()
    threads = [threading.Thread(target=_deposit, args=(vault, is_over)) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    is_over.set()
    for thread in threads:
        thread.join()
    vault.close()
    _say(closed=True)


def _deposit(vault: Vault, is_over: threading.Event) -> None:
    clerk, content = vault.actor(vaults.OPERATOR), vaults.pdf(1)
    while not is_over.is_set():
        try:
            done = vault.deposits.deposit(clerk, vaults.CONTRACT, vaults.request(), BytesSource(content))
        except KuraError as error:
            _say(refused=error.code)
            return
        _say(id=done.record_id, receipt=done.receipt.encode())
        vault.second_disk.tend()  # as an owner does from time to time


def _say(**line: object) -> None:
    with _LOCK:
        os.write(1, json.dumps(line).encode() + b"\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
