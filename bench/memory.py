"""Peak memory while one object of 10 GiB is stored and read.

Idle is a vault that is open, has taken and shown one small recording, and whose PDF workers are not started. The peak
is the process's own high-water mark of resident memory, reset before each half; what the vault adds to idle is given.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.child import run
from bench.inputs import mp4_head
from bench.options import Options
from bench.pairs import spread
from bench.park import park
from bench.result import Result
from bench.vaults import CONTRACT, make_vault, manager, opened, request_for, warm_up
from vault.people.purpose import ViewPurpose
from vault.records.reading import Purpose
from vault.records.source import Source
from vault.records.vault import Vault

_SELF = Path("/proc/self")
_LIMIT_MIB = 150.0
_BLOCK = bytes(range(256)) * 4096  # 1 MiB; sealing does not care what is in it
_PURPOSE = Purpose(ViewPurpose.RESTORE_TEST)


def memory(options: Options) -> Result:
    """Peak memory above idle while storing and reading one object of 10 GiB, against 150 MiB."""
    content_bytes = (64 << 20) if options.quick else (10 << 30)
    folder = options.fresh("vault")
    make_vault(folder)
    figures = run(measured, folder, content_bytes).figures
    park(folder)
    peak = max(figures["storing_mib"], figures["reading_mib"])
    extra = dict(figures) | {"content_bytes": content_bytes, "quick": options.quick}
    return Result("memory", peak, "MiB above idle", _LIMIT_MIB, spread([_LIMIT_MIB / peak]), extra)


def measured(folder: str, content_bytes: int) -> Mapping[str, Any]:
    """Store and read one object; give idle and what each half adds at its peak."""
    with opened(Path(folder)) as vault:
        warm_up(vault, ".mp4")
        idle_mib = resident_mib("VmRSS")
        forget_peak()
        name = "large.mp4"
        done = vault.deposits.deposit(manager(vault), CONTRACT, request_for(name), SyntheticVideo(content_bytes))
        storing_mib = resident_mib("VmHWM") - idle_mib
        forget_peak()
        _read(vault, done.record_id, content_bytes)
        reading_mib = resident_mib("VmHWM") - idle_mib
    return {
        "idle_mib": round(idle_mib, 1),
        "storing_mib": round(storing_mib, 1),
        "reading_mib": round(reading_mib, 1),
    }


class SyntheticVideo(Source):
    """A valid MP4 file of any length that is nowhere but in this formula: a head, then one block again and again."""

    def __init__(self, content_bytes: int) -> None:
        """Begin at its first byte."""
        self._bytes = content_bytes
        self._head = mp4_head(content_bytes - len(mp4_head(content_bytes)))
        self._position = 0

    def read_into(self, buffer: memoryview) -> int:
        """Fill `buffer`."""
        done = 0
        while done < len(buffer) and self._position < self._bytes:
            part = self._part()[: min(len(buffer) - done, self._bytes - self._position)]
            buffer[done : done + len(part)] = part
            done += len(part)
            self._position += len(part)
        return done

    def finish(self) -> None:
        """It never changes."""

    def _part(self) -> memoryview:
        """Give bytes from the position on: as many as are in one piece."""
        if self._position < len(self._head):
            return memoryview(self._head)[self._position :]
        return memoryview(_BLOCK)[(self._position - len(self._head)) % len(_BLOCK) :]


def _read(vault: Vault, record_id: str, content_bytes: int) -> None:
    reading = vault.readings.read(manager(vault), CONTRACT, record_id, _PURPOSE)
    if sum(len(part) for part in reading.parts()) != content_bytes:
        raise RuntimeError(record_id)


def resident_mib(name: str, process: Path = _SELF) -> float:
    """Read VmRSS (now) or VmHWM (the most since the last reset)."""
    found = re.search(rf"{name}:\s+(\d+) kB", (process / "status").read_text("ascii"))
    if found is None:
        raise RuntimeError(name)
    return int(found[1]) / 1024


def forget_peak(process: Path = _SELF) -> None:
    """Reset what VmHWM says."""
    (process / "clear_refs").write_text("5", "ascii")
