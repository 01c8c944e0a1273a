"""A further owner of a vault's database, in the same process: a folder of its own, the same stores and key store."""

from functools import partial
from pathlib import Path

from vault.bootstrap.parts import load_contracts, load_logs, open_rows, take_up_log
from vault.ledger.guard import Guard
from vault.ledger.sequencer import Sequencer
from vault.records.ground import Ground
from vault.records.vault import Vault
from vault.settings import read_settings


def second_owner(first: Vault, folder: Path) -> Vault:
    """Open the vault once more beside `first`, as a process does that has joined it. `first` is closed last."""
    settings = read_settings(first.folder)
    guards = folder.with_name(f"{folder.name}.guards")
    for path in (folder / "ledgers", guards):
        path.mkdir(parents=True, exist_ok=True)
    ground, keys = first.ground, first.ground.keys
    engine = open_rows(first.folder, settings)
    guard, logs = Guard(guards), load_logs(engine, keys)
    joined = Ground(
        vault_id=ground.vault_id,
        engine=engine,
        sequencer=Sequencer(engine, logs, guard, take_up=partial(take_up_log, engine, keys)),
        keys=keys,
        stores=ground.stores,
        pdf_pool=ground.pdf_pool,
        clock=ground.clock,
        days_ahead=ground.days_ahead,
        read_contracts=partial(load_contracts, engine),
        contracts=load_contracts(engine),
    )
    vault = Vault(joined, guard, folder, settings.vault.origin)
    vault.start([guard.close, engine.dispose])
    return vault
