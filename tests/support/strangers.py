"""Those who connect to the narrow API and are no stations, or no more."""

import os
import ssl
from collections.abc import Callable, Mapping
from datetime import timedelta

import vaults
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.hashes import SHA256
from narrow_api import Api, PlainStation
from station_keys import station_key

from vault.api.identity import FILE
from vault.people.certificates import new_authority, station_certificate

SERIAL = 4711


def nobody(api: Api) -> PlainStation:
    """Brings no certificate."""
    return api.connecting("nobody", api.context())


def foreign(api: Api) -> PlainStation:
    """Has a certificate of another authority, which has the same name."""
    signing, key, now = station_key(), station_key(), api.vault.ground.clock()

    def sign(message: bytes) -> bytes:
        return signing.sign(message, ECDSA(SHA256()))

    authority = new_authority("0" * 16, signing.public_key(), sign, now, SERIAL)
    return api.connecting("foreign", api.context(key, station_certificate(authority, key.public_key(), "a", now, 1)))


def expired(api: Api) -> PlainStation:
    """Has a certificate whose time is over."""
    return _certified(api, "expired", timedelta(days=-31))


def early(api: Api) -> PlainStation:
    """Has a certificate whose time is to come."""
    return _certified(api, "early", timedelta(days=1))


def unknown(api: Api) -> PlainStation:
    """Has a certificate that the vault's authority signed and nobody enrolled, in the name of a station."""
    return _certified(api, "counter-1", timedelta())


def revoked(api: Api) -> PlainStation:
    """Was a station."""
    station = api.station(f"revoked-{os.urandom(4).hex()}")
    api.vault.enrolment.revoke(api.vault.actor(vaults.ADMIN), vaults.CONTRACT, station.name)
    return station


def listener(api: Api) -> PlainStation:
    """Uses the listener's own key and certificate."""
    context = api.context()
    context.load_cert_chain(api.vault.folder / FILE)
    return api.connecting("listener", context)


def _certified(api: Api, name: str, shift: timedelta) -> PlainStation:
    key, now = station_key(), api.vault.ground.clock() + shift
    certificate = station_certificate(api.vault.enrolment.authority(), key.public_key(), name, now, SERIAL)
    return api.connecting(name, api.context(key, certificate))


AT_THE_DOOR: Mapping[str, Callable[[Api], PlainStation]] = {
    "no certificate": nobody,
    "another authority": foreign,
    "expired": expired,
    "not valid yet": early,
    "the listener's own": listener,
}
"""Whom TLS turns away."""


def require_turned_away(station: PlainStation, method: str = "GET", path: str = "/v1/health") -> None:
    """Ask for something, and get no answer: TLS has ended the connection."""
    try:
        answer = station.ask(method, path)
    except (ssl.SSLError, ConnectionError):
        return
    raise AssertionError(answer)
