"""`kura contract open` and `kura person add`: beginning a contract, adding people."""

from typing import Annotated

import typer

from vault.cli.face import Answer, Face, command
from vault.cli.init import read_policy
from vault.cli.options import As, Contract, PassphraseFile, perform


def register(app: typer.Typer) -> None:
    """Add the commands."""
    contract = typer.Typer(help="Contracts. 契約")
    command(contract, "open")(open_contract)
    app.add_typer(contract, name="contract")
    person = typer.Typer(help="People. 利用者")
    command(person, "add")(add_person)
    app.add_typer(person, name="person")
    for group in (contract, person):
        group.callback()(_group)


def _group() -> None:
    """Keep a group with one command a group."""


def open_contract(
    face: Face,
    *,
    policy: Annotated[str, typer.Argument(metavar="FILE", help="Policy file, or a packaged one's name. 契約別ルール")],
    person: Annotated[list[str], typer.Option("--person", metavar="NUMBER:NAME:ROLE", help="A founder. 最初の利用者")],
    passphrase_file: PassphraseFile = None,
) -> Answer:
    """契約を開始します。Begin a contract."""
    arguments = {"policy": read_policy(policy), "people": person}
    result = perform(face, "contract-open", arguments, passphrase_file=passphrase_file)
    face.say(f"The contract {result['contract']} is open.", f"契約 {result['contract']} を開始しました。")
    face.say(f"Verifier key of its ledger: {result['log_vkey']}", f"台帳の検証鍵：{result['log_vkey']}")
    return Answer(result)


def add_person(
    face: Face,
    *,
    person: Annotated[str, typer.Argument(metavar="NUMBER:NAME:ROLE", help="職員番号:氏名:役割")],
    contract: Contract = None,
    actor: As = None,
    passphrase_file: PassphraseFile = None,
) -> Answer:
    """利用者または役割を追加します。Add a person, or give one more role."""
    arguments = {"person": person, "contract": contract}
    result = perform(face, "person-add", arguments, person=actor, passphrase_file=passphrase_file)
    face.say(
        f"{result['number']} is now {result['role']}.", f"{result['number']} に役割 {result['role']} を付与しました。"
    )
    return Answer(result)
