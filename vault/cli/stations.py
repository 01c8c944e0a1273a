"""`kura station enrol`, `renew`, `revoke`, `list` and `test`: the machines that write to the vault."""

from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import typer

from vault.bootstrap import now_utc
from vault.cli.conformance import Conformance
from vault.cli.face import FINE, PROOF_FAILED, Answer, Face, command
from vault.cli.options import As, Contract, PassphraseFile, perform, read_bytes, read_text
from vault.client import Deposit
from vault.client.station_folder import StationFolder
from vault.errors import UnavailableError

Name = Annotated[str, typer.Argument(metavar="NAME", help="The station's name. 送信端末の名前")]
Csr = Annotated[Path, typer.Option("--csr", help="Its certificate signing request, PEM. 証明書署名要求（PEM）")]
Output = Annotated[Path, typer.Option("-o", "--output", help="Folder for the certificates. 証明書の出力先フォルダー")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    station = typer.Typer(help="Stations: machines that write. 送信端末")
    command(station, "enrol")(enrol)
    command(station, "renew")(renew)
    command(station, "revoke")(revoke)
    command(station, "list")(list_stations)
    command(station, "test")(conformance_test)
    app.add_typer(station, name="station")


def enrol(
    face: Face,
    *,
    name: Name,
    kind: Annotated[str, typer.Option("--kind", help="counter, scanner, recorder, exchange. 種類")],
    csr: Csr,
    output: Output,
    contract: Contract = None,
    actor: As = None,
    passphrase_file: PassphraseFile = None,
) -> Answer:
    """送信端末を登録し、証明書を発行します。Take a station in and certify its key, which stays on the station."""
    arguments = {"station": name, "kind": kind, "request": read_text(csr), "contract": contract}
    result = perform(face, "station-enrol", arguments, person=actor, passphrase_file=passphrase_file)
    write_certificates(output, name, *(result[part] for part in ("certificate", "authority", "log_vkey")))
    face.say(f"{name} is enrolled as {kind}.", f"送信端末 {name} を {kind} として登録しました。")
    return Answer(result)


def renew(
    face: Face,
    *,
    name: Name,
    csr: Csr,
    output: Output,
    contract: Contract = None,
    actor: As = None,
    passphrase_file: PassphraseFile = None,
) -> Answer:
    """証明書を更新します。Certify a station's key again; the certificate it has stays good until its end."""
    arguments = {"station": name, "request": read_text(csr), "contract": contract}
    result = perform(face, "station-renew", arguments, person=actor, passphrase_file=passphrase_file)
    write_certificates(output, name, *(result[part] for part in ("certificate", "authority", "log_vkey")))
    face.say(f"{name} has a new certificate.", f"送信端末 {name} の証明書を更新しました。")
    return Answer(result)


def revoke(
    face: Face,
    *,
    name: Name,
    fingerprint: Annotated[
        str | None, typer.Option("--fingerprint", help="Only this certificate. この証明書だけを失効")
    ] = None,
    contract: Contract = None,
    actor: As = None,
    passphrase_file: PassphraseFile = None,
) -> Answer:
    """証明書を失効させます（直ちに有効）。Revoke a station's certificates, from its next request on."""
    arguments = {"station": name, "fingerprint": fingerprint, "contract": contract}
    result = perform(face, "station-revoke", arguments, person=actor, passphrase_file=passphrase_file)
    count = len(result["revoked"])
    face.say(f"{name}: certificates revoked: {count}.", f"送信端末 {name} の証明書{count}件を失効させました。")
    return Answer(result)


def list_stations(
    face: Face, *, contract: Contract = None, actor: As = None, passphrase_file: PassphraseFile = None
) -> Answer:
    """送信端末の一覧を表示します。List the stations and their certificates."""
    result = perform(face, "station-list", {"contract": contract}, person=actor, passphrase_file=passphrase_file)
    for station in result["stations"]:
        face.say(f"{station['station']} ({station['kind']})", f"{station['station']}（{station['kind']}）")
        face.say(*say_numbers(station["newest"], station["missing"]))
        for certificate in station["certificates"]:
            face.say(*_certificate(certificate))
    return Answer(result)


def conformance_test(
    face: Face,
    *,
    target: Annotated[Path, typer.Argument(metavar="FOLDER", help="The station's folder. 送信端末のフォルダー")],
    record_class: Annotated[str, typer.Option("--class", help="Of what is deposited. 記録区分")] = "application_form",
    subject_key: Annotated[str | None, typer.Option("--subject-key", help="任意の番号")] = "TEST-00001",
    document: Annotated[Path | None, typer.Option("--document", help="Default: a sample. 送信する文書")] = None,
) -> Answer:
    """お試し用のKuraで接続を確認します。Try a trial vault from the station's side; what is deposited stays there."""
    sample = files("vault.cli").joinpath("sample", "book-page.pdf").read_bytes()
    content = sample if document is None else read_bytes(document)
    deposit = Deposit(class_id=record_class, ended_at=now_utc(), subject_key=subject_key or None)
    checks = []
    for check in Conformance(StationFolder.read(target), content, deposit).checks():
        mark = "✓" if check.failed is None else "✗"
        failed = "" if check.failed is None else f" – {check.failed}"
        face.say(*(f"{mark} {name}{failed}" for name in check.names))
        checks.append({"check": check.names[0], "ok": check.failed is None, "failed": check.failed})
    holds = all(check["ok"] for check in checks)
    return Answer({"ok": holds, "checks": checks}, FINE if holds else PROOF_FAILED)


def say_numbers(newest: int, missing: Iterable[Sequence[int]]) -> tuple[str, str]:
    """Say how far the station has come, and what never arrived."""
    if not missing:
        return f"  numbers 1 to {newest}, none missing" if newest else "  nothing numbered yet", (
            f"  番号 1～{newest}、欠番なし" if newest else "  番号付きの登録はまだありません"
        )
    gaps = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in missing)
    return f"  numbers to {newest}; never arrived: {gaps}", f"  番号 {newest} まで。未着：{gaps}"


def _certificate(certificate: dict[str, Any]) -> tuple[str, str]:
    shown, until, revoked = (certificate[name] for name in ("fingerprint", "valid_until", "revoked_at"))
    if revoked is not None:
        return f"  {shown}  revoked {revoked}", f"  {shown}  失効 {revoked}"
    return f"  {shown}  good until {until}", f"  {shown}  有効期限 {until}"


def write_certificates(folder: Path, name: str, certificate: str, authority: str, log_vkey: str) -> None:
    """Write what a station needs: its certificate, the authority's, by which it knows the vault, and the ledger's key.

    Raises:
        UnavailableError: `output-failed`.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.crt").write_text(certificate, "ascii")
        (folder / "vault-authority.crt").write_text(authority, "ascii")
        (folder / "log.vkey").write_text(log_vkey + "\n", "ascii")
    except OSError as error:
        raise UnavailableError("output-failed", reason=type(error).__name__) from error
