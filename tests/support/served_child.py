"""The service that is killed. Run as a program: it forks one child per line of standard input, and waits for it.

Lines in: {"folder"}; then "go", once the tracer is attached. Lines out: {"pid"}; {"pid", "port"} when stations can
connect; {"ended": status}. SIGTERM ends it as it ends a service.
"""

import ctypes
import json
import os
import signal
import threading
from pathlib import Path

import crash_child
import vaults

from vault.api.listener import Listener
from vault.bootstrap import open_vault
from vault.settings import ListenerSettings

_PR_SET_PTRACER, _ANY = 0x59616D61, ctypes.c_ulong(-1)


def main() -> None:
    while line := crash_child.read_line():
        if (pid := os.fork()) == 0:
            _child(Path(json.loads(line)["folder"]))
        _, status = os.waitpid(pid, 0)
        crash_child.report(ended=status)


def _child(folder: Path) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, _ANY, 0, 0, 0)
    crash_child.report(pid=os.getpid())
    assert crash_child.read_line() == "go"
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    vault = open_vault(folder, vaults.custodian())
    listener = Listener(vault, ListenerSettings(port=0))
    listener.start()
    crash_child.report(pid=os.getpid(), port=listener.port)
    while not ended.wait(0.05):  # a signal is looked at in between
        vault.publish()
    listener.stop()
    vault.close()
    os._exit(0)


if __name__ == "__main__":
    main()
