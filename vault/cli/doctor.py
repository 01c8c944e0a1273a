"""`kura doctor`: what is wrong with a vault, or soon will be; each check with its sentence.

Changes nothing, but for scratch objects in engines, on which their promises are tried.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from vault.bootstrap import examine_database
from vault.cli.doctor_finding import Finding, Level, wrong
from vault.cli.doctor_stores import engine_findings, store_findings
from vault.cli.face import FINE, PROOF_FAILED, Answer, Face, command
from vault.cli.options import PassphraseFile, perform
from vault.cli.owner.wire import decode_error
from vault.errors import KuraError, UnavailableError
from vault.keys.pkcs11_health import hsm_problems
from vault.keys.pkcs11_uri import parse_hsm_uri
from vault.records.health import BUCKET_ALARM_DAYS
from vault.records.orphans import ALARM_ABOVE
from vault.settings import Settings, read_settings
from vault.storage.s3_place import is_s3

_MIN_FREE_BYTES = 1 << 30
_LOW_FREE_PERCENT = 10
_GIB = 1 << 30
_KEEPS_OLD_BLOCKS = frozenset({"btrfs", "zfs", "bcachefs", "nilfs2", "f2fs"})
_FORGETS = frozenset({"tmpfs", "ramfs"})


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "doctor")(doctor)


def doctor(face: Face, passphrase_file: PassphraseFile = None) -> Answer:
    """Kuraの状態を点検します。Say what is wrong with the vault, or soon will be."""
    findings: list[Finding] = []
    state: dict[str, Any] = {}
    try:
        settings = read_settings(face.folder)
        findings.append(Finding("settings", Level.FINE, "The settings are valid.", "設定は正しいものです。"))
        findings += _places(face.folder, settings)
        findings += engine_findings(face.folder, settings)
        findings += _hsm(settings)
        findings += _server(face.folder, settings)
        state = perform(face, "state", {}, passphrase_file=passphrase_file)
        findings += _state(state)
    except KuraError as error:
        findings.append(wrong("vault", error))
    marks = {Level.FINE: "  ok ", Level.WARNING: "warn ", Level.WRONG: "WRONG"}
    for finding in findings:
        mark = marks[finding.level]
        face.say(f"{mark} {finding.check}: {finding.en}", f"{mark} {finding.check}：{finding.ja}")
    is_wrong = any(finding.level is Level.WRONG for finding in findings)
    checks = [
        {"check": one.check, "level": one.level.value, "sentence": one.ja if face.language == "ja" else one.en}
        for one in findings
    ]
    return Answer({"ok": not is_wrong, "checks": checks} | state, PROOF_FAILED if is_wrong else FINE)


def _places(folder: Path, settings: Settings) -> Iterator[Finding]:
    """Look at folders and disks."""
    if folder.stat().st_mode & 0o077:
        yield Finding(
            "folder",
            Level.WARNING,
            "Other users may look into the vault's folder; run chmod 700 on it.",
            "Kuraのフォルダーを他の利用者が見られます。chmod 700 を実行してください。",
        )
    places = {
        f"store {number}": folder / store for number, store in enumerate(settings.storage.stores, 1) if not is_s3(store)
    }
    if settings.database.url is None:
        places["database"] = folder
    places["epoch"] = settings.keys.epoch_dir
    second = settings.second.places
    if second is not None:
        places |= {"second disk": second[0], "second epoch": second[1]}
    for name, place in places.items():
        if not place.is_dir():
            yield Finding(
                name,
                Level.WRONG,
                "Its folder is missing: mount its disk.",
                "フォルダーがありません。ディスクを接続してください。",
            )
            continue
        yield _free_space(name, place)
    yield from _epoch_file_system(settings.keys.epoch_dir)
    if second is not None:
        yield from _epoch_file_system(second[1])
    elif settings.database.url is None:
        yield Finding(
            "second disk",
            Level.WARNING,
            "Rows and keys stand on one disk only: if it is lost, a backup is all there is (docs: second disk).",
            "データベースと鍵は1台のディスクだけにあります。失うとバックアップしか残りません（第二ディスクを検討）。",
        )
    if settings.keys.auto_unseal:
        yield Finding(
            "keys",
            Level.WARNING,
            "The vault opens itself (keys.auto_unseal): for a first try only.",
            "Kuraが自動で開く設定（keys.auto_unseal）です。お試し専用です。",
        )


def _hsm(settings: Settings) -> Iterator[Finding]:
    """Look at the HSM, where the keys are in one."""
    if settings.keys.hsm is None:
        return
    problems = list(hsm_problems(parse_hsm_uri(settings.keys.hsm)))
    for error in problems:
        yield wrong("hsm", error)
    if not problems:
        yield Finding(
            "hsm",
            Level.FINE,
            "Both tokens are there, and the HSM wraps keys as RFC 5649 does.",
            "HSMの両方のトークンがあり、鍵ラップはRFC 5649と一致しています。",
        )


def _server(folder: Path, settings: Settings) -> Iterator[Finding]:
    """Look at PostgreSQL by a connection of our own: an owner's may be older than what was changed."""
    if settings.database.url is None:
        return
    try:
        version = examine_database(folder, settings)
    except KuraError as error:
        yield wrong("database", error)
        return
    yield Finding(
        "database",
        Level.FINE,
        f"PostgreSQL {version} keeps what it acknowledged, and the vault's role cannot alter a ledger.",
        f"PostgreSQL {version} は受領したものを保持し、Kura のロールは台帳を書き換えられません。",
    )


def _free_space(name: str, place: Path) -> Finding:
    usage = shutil.disk_usage(place)
    percent, gib = 100 * usage.free // usage.total, usage.free / _GIB
    level = Level.WARNING if percent < _LOW_FREE_PERCENT else Level.FINE
    if usage.free < _MIN_FREE_BYTES:
        level = Level.WRONG
    return Finding(name, level, f"{gib:.1f} GiB free ({percent} %).", f"空き容量 {gib:.1f} GiB（{percent} %）。")


def _epoch_file_system(place: Path) -> Iterator[Finding]:
    """Warn where overwriting a slot in place does not overwrite it on the disk."""
    kind = file_system_of(place, Path("/proc/self/mounts").read_text("utf-8", "replace"))
    if kind in _KEEPS_OLD_BLOCKS:
        yield Finding(
            "epoch",
            Level.WARNING,
            f"{kind} writes beside what it replaces: destroyed epochs may stay on the disk. Use ext4 or XFS for it.",
            f"{kind} は上書きしても古い内容を残すので、破棄した鍵が残ることがあります。ext4 か XFS を使ってください。",
        )
    if kind in _FORGETS:
        yield Finding(
            "epoch",
            Level.WARNING,
            f"{kind} is lost when the machine stops, and with it every record. Use a disk.",
            f"{kind} は停止時に消え、すべての記録が開けなくなります。ディスクに置いてください。",
        )


def file_system_of(place: Path, mounts: str) -> str:
    """Say which kind of file system holds a place, by the text of /proc/self/mounts."""
    best, kind = -1, "?"
    for line in mounts.splitlines():
        fields = line.split(" ")
        mount = Path(fields[1].replace("\\040", " "))
        if place.resolve().is_relative_to(mount) and len(mount.parts) >= best:
            best, kind = len(mount.parts), fields[2]
    return kind


def _state(state: dict[str, Any]) -> Iterator[Finding]:
    """Judge what the owner says of the vault."""
    if state["halted"] is not None:
        yield wrong("ledger", decode_error(state["halted"]))
    for engine in state["missing"]:
        yield Finding(
            engine,
            Level.WRONG,
            "It does not answer: start it, or mount its disk.",
            "応答がありません。起動するか、ディスクを接続してください。",
        )
    if state["sealed"]:
        yield Finding(
            "seal",
            Level.FINE,
            "The vault is sealed: it takes deposits, and shows nothing.",
            "Kuraは封印中です（登録はできますが、閲覧はできません）。",
        )
    else:
        yield Finding("seal", Level.FINE, "The vault is open.", "Kuraは開いています。")
    for contract in state["contracts"]:
        days = contract["bucket_days_ahead"]
        level = Level.WRONG if days < BUCKET_ALARM_DAYS else Level.FINE
        more = "" if level is Level.FINE else " Have the custodians open the vault once."
        more_ja = "" if level is Level.FINE else "鍵管理者が一度開く必要があります。"
        yield Finding(
            f"contract {contract['id']}",
            level,
            f"{contract['records']} records; deposits can be taken sealed for {days} days.{more}",
            f"記録 {contract['records']} 件。封印中でも {days} 日先まで登録できます。{more_ja}",
        )
    yield from _second_disk(state["second_disk"])
    yield from store_findings(state)
    orphans = state["orphans"]
    level = Level.WRONG if orphans > ALARM_ABOVE else Level.FINE
    yield Finding(
        "orphans",
        level,
        f"{orphans} stored objects have no record (kura serve sweeps what a crash left).",
        f"対応する記録のないオブジェクト：{orphans} 件（kura serve が整理します）。",
    )


def _second_disk(second: dict[str, Any] | None) -> Iterator[Finding]:
    if second is None:
        return
    if second["whole"]:
        yield Finding(
            "second disk",
            Level.FINE,
            "Rows and keys stand on the second disk, too.",
            "データベースと鍵は第二ディスクにもあります。",
        )
    elif second["reason"] is not None:
        yield wrong("second disk", UnavailableError("second-disk-away", reason=second["reason"]))
    else:
        yield wrong("second disk", UnavailableError("key-replica-away"))
