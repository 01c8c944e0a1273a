"""`kura verify`: every proof, from files only. What is checked and how is `vault/evidence/`'s."""

from pathlib import Path
from typing import Annotated

import typer

from vault.bootstrap import verify_vault
from vault.cli.face import FINE, PROOF_FAILED, Answer, Face, command
from vault.cli.options import PassphraseFile, custodian_of
from vault.cli.stations import say_numbers
from vault.errors import IntegrityError


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "verify")(verify)


def verify(
    face: Face,
    *,
    target: Annotated[Path | None, typer.Argument(metavar="[DIR]", help="Default: --dir. Kuraのフォルダー")] = None,
    keyless: Annotated[bool, typer.Option("--keyless", help="Without opening anything. 鍵を使わない検証")] = False,
    passphrase_file: PassphraseFile = None,
) -> Answer:
    """Kura全体を検証します。Verify a whole vault, offline, from its files; also a copied one."""
    folder = target or face.folder
    with face.progress("verifying", "検証中") as show:
        verdict = verify_vault(
            folder,
            None if keyless else custodian_of(passphrase_file),
            keyless=keyless,
            report=lambda _, done, total: show(done, total),
        )
    sentences = [finding.sentence(face.language) for finding in verdict.findings]
    for station, numbers in verdict.numbers.items():
        face.say(f"{station}:", f"{station}：")
        face.say(*say_numbers(numbers.newest, numbers.missing))
    for line in [*verdict.notes, *sentences, *(f"{name}: {count}" for name, count in verdict.counts.items())]:
        face.say(line, line)
    if verdict.is_sound:
        face.say("Everything holds.", "すべての証明が成り立ちました。")
    else:
        face.complain_only(IntegrityError("verification-failed", count=len(sentences)))
    findings = [
        {"code": finding.code, "what": finding.what, "sentence": sentence}
        for finding, sentence in zip(verdict.findings, sentences, strict=True)
    ]
    values = {"ok": verdict.is_sound, "findings": findings, "notes": verdict.notes, "counts": dict(verdict.counts)}
    values |= {
        "complete": verdict.is_complete,
        "numbers": {name: one.as_json() for name, one in verdict.numbers.items()},
    }
    return Answer(values, FINE if verdict.is_sound else PROOF_FAILED)
