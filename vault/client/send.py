"""`kura-send`: sends the files of a folder to a vault. Needs nothing but Python and `cryptography`.

Says one line on standard error and ends with 2 where something is wrong. Names of files are shown to whoever sits
before the screen; where the output goes elsewhere, to a log say, record ids are.
"""

import argparse
import io
import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from vault.client.folder import WatchedFolder
from vault.client.naming import Naming
from vault.client.state import State
from vault.client.station import Station
from vault.client.station_folder import StationFolder
from vault.errors import KuraError, Language, RefusedError

FINE, WRONG = 0, 2
_POLL_S, _LONGEST_POLL_S = 1.0, 60.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; give its exit code."""
    options = _parser().parse_args(arguments)
    face = _Face(_language())
    try:
        return int(options.run(options, face))
    except KuraError as error:
        face.complain(error)
        return WRONG
    except KeyboardInterrupt:
        return FINE


class _Face:
    """How the command speaks."""

    def __init__(self, language: Language) -> None:
        self.language = language
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")  # not every screen has every sign of a file's name

    def say(self, en: str, ja: str) -> None:
        """Say a line."""
        sys.stdout.write((ja if self.language == "ja" else en) + "\n")
        sys.stdout.flush()

    def complain(self, error: KuraError) -> None:
        """Say an error in one line."""
        sys.stderr.write(" ".join(error.sentence(self.language).split()) + "\n")
        sys.stderr.flush()

    def sent(self, name: str, record_id: str) -> None:
        """Say which file went."""
        shown = name if sys.stdout.isatty() else record_id
        self.say(f"Sent: {shown}", f"送信しました：{shown}")

    def refused(self, name: str, error: KuraError) -> None:
        """Say which file was refused."""
        shown = f"{name}: " if sys.stdout.isatty() else ""
        self.say(f"Refused: {shown}{error.sentence('en')}", f"拒否されました：{shown}{error.sentence('ja')}")


def _init(options: argparse.Namespace, face: _Face) -> int:
    request = StationFolder.create(options.folder, options.vault, options.name)
    face.say(
        f"Made the station's key and its request. Give {request} to the vault's administrator, who enrols the station "
        f"with `kura station enrol {options.name} --kind … --csr {request.name} -o …`; then put {options.name}.crt, "
        f"vault-authority.crt and log.vkey into {options.folder}. The key never leaves this machine.",
        f"送信端末の鍵と証明書署名要求を作成しました。{request} を Kura の管理者に渡してください。管理者は "
        f"`kura station enrol {options.name} --kind … --csr {request.name} -o …` で登録します。出力された "
        f"{options.name}.crt、vault-authority.crt、log.vkey を {options.folder} に置いてください。"
        "鍵はこの端末から持ち出しません。",
    )
    return FINE


def _watch(options: argparse.Namespace, face: _Face) -> int:
    naming = Naming(options.record_class, options.subject_key_from, options.sidecar)
    with Station(options.station) as station:
        folder = WatchedFolder(
            options.folder,
            station,
            naming,
            face,
            now_s=time.monotonic,
            settle_s=options.settle,
            deletes=options.delete,
            language=face.language,
        )
        return _send_once(folder, options.settle) if options.once else _send_for_ever(folder, face)


def _send_once(folder: WatchedFolder, settle_s: float) -> int:
    look = folder.look()
    refused = look.refused
    if look.waiting and look.trouble is None:  # they were seen for the first time
        time.sleep(settle_s)
        look = folder.look()
        refused += look.refused
    if look.trouble is not None:
        raise look.trouble
    if look.waiting:
        raise RefusedError("watch-waiting", count=look.waiting)
    return WRONG if refused else FINE


def _send_for_ever(folder: WatchedFolder, face: _Face) -> NoReturn:
    poll_s, said = _POLL_S, ""
    while True:
        trouble = folder.look().trouble
        if trouble is not None and trouble.code != said:  # once for each change, not each minute
            face.complain(trouble)
        elif trouble is None and said:
            face.say("The vault takes records again.", "Kura への送信を再開しました。")
        said = trouble.code if trouble is not None else ""
        poll_s = min(_LONGEST_POLL_S, poll_s * 2) if trouble is not None else _POLL_S
        time.sleep(poll_s)


def _status(options: argparse.Namespace, face: _Face) -> int:
    folder = StationFolder.read(options.station)
    until = folder.certificate_checked().not_valid_after_utc.astimezone().isoformat(timespec="minutes")
    if (folder.state / "station.db").exists():
        state = State(folder.state / "station.db")
        numbers = state.numbers()
        state.close()
        face.say(
            f"{folder.name}: numbers 1 to {numbers.newest}: {numbers.taken} in the vault, {numbers.spooled} in the "
            f"spool, {numbers.open} open, {numbers.free} to be used again, {numbers.used} passed over",
            f"{folder.name}：番号 1～{numbers.newest}（登録済み {numbers.taken}、一時保管 {numbers.spooled}、"
            f"未確定 {numbers.open}、再使用待ち {numbers.free}、欠番 {numbers.used}）",
        )
    else:
        face.say(f"{folder.name}: nothing sent yet", f"{folder.name}：まだ送信していません")
    face.say(f"certificate good until {until}", f"証明書の有効期限 {until}")
    return FINE


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(WRONG, f"{self.prog}: {' '.join(message.split())}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="kura-send", description="Sends files to a Kura vault. ファイルを Kura に送ります。")
    verbs = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)
    init = verbs.add_parser("init", help="Make a station's folder. 送信端末のフォルダーを作成します")
    init.set_defaults(run=_init)
    init.add_argument("folder", type=Path, metavar="FOLDER")
    init.add_argument("--vault", required=True, metavar="URL", help="https://HOST:8470")
    init.add_argument("--name", required=True, help="The station's name. 送信端末の名前")
    watch = verbs.add_parser("watch", help="Send the files of a folder. フォルダーのファイルを送ります")
    watch.set_defaults(run=_watch)
    watch.add_argument("folder", type=Path, metavar="FOLDER")
    watch.add_argument("--station", type=Path, required=True, metavar="FOLDER", help="送信端末のフォルダー")
    watch.add_argument("--class", dest="record_class", required=True, metavar="CLASS", help="Record class. 記録区分")
    by = watch.add_mutually_exclusive_group()
    by.add_argument("--subject-key-from", type=_pattern, metavar="REGEX", help="On the name, with (?P<subject_key>…)")
    by.add_argument(
        "--sidecar", action="store_true", help="NAME.json beside each file. ファイルごとの NAME.json を使う"
    )
    watch.add_argument("--settle", type=_seconds, default=2.0, metavar="S", help="Seconds unchanged. 変化のない秒数")
    watch.add_argument("--once", action="store_true", help="Send what is there, and end. 今あるものを送って終了する")
    watch.add_argument("--delete", action="store_true", help="Delete what was sent. 送信後に削除する")
    status = verbs.add_parser("status", help="Numbers, spool, certificate. 番号・一時保管・証明書")
    status.set_defaults(run=_status)
    status.add_argument("--station", type=Path, required=True, metavar="FOLDER", help="送信端末のフォルダー")
    return parser


def _pattern(text: str) -> re.Pattern[str]:
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if "subject_key" not in pattern.groupindex:
        raise argparse.ArgumentTypeError("(?P<subject_key>…)")
    return pattern


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value <= _LONGEST_POLL_S:
        raise argparse.ArgumentTypeError("0-60")
    return value


def _language() -> Language:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(name)
        if value:
            return "ja" if value.startswith("ja") else "en"
    return "en"


if __name__ == "__main__":
    sys.exit(main())
