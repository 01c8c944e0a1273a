"""A process that appends to ledgers which others append to. Run as a program.

Line in: {"url", "folder", "keys": {ledger: hex of its signing key}, "ledgers": those it appends to, "first", "count",
"threads", "patience_s"}; then "go". Lines out: {"ready"}; one {"number", "ledger", "index", "size"} for each event that
was acknowledged, or {"number", "refused": code}; {"ended"}. Each thread appends `count` events with numbers of its own,
and tries again where it is told that the database is away.
"""

import json
import threading
import time
from pathlib import Path
from typing import Any

from crash_child import read_line, report
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from ledgers import LedgerBench, event
from sqlalchemy import insert

from vault.errors import KuraError
from vault.ledger.transaction import Transaction
from vault.storage.tables import PersonRow


def main() -> None:
    job = json.loads(read_line())
    folder = Path(job["folder"])
    folder.mkdir(exist_ok=True)
    keys = {name: Ed25519PrivateKey.from_private_bytes(bytes.fromhex(key)) for name, key in job["keys"].items()}
    bench = LedgerBench(folder, url=job["url"], signing_keys=keys, patience_s=job.get("patience_s", 60.0))
    bench.begin_guards()
    bench.start()
    report(ready=True)
    assert read_line() == "go"
    threads = [
        threading.Thread(target=_append, args=(bench, job, job["first"] + number * job["count"]))
        for number in range(job["threads"])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    halted = bench.sequencer.halted
    report(ended=True, halted=None if halted is None else halted.code)
    bench.stop()


def _append(bench: LedgerBench, job: dict[str, Any], first: int) -> None:
    ledgers = sorted(job["ledgers"])
    for number in range(first, first + job["count"]):
        ledger_id = ledgers[number % len(ledgers)]

        def change(transaction: Transaction, number: int = number, ledger_id: str = ledger_id) -> int:
            values = {"number": str(number), "added_at": event().at}
            transaction.connection.execute(insert(PersonRow), [values])
            return transaction.append(ledger_id, event(number))

        while True:
            try:
                done = bench.sequencer.run(change, ledger_id)
            except KuraError as error:
                report(number=number, refused=error.code)
                if error.code == "database-away":
                    time.sleep(0.2)
                    continue
                return
            break
        report(number=number, ledger=ledger_id, index=done.value, size=done.appended[0].size)


if __name__ == "__main__":
    main()
