"""The process that is killed while it changes an HSM. Run as a program: it forks one child per line of standard input.

Lines in: {"uri", "path", "act", "key"}; then "go", once the tracer is attached. Lines out: {"pid"}, {"done"} once the
act has returned, {"failed"} where it raised, {"ended": status}. The HSM is opened by each child, never by their parent.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from crash_child import begin, fork_for_each_line, report
from key_places import VAULT, WORDS

from vault.keys.custodian import CustodianSecret
from vault.keys.pkcs11_keystore import Pkcs11KeyStore
from vault.keys.pkcs11_uri import parse_hsm_uri

AT = datetime(2031, 4, 1, tzinfo=UTC)
OTHER_WORDS = CustodianSecret.from_passphrase("four other words")

ACTS: dict[str, Callable[[Pkcs11KeyStore, str], object]] = {
    "destroy": lambda store, key_id: store.destroy([key_id], AT),
    "create": lambda store, _: store.create_disposal_keys(2),
    "signer": lambda store, _: store.create_signing_key(),
    "custodian": lambda store, _: store.replace_custodian(OTHER_WORDS, scrypt_log2_n=4),
    "unseal": lambda store, _: store.unseal(WORDS),
}


def act(job: dict[str, str]) -> None:
    store = Pkcs11KeyStore(parse_hsm_uri(job["uri"]), VAULT, Path(job["path"]))
    if job["act"] != "unseal":
        store.unseal(WORDS)
    begin()
    report(done=ACTS[job["act"]](store, job["key"]))


if __name__ == "__main__":
    fork_for_each_line(act)
