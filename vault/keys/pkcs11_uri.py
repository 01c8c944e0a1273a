"""Reading the one line of the settings that names an HSM: a URI as of RFC 7512. Opens nothing.

    pkcs11:token=kura?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/etc/kura/hsm.pin

Of the path: `token` (label of the taking token) and, if need be, `serial` of it. Of the query: `module-path` and
`pin-source`, both demanded, and three of ours, which the RFC lets a vendor add: `opening-token` (label of the token
with the disposal keys; without it the taking token's with `-opening` behind), `disposal-keys` (`inside`, or `outside`
for a device with little room) and `wrap-mechanism` (a number; without it the self-test looks for the right one). A
PIN itself is refused: settings are no place for secrets.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args
from urllib.parse import unquote

from vault.errors import RefusedError

Keeping = Literal["inside", "outside"]
_CHARACTERS = re.compile(r"[!#-;=?-\[\]_a-z~]*")
_PATH = frozenset({"token", "serial"})
_QUERY = frozenset({"module-path", "pin-source", "opening-token", "disposal-keys", "wrap-mechanism"})


@dataclass(frozen=True, slots=True)
class HsmAddress:
    """Where an HSM's keys are.

    Attributes:
        module: the vendor's PKCS#11 library.
        token: label of the token of the taking part: the keys that sign.
        serial: its serial number, where the label is not enough.
        pin_file: file with its PIN; mode 0600.
        opening_token: label of the token of the opening part, whose PIN only the custodians' secret gives.
        keeping: where disposal keys lie: each inside the HSM, or in a file, wrapped under one key inside.
        wrap_mechanism: number of the mechanism that is AES-KWP on this device, or None to find it.
    """

    module: Path
    token: str
    serial: str | None
    pin_file: Path
    opening_token: str
    keeping: Keeping
    wrap_mechanism: int | None


def parse_hsm_uri(uri: str) -> HsmAddress:
    """Read the URI.

    Raises:
        RefusedError: `hsm-uri-wrong`; the reason names the attribute.
    """
    scheme, _, rest = uri.partition(":")
    path_text, _, query_text = rest.partition("?")
    if not _CHARACTERS.fullmatch(uri):
        raise _wrong("it", "holds a character that no URI has; write it as %XX")
    if scheme != "pkcs11":
        raise _wrong("it", "does not begin with pkcs11:")
    path = _attributes(path_text, ";", _PATH)
    query = _attributes(query_text, "&", _QUERY)
    token = _needed(path, "token")
    keeping = query.get("disposal-keys", "inside")
    if keeping not in get_args(Keeping):
        raise _wrong("disposal-keys", "is inside or outside")
    opening_token = query.get("opening-token", f"{token}-opening")
    if opening_token == token:
        raise _wrong("opening-token", "must be another token: this one's PIN lies in a file")
    return HsmAddress(
        module=_absolute(_needed(query, "module-path"), "module-path"),
        token=token,
        serial=path.get("serial"),
        pin_file=_absolute(_needed(query, "pin-source").removeprefix("file:").removeprefix("//"), "pin-source"),
        opening_token=opening_token,
        keeping=cast("Keeping", keeping),
        wrap_mechanism=_number(query["wrap-mechanism"]) if "wrap-mechanism" in query else None,
    )


def _attributes(text: str, separator: str, known: frozenset[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in text.split(separator) if text else ():
        name, is_pair, value = part.partition("=")
        if name not in known:
            raise _wrong(name, "is not known here")
        if not is_pair or not value or name in found:
            raise _wrong(name, "must stand once, with a value")
        try:
            found[name] = unquote(value, errors="strict")
        except UnicodeDecodeError as error:
            raise _wrong(name, "is no UTF-8") from error
    return found


def _needed(attributes: dict[str, str], name: str) -> str:
    if name not in attributes:
        raise _wrong(name, "is missing")
    return attributes[name]


def _absolute(text: str, name: str) -> Path:
    if not text.startswith("/"):
        raise _wrong(name, "must be an absolute path")
    return Path(text)


def _number(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError as error:
        raise _wrong("wrap-mechanism", "must be a number, as 0x210b") from error


def _wrong(name: str, what: str) -> RefusedError:
    return RefusedError("hsm-uri-wrong", reason=f"{name} {what}")
