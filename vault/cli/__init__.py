"""The `kura` command: parses, calls one service, prints, and maps errors to exit codes. Decides nothing."""

import sys

import typer
from typer.main import get_command

from vault.cli import (
    care,
    contracts,
    demo,
    deposit,
    doctor,
    init,
    join,
    keeping,
    receipt,
    service,
    show,
    stations,
    verify,
)
from vault.cli.face import FINE, Face, language_of, unexpected
from vault.errors import RefusedError

_INTERRUPTED = 130  # as a shell says of a process that SIGINT ended

app = typer.Typer(
    name="kura",
    help="Keeps records sealed, destroys them on their day, proves both. 記録保全システム Kura（蔵）",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for room in (demo, init, join, contracts, stations, service, deposit, show, verify, receipt, doctor, care, keeping):
    room.register(app)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; give its exit code. Errors are one line on standard error, never a traceback."""
    words = sys.argv[1:] if arguments is None else arguments
    face = Face(None, language_of(_asked_language(words)), as_json="--json" in words)
    try:
        code = get_command(app).main(words or ["--help"], prog_name="kura", standalone_mode=False)
    except typer.TyperException as error:
        return face.complain(RefusedError("usage-wrong", reason=error.format_message().rstrip(".") + "."))
    except (typer.Abort, KeyboardInterrupt):
        return _INTERRUPTED
    except typer.Exit as error:
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - the last line of defence: a crash is never a pass
        return face.complain(unexpected(error))
    return code if isinstance(code, int) else FINE


def _asked_language(words: list[str]) -> str | None:
    """Find --lang before anything is parsed, for the errors of parsing itself."""
    for position, word in enumerate(words):
        if word == "--lang" and position + 1 < len(words):
            return words[position + 1]
        if word.startswith("--lang="):
            return word.removeprefix("--lang=")
    return None


__all__ = ["app", "main"]
