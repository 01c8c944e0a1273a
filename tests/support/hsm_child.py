"""The process that is killed while it changes an HSM. Run as a program: it forks one child per line of standard input.

Lines in: {"uri", "path", "act", "key"}; then "go", once the tracer is attached. Lines out: {"pid"}, {"done"} once the
act has returned, {"failed"} where it raised, {"ended": status}. The HSM is opened by each child, never by their parent.
"""

import ctypes
import json
import os
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from crash_child import read_line, report
from key_places import VAULT, WORDS

from vault.keys.custodian import CustodianSecret
from vault.keys.pkcs11_keystore import Pkcs11KeyStore
from vault.keys.pkcs11_uri import parse_hsm_uri

AT = datetime(2031, 4, 1, tzinfo=UTC)
OTHER_WORDS = CustodianSecret.from_passphrase("four other words")
_PR_SET_PTRACER, _ANY = 0x59616D61, ctypes.c_ulong(-1)

ACTS: dict[str, Callable[[Pkcs11KeyStore, str], object]] = {
    "destroy": lambda store, key_id: store.destroy([key_id], AT),
    "create": lambda store, _: store.create_disposal_keys(2),
    "signer": lambda store, _: store.create_signing_key(),
    "custodian": lambda store, _: store.replace_custodian(OTHER_WORDS, scrypt_log2_n=4),
    "unseal": lambda store, _: store.unseal(WORDS),
}


def main() -> None:
    while line := read_line():
        if (pid := os.fork()) == 0:
            _child(json.loads(line))
        _, status = os.waitpid(pid, 0)
        report(ended=status)


def _child(job: dict[str, str]) -> None:
    # Where only a parent may trace its child: anybody may trace this one.
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, _ANY, 0, 0, 0)
    try:
        store = Pkcs11KeyStore(parse_hsm_uri(job["uri"]), VAULT, Path(job["path"]))
        if job["act"] != "unseal":
            store.unseal(WORDS)
        report(pid=os.getpid())
        assert read_line() == "go"
        done = ACTS[job["act"]](store, job["key"])
        report(done=done)
    except BaseException:  # noqa: BLE001 - the parent is told whatever it was
        report(failed=traceback.format_exc())
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    main()
