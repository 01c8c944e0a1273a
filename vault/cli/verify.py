"""`kura verify`: every proof, from files only. What is checked and how is `vault/evidence/`'s."""

from pathlib import Path
from typing import Annotated

import typer

from vault.bootstrap import auto_custodian
from vault.cli.face import FINE, PROOF_FAILED, Answer, Face, command
from vault.cli.options import PassphraseFile, custodian_of
from vault.settings import read_settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "verify")(verify)


def verify(
    face: Face,
    target: Annotated[Path | None, typer.Argument(metavar="[DIR]", help="Default: --dir. 保管庫のフォルダー")] = None,
    keyless: Annotated[bool, typer.Option("--keyless", help="Without opening anything. 鍵を使わない検証")] = False,
    passphrase_file: PassphraseFile = None,
) -> Answer:
    """Verify a whole vault, offline, from its files; also a copied one. 保管庫全体を検証します。"""
    from vault.evidence.verify import verify_vault  # noqa: PLC0415 - the other commands need none of it

    folder = target or face.folder
    custodian = None
    if not keyless:
        custodian = custodian_of(passphrase_file) or auto_custodian(folder, read_settings(folder))
    with face.progress("verifying", "検証中") as show:
        verdict = verify_vault(folder, custodian, keyless=keyless, report=lambda _, done, total: show(done, total))
    for note in verdict.notes:
        face.say(str(note), str(note))
    for finding in verdict.findings:
        face.say(
            f"{finding.code}: {finding.what}: {finding.sentence}", f"{finding.code}：{finding.what}：{finding.sentence}"
        )
    for name, count in verdict.counts.items():
        face.say(f"{name}: {count}", f"{name}：{count}")
    if verdict.findings:
        face.say(f"Findings: {len(verdict.findings)}.", f"問題：{len(verdict.findings)} 件。")
    else:
        face.say("Everything holds.", "すべての証明が成り立ちました。")
    values = {
        "ok": not verdict.findings,
        "findings": [{"code": one.code, "what": one.what, "sentence": one.sentence} for one in verdict.findings],
        "notes": [str(note) for note in verdict.notes],
        "counts": dict(verdict.counts),
    }
    return Answer(values, PROOF_FAILED if verdict.findings else FINE)
