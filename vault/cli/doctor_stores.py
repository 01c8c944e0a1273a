"""What `kura doctor` says of object stores: engines' promises, stores that are away, copies owed, locks that wait."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vault.bootstrap.parts import object_store
from vault.cli.doctor_finding import Finding, Level, wrong
from vault.errors import KuraError
from vault.settings import Settings
from vault.storage.s3_place import is_s3


def engine_findings(folder: Path, settings: Settings) -> Iterator[Finding]:
    """Try the promises of every engine on scratch objects."""
    for number, line in enumerate(settings.storage.stores, 1):
        if not is_s3(line):
            continue
        check = f"store {number}"
        try:
            is_proven = object_store(folder, settings, line).probe()
        except KuraError as error:
            yield wrong(check, error)
            continue
        if is_proven:
            en, ja = "Its locks hold; its clock is right.", "ロックは有効で、時計も合っています。"
            yield Finding(check, Level.FINE, en, ja)
        else:
            yield Finding(
                check,
                Level.WARNING,
                "No user of ours may delete there, so its locks could not be tried. Name the disposer to try them.",
                "削除できる利用者が設定されていないため、ロックを試せません。disposer を指定すると確認できます。",
            )


def store_findings(state: dict[str, Any]) -> Iterator[Finding]:
    """Judge what the owner says of copies and locks; whether the stores are there was looked at already."""
    if owed := state["owed_copies"]:
        yield Finding(
            "copies",
            Level.WRONG,
            f"{owed} copies are still to be made, because their store was away (kura serve makes them).",
            f"保存先が利用できなかったため、{owed} 件の複製が未作成です（kura serve が作成します）。",
        )
    locks = state["locks"]
    if locks["waiting"]:
        yield Finding(
            "locks",
            Level.WRONG if locks["late"] else Level.FINE,
            f"{locks['waiting']} locks are still to be extended, the oldest for {locks['oldest_s']} seconds.",
            f"延長待ちのロック：{locks['waiting']} 件（最も古いもの：{locks['oldest_s']} 秒）。",
        )
