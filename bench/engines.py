"""Engines for measurements: one of each, fresh, on this machine; ended when the measurement ends."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

from vault.cli.engines import TrialEngines


@contextmanager
def running(*names: str) -> Iterator[TrialEngines]:
    """Start the engines named (`postgresql`, `ceph-rgw`, `softhsm`), and end them."""
    engines = TrialEngines(Path(tempfile.mkdtemp(prefix="kura-bench-")))
    try:
        engines.start(*names)
        yield engines
    finally:
        engines.stop()
        shutil.rmtree(engines.folder, ignore_errors=True)


def new_database(engines: TrialEngines) -> str:
    """Make an empty database; give the URL of its owner."""
    name = f"bench_{token_hex(4)}"
    engines.run("postgresql", "database", name)
    return engines.facts["PG_OWNER_URL"].replace("/postgres?", f"/{name}?")
