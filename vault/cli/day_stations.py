"""The stations of the sample day: enrolled as any, each with its folder, connecting over TLS on this machine."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from retention.roles import StationKind
from vault.api.listener import Listener
from vault.cli.stations import write_certificates
from vault.client import Station
from vault.client.station_folder import StationFolder
from vault.people.actor import Actor
from vault.people.certificates import pem
from vault.people.stations import Station as EnrolledStation
from vault.records.vault import Vault
from vault.settings import ListenerSettings

KINDS = (StationKind.COUNTER, StationKind.EXCHANGE, StationKind.RECORDER)


@contextmanager
def connected(vault: Vault, contract_id: str, enroller: Actor, folder: Path) -> Iterator[Mapping[StationKind, Station]]:
    """Let stations connect on any free port, enrol one of each kind, and give them; `folder` gets their folders."""
    vault.enrolment.authority()
    listener = Listener(vault, ListenerSettings(port=0))
    listener.start()
    try:
        with ExitStack() as open_stations:
            yield {
                kind: open_stations.enter_context(
                    Station(_enrolled(vault, contract_id, enroller, kind, folder / f"{kind}-1", listener.port or 0))
                )
                for kind in KINDS
            }
    finally:
        listener.stop()


def _enrolled(vault: Vault, contract_id: str, enroller: Actor, kind: StationKind, folder: Path, port: int) -> Path:
    """Do what a supplier and an administrator do: a key and a request there, a certificate here."""
    request = StationFolder.create(folder, f"https://localhost:{port}", folder.name)
    station = EnrolledStation(folder.name, kind, contract_id)
    certificate = vault.enrolment.enrol(enroller, station, request.read_bytes())
    authority = pem(vault.enrolment.authority().certificate)
    write_certificates(folder, folder.name, pem(certificate), authority, vault.ground.log_of(contract_id).key.encode())
    return folder
