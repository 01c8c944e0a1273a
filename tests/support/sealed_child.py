"""A process that takes deposits into a sealed vault and then writes all of its own writable memory to a file."""

import re
import sys
from pathlib import Path

import crash_load
import vaults

from vault.bootstrap import open_vault

_WRITABLE = re.compile(rb"^([0-9a-f]+)-([0-9a-f]+) rw", re.MULTILINE)

_PAGE = 4096


def main(folder: Path, dump: Path) -> None:
    vault = open_vault(folder)
    assert vault.is_sealed
    for number in range(3):
        request = vaults.request(class_id="call_recording", file_name=None)
        source = crash_load.BytesSource(crash_load.sound(number, 300))
        vault.deposits.deposit(vault.actor(vaults.MANAGER), vaults.CONTRACT, request, source)
    _dump(dump)
    vault.close()


def _dump(to: Path) -> None:
    with Path("/proc/self/mem").open("rb", buffering=0) as memory, to.open("wb") as out:
        for match in _WRITABLE.finditer(Path("/proc/self/maps").read_bytes()):
            begin, end = (int(group, 16) for group in match.groups())
            try:
                memory.seek(begin)
                data = memory.read(end - begin)
            except OSError:  # a guard page
                continue
            pages = (data[at : at + _PAGE] for at in range(0, len(data), _PAGE))
            out.writelines(page for page in pages if page.strip(b"\0"))  # pages of zeros hold no secret


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
