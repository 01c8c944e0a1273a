"""The listener's key and certificate: one file below the vault's folder, made where it is missing, renewed in time."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from vault.keys.durable_file import make_folder, replace_file
from vault.people.certificates import LISTENER_LIFETIME, pem
from vault.records.vault import Vault

FILE = Path("tls/listener.pem")


class Identity:
    """Key and certificate in PEM, as OpenSSL loads them; the key protects no record, only the connection."""

    def __init__(self, vault: Vault, hosts: Sequence[str]) -> None:
        """Be known by these host names and addresses."""
        self._vault, self._hosts = vault, list(hosts)
        self.path = vault.folder / FILE

    def ensure(self) -> bool:
        """Make the file, or make it anew in the last third of its life; say whether it was made.

        Raises:
            SealedError: there is no authority yet, and the vault is sealed.
        """
        if self._is_good(self._vault.ground.clock()):
            return False
        key = generate_private_key(SECP256R1())
        certificate = self._vault.enrolment.certify_listener(key.public_key(), self._hosts)
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        make_folder(self.path.parent)
        replace_file(self.path, private + pem(certificate).encode("ascii"))
        return True

    def _is_good(self, now: datetime) -> bool:
        try:
            certificate = x509.load_pem_x509_certificate(self.path.read_bytes())
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            authority = x509.load_der_x509_certificate(self._vault.enrolment.authority().certificate)
            certificate.verify_directly_issued_by(authority)
        except (OSError, ValueError, TypeError, x509.ExtensionNotFound, InvalidSignature):
            return False
        hosts = [str(name.value) for name in names]
        return hosts == self._hosts and certificate.not_valid_after_utc - now > LISTENER_LIFETIME / 3
