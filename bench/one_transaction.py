"""A transaction for each PDF, from several depositors at once, against the yardstick's durable files."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.against import contest, yardstick_put
from bench.child import run
from bench.options import Options
from bench.park import park
from bench.result import Result
from bench.threads import share
from bench.vaults import CONTRACT, OpenedFile, depositor_for, make_vault, opened, request_for, warm_up
from vault.records.vault import Vault

_DEPOSITORS = 8
_ALONE = {"KURA_SEQUENCER__MAX_BATCH": "1"}


def one_transaction(options: Options) -> Result:
    """5,000 PDFs, a commit for each, from 8 depositors at once."""
    inputs = options.pdfs()

    def measured() -> float:
        folder = options.fresh("vault")
        make_vault(folder)
        seconds = float(run(timed_deposits, folder, inputs.folder, env=_ALONE).figures["seconds"])
        park(folder)
        return seconds

    return contest("one-transaction", options, inputs, measured, yardstick_put(options, inputs))


def timed_deposits(folder: str, source: str) -> Mapping[str, Any]:
    """Deposit every file of a folder by itself."""
    paths = sorted(Path(source).iterdir())
    with opened(Path(folder)) as vault:
        warm_up(vault, paths[0].suffix)
        return {"seconds": _deposit_each(vault, paths)}


def _deposit_each(vault: Vault, paths: Sequence[Path]) -> float:
    actor = depositor_for(vault, paths[0].name)

    def deposit(path: Path) -> None:
        vault.deposits.deposit(actor, CONTRACT, request_for(path.name), OpenedFile(path)).receipt.encode()

    begin = time.perf_counter()
    share(paths, deposit, _DEPOSITORS)
    return time.perf_counter() - begin
