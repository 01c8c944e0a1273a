"""One vault on PostgreSQL, S3 and an HSM, made and joined by the commands an operator types, and served twice.

The database server is the test's own, and the second store stands behind a way that can be cut: either may go away.
"""

import json
import os
import random
import signal
import ssl
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import buckets
import engines
import psycopg
from between import Between
from crash_stations import Sender
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from kura_command import KURA
from narrow_api import PlainStation
from station_keys import signing_request, station_key
from vaults import ADMIN, PASSPHRASE, PEOPLE

from vault.cli import main
from vault.records.leases import holder_of

_PATIENCE_S = 90
_ENGINE_TIMEOUT_S = 3.0


class Owner:
    """One folder, and the process that serves it."""

    def __init__(self, folder: Path, passphrase: Path) -> None:
        self.folder, self.log = folder, folder.with_suffix(".log")
        self.port = 0
        self._passphrase = passphrase
        self._process: subprocess.Popen[str] | None = None

    @property
    def holder(self) -> str:
        """Its name in leases."""
        return holder_of(self.folder)

    def start(self) -> None:
        """Start it; `ready` waits."""
        if self._process is not None:
            return
        command = [KURA, "serve", "--json", "--dir", str(self.folder), "--passphrase-file", str(self._passphrase)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("KURA_")}
        with self.log.open("a") as log:
            self._process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
        self.port = 0

    def ready(self) -> None:
        """Wait until stations can connect."""
        if not self.port:
            said = json.loads(self._said().readline())
            assert (said["ready"], said["sealed"]) == (True, False)
            self.port = said["stations_port"]

    def end(self, number: signal.Signals) -> int:
        """Send a signal; give what the process ended with."""
        process, self._process = self._process, None
        assert process is not None
        process.send_signal(number)
        try:
            process.communicate(timeout=_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise
        return process.returncode

    def remove(self) -> None:
        """End it, however it stands."""
        if self._process is not None:
            self.end(signal.SIGKILL)

    def _said(self) -> IO[str]:
        assert self._process is not None
        assert self._process.stdout is not None
        return self._process.stdout


class TwoOwners:
    """The vault, its two owners, and stations that know both."""

    def __init__(self, folder: Path, way: Between) -> None:
        self.folder, self.way = folder, way
        self.owner_url = engines.empty_database()
        self.passphrase = folder / "passphrase"
        self.one, self.two = Owner(folder / "one", self.passphrase), Owner(folder / "two", self.passphrase)
        self.hsm = engines.new_hsm("inside")
        self.senders: list[Sender] = []

    def make(self) -> None:
        """Make the vault in the first folder, and join it in the second."""
        self.passphrase.write_text(PASSPHRASE + "\n")
        people = [word for person in PEOPLE for word in ("--person", person)]
        stores = (buckets.line(self.folder), buckets.line(self.folder, at=self.way.address))
        typed("init", self.one.folder, "--policy", "nishinomiya", *people, "--passphrase-file", self.passphrase,
              "--listen", "localhost:0", "--database", engines.service_url(self.owner_url),
              "--owner-url", self.owner_url, *(word for store in stores for word in ("--store", store)),
              "--hsm", self.hsm)  # fmt: skip
        settings = self.one.folder / "kura.toml"
        settings.write_text(
            settings.read_text().replace("[storage]\n", f"[storage]\nengine_timeout_s = {_ENGINE_TIMEOUT_S}\n")
        )
        typed("join", self.two.folder, "--from", self.one.folder, "--listen", "localhost:0")

    def serve(self) -> None:
        """Have both served, whichever runs already."""
        for owner in (self.one, self.two):
            owner.start()
        for owner in (self.one, self.two):
            owner.ready()

    def enrol(self, kinds: Sequence[str]) -> None:
        """Enrol a station of each kind, by the first owner."""
        for number, kind in enumerate(kinds):
            name, key = f"{kind}-{number}", station_key()
            csr, certificates = self.folder / f"{name}.csr", self.folder / name
            csr.write_bytes(signing_request(key))
            typed("station", "enrol", name, "--kind", kind, "--csr", csr, "-o", certificates, "--as", ADMIN,
                  "--dir", self.one.folder)  # fmt: skip
            private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            pem = certificates / "both.pem"
            pem.write_bytes(private + (certificates / f"{name}.crt").read_bytes())
            context = ssl.create_default_context(cafile=str(certificates / "vault-authority.crt"))
            context.load_cert_chain(pem)
            self.senders.append(Sender(name, kind, context, random.Random(number)))

    @property
    def log_vkey(self) -> str:
        """What receipts are checked with."""
        return (self.folder / self.senders[0].name / "log.vkey").read_text().strip()

    def health(self, owner: Owner) -> dict[str, Any]:
        """What an owner tells a station of itself."""
        sender = self.senders[0]
        station = PlainStation(sender.name, owner.port, sender.context)
        try:
            return station.ask("GET", "/v1/health").json
        finally:
            station.close()

    def asked(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the database, as the owner of its tables; or change it."""
        with psycopg.connect(self.owner_url, autocommit=True) as connection:
            cursor = connection.execute(query.encode())
            return cursor.fetchall() if cursor.description is not None else []

    def other(self, owner: Owner) -> Owner:
        return self.two if owner is self.one else self.one

    def tending(self) -> Owner | None:
        """Who extends locks at this moment."""
        holders = {holder for (holder,) in self.asked("SELECT holder FROM leases WHERE job = 'tend-stores'")}
        return next((owner for owner in (self.one, self.two) if owner.holder in holders), None)

    def remove(self) -> None:
        for owner in (self.one, self.two):
            owner.remove()


class Load:
    """Stations that send until they are stopped, each to the owner that it was given."""

    def __init__(self, vault: TwoOwners) -> None:
        self._stopped = threading.Event()
        self._failed: list[BaseException] = []
        self.to: dict[str, Owner] = {}
        for number, sender in enumerate(vault.senders):
            self.to[sender.name] = (vault.one, vault.two)[number % 2]
        self._threads = {
            sender.name: threading.Thread(target=self._run, args=(sender, self.to[sender.name].port))
            for sender in vault.senders
        }
        for thread in self._threads.values():
            thread.start()

    def _run(self, sender: Sender, port: int) -> None:
        try:
            while not self._stopped.is_set() and sender.work(port, 1):
                pass
        except BaseException as error:  # noqa: BLE001 - raised where the test waits
            self._failed.append(error)

    def await_stations_of(self, owner: Owner) -> None:
        """Wait until the stations of an owner that has ended have found that out."""
        for name, thread in self._threads.items():
            if self.to[name] is owner:
                thread.join()

    def finish(self) -> None:
        """Stop, and raise what any of them met."""
        self._stopped.set()
        for thread in self._threads.values():
            thread.join()
        for error in self._failed:
            raise error


@contextmanager
def under_load(vault: TwoOwners) -> Iterator[Load]:
    """Send to both owners meanwhile; a station whose owner goes away stops."""
    load = Load(vault)
    try:
        yield load
    finally:
        load.finish()


def typed(*words: object) -> None:
    """Run a command in this process, which must succeed."""
    assert main([str(word) for word in words]) == 0


@contextmanager
def two_owners(folder: Path, kinds: Sequence[str]) -> Iterator[TwoOwners]:
    """Make the vault, serve it twice, and enrol stations; end it all."""
    way = Between(buckets.address(), buckets.keys()["depositor"])
    with engines.own_postgresql(), way.running():
        vault = TwoOwners(folder, way)
        try:
            vault.make()
            vault.serve()
            vault.enrol(kinds)
            yield vault
        finally:
            vault.remove()
