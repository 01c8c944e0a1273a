"""`kura scrub` and `kura recover`: the fixity check, and going on after a ledger went back."""

from typing import Annotated

import typer

from vault.cli.face import FINE, PROOF_FAILED, Answer, Face, command
from vault.cli.options import As, Contract, PassphraseFile, perform

_MIB = 1 << 20


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "scrub")(scrub)
    command(app, "recover")(recover)


def scrub(
    face: Face,
    *,
    rate: Annotated[int | None, typer.Option("--mib-per-second", help="Read no faster. 読み取り速度の上限")] = None,
    contract: Contract = None,
    actor: As = None,
    passphrase_file: PassphraseFile = None,
) -> Answer:
    """全記録の内容を検査します。Read every copy of every record and compare it; goes on where it was stopped."""
    arguments = {"contract": contract, "bytes_per_second": None if rate is None else rate * _MIB}
    with face.progress("checking", "検査中") as show:
        result = perform(
            face,
            "scrub",
            arguments,
            person=actor,
            passphrase_file=passphrase_file,
            tell=lambda said: show(said["done"], said["total"]),
        )
    damaged = result["damaged"]
    face.say(
        f"Checked: {result['checked']}. Damaged: {len(damaged)}.",
        f"検査：{result['checked']} 件、破損：{len(damaged)} 件。",
    )
    for record in damaged:
        face.say(record, record)
    return Answer(result, PROOF_FAILED if damaged else FINE)


def recover(face: Face, actor: As = None, passphrase_file: PassphraseFile = None) -> Answer:
    """巻き戻された台帳を閉じ、新しい台帳で再開します。Go on after a ledger went back, under a new origin; logged."""
    result = perform(face, "recover", {}, person=actor, passphrase_file=passphrase_file)
    for log in result["recovered"]:
        face.say(f"{log['id']}: {log['log_vkey']}", f"{log['id']}：{log['log_vkey']}")
    if not result["recovered"]:
        face.say("Nothing was to be recovered.", "復旧するものはありませんでした。")
    return Answer(result)
