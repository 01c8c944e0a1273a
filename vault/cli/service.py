"""`kura serve`, `kura unseal`, `kura seal`: the owner of the folder, and the custodians at it."""

import gc

import typer

from vault.api.listener import Listener
from vault.bootstrap import open_vault, probe_stores
from vault.cli.face import Answer, Face, command
from vault.cli.host.call import Request
from vault.cli.host.keys import read_secret
from vault.cli.options import As, PassphraseFile, custodian_of, typed_passphrase
from vault.cli.owner.owner import ask_owner
from vault.cli.owner.server import serve as serve_vault
from vault.settings import read_settings


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "serve")(serve)
    command(app, "unseal")(unseal)
    command(app, "seal")(seal)


def serve(face: Face, passphrase_file: PassphraseFile = None) -> Answer:
    """Kuraを起動します（終了は SIGTERM）。Own the folder and answer requests until SIGTERM.

    Without a passphrase file it is sealed: it takes deposits, finds and shows nothing.
    """
    vault = open_vault(face.folder, custodian_of(passphrase_file))
    try:
        probe_stores(vault.ground.stores)
        listening = read_settings(face.folder).listener
        stations = None if listening.port is None else Listener(vault, listening)
        gc.freeze()  # what is there now stays: the collector need not walk over it again and again

        def ready() -> None:
            state = ("sealed", "封印中") if vault.is_sealed else ("open", "解錠済み")
            face.say(f"Serving {face.folder} ({state[0]}).", f"{face.folder} を起動しました（{state[1]}）。")
            if vault.problem is not None:
                face.complain(vault.problem)
            if stations is not None and stations.is_serving:
                at = f"https://{listening.hosts[0]}:{stations.port}"
                face.say(f"Stations connect at {at}.", f"送信端末の接続先：{at}")
            if face.as_json:
                port = None if stations is None else stations.port
                face.print_json({"ready": True, "sealed": vault.is_sealed, "stations_port": port})

        serve_vault(vault, stations, ready)
    finally:
        vault.close()
    return Answer({"stopped": True})


def unseal(face: Face, actor: As = None, passphrase_file: PassphraseFile = None) -> Answer:
    """鍵を投入してKuraを開きます。Open the served vault with the custodians' secret."""
    secret = typed_passphrase(passphrase_file)
    read_secret(secret)  # what is mistyped is told before anything is sent
    result = ask_owner(face.folder, Request("unseal", actor, {"secret": secret}))
    face.say("The vault is open.", "Kuraを開きました。")
    return Answer(result)


def seal(face: Face) -> Answer:
    """Kuraを封印します（登録は続けられます）。Close the served vault: it goes on taking deposits."""
    result = ask_owner(face.folder, Request("seal", None, {}))
    face.say("The vault is sealed.", "Kuraを封印しました。")
    return Answer(result)
