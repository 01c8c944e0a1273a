"""The vaults that are measured: made fresh, with one copy of each record, everything checked as in production."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.resources import files
from itertools import islice
from pathlib import Path
from threading import Lock, Thread

import uuid_utils

from vault.bootstrap import NewVault, create_vault, now_utc, open_vault
from vault.errors import KuraError
from vault.keys.custodian import CustodianSecret
from vault.people.actor import Actor
from vault.people.persons import NewPerson
from vault.records.deposit import Deposited
from vault.records.request import DepositRequest
from vault.records.source import FileSource
from vault.records.vault import Vault

CONTRACT = "nishinomiya"
PDF_CLASS, SEGMENT_CLASS = "application_form", "surveillance_video"
PASSPHRASE = "bench"  # noqa: S105 - guards random bytes
_PEOPLE = ("1001:Depositor:scan_operator", "1002:Manager:operations_manager", "9001:Administrator:vault_admin")
_SCRYPT_LOG2_N = 4  # opening the key store is not measured


def make_vault(folder: Path, *, copies: int = 1) -> Vault:
    """Make a vault under the shipped policy, with `copies` of every class, and give it, opened."""
    text = (files("policies") / f"{CONTRACT}.toml").read_text("utf-8")
    text = text.replace("copies = 2", f"copies = {copies}")
    people = [NewPerson.parse(person) for person in _PEOPLE]
    secret = CustodianSecret.from_passphrase(PASSPHRASE)
    epoch_dir = folder.with_name(folder.name + ".epoch")
    return create_vault(folder, NewVault(text, people, secret, epoch_dir, PASSPHRASE, scrypt_log2_n=_SCRYPT_LOG2_N))


def depositor(vault: Vault) -> Actor:
    return vault.actor("1002")
