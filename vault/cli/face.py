"""What every command shares: its options, its language, its two kinds of output, and its exit codes.

A command is a function that takes a `Face` first and gives an `Answer`. `command` makes it a Typer command with the
options --dir, --json and --lang, prints the answer and maps errors: 1 a proof failed or a defect, 2 wrong use.
"""

import functools
import inspect
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from vault.errors import IntegrityError, KuraError, Language, RefusedError

FINE, PROOF_FAILED, WRONG_USE = 0, 1, 2


class Tongue(StrEnum):
    """The languages spoken."""

    JA = "ja"
    EN = "en"


Dir = Annotated[Path | None, typer.Option("--dir", envvar="KURA_DIR", help="The vault's folder. Kuraのフォルダー")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on the last line. 結果を JSON で出力")]
Lang = Annotated[Tongue | None, typer.Option("--lang", help="Language; default by LANG. 表示言語（既定は LANG）")]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command found: values for --json, and its exit code."""

    values: Mapping[str, Any] = field(default_factory=dict)
    exit_code: int = FINE


class Face:
    """One run of a command: where its vault is, how it speaks."""

    def __init__(self, folder: Path | None, language: Language, *, as_json: bool) -> None:
        """Speak `language`; with `as_json` only the last line goes to standard output."""
        self.language = language
        self.as_json = as_json
        self._folder = folder
        self._out = Console(file=sys.stdout, markup=False, highlight=False, soft_wrap=True)
        self._err = Console(file=sys.stderr, markup=False, highlight=False, soft_wrap=True)

    @property
    def named_folder(self) -> Path | None:
        """The vault's folder, where one was named."""
        return self._folder

    def at(self, folder: Path) -> "Face":
        """The same face, at another folder."""
        return Face(folder, self.language, as_json=self.as_json)

    @property
    def folder(self) -> Path:
        """The vault's folder.

        Raises:
            RefusedError: nobody named one.
        """
        if self._folder is None:
            raise RefusedError("dir-not-named")
        return self._folder

    def say(self, en: str, ja: str) -> None:
        """Say a line to whoever reads along; with --json nobody does."""
        if not self.as_json:
            self._out.print(ja if self.language == "ja" else en)

    def print_json(self, values: Mapping[str, Any]) -> None:
        """Print values as one line."""
        self._out.print(json.dumps(values, ensure_ascii=False))

    def complain_only(self, error: KuraError) -> str:
        """Say an error in one line on standard error, and give that line."""
        sentence = " ".join(error.sentence(self.language).split())
        self._err.print(sentence)
        return sentence

    def complain(self, error: KuraError) -> int:
        """Say an error as people and programs read it; give the exit code."""
        sentence = self.complain_only(error)
        if self.as_json:
            self.print_json({"error": {"code": error.code, "sentence": sentence}})
        return PROOF_FAILED if isinstance(error, IntegrityError) else WRONG_USE

    @contextmanager
    def progress(self, en: str, ja: str) -> Iterator[Callable[[int, int | None], None]]:
        """Show a bar on a terminal while entered; what is given takes (done, total)."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self._err, transient=True, disable=not sys.stderr.isatty()) as bars:
            task = bars.add_task(ja if self.language == "ja" else en, total=None)

            def show(done: int, total: int | None) -> None:
                bars.update(task, completed=done, total=total)

            yield show


def command(app: typer.Typer, name: str) -> Callable[[Callable[..., Answer]], Callable[..., Answer]]:
    """Make a function that takes a `Face` first a command of `app`."""

    def register(function: Callable[..., Answer]) -> Callable[..., Answer]:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]

        @functools.wraps(function)
        def run(**options: Any) -> None:  # noqa: ANN401 - whatever the command's own options are
            as_json = bool(options.pop("as_json"))
            face = Face(options.pop("folder"), language_of(options.pop("lang")), as_json=as_json)
            raise typer.Exit(speak(face, lambda: function(face, **options)))

        common = [
            inspect.Parameter("folder", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Dir),
            inspect.Parameter("as_json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=AsJson),
            inspect.Parameter("lang", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Lang),
        ]
        parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own] + common
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # where Typer looks
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        app.command(name)(run)
        return function

    return register


def speak(face: Face, act: Callable[[], Answer]) -> int:
    """Run a command, print its answer or its error, give its exit code. A crash is never a pass."""
    try:
        answer = act()
    except KuraError as error:
        return face.complain(error)
    except Exception as error:  # noqa: BLE001 - one line for people; its text may hold a citizen's name and is not shown
        return face.complain(unexpected(error))
    if face.as_json:
        face.print_json(answer.values)
    return answer.exit_code


def unexpected(error: Exception) -> KuraError:
    """Name a defect by its type and place only."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return IntegrityError("unexpected", reason=f"{type(error).__name__}{place}")


def language_of(asked: str | None) -> Language:
    """Say which language to speak: the one asked for, or the environment's."""
    if asked is not None:
        return "ja" if asked == "ja" else "en"
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(name)
        if value:
            return "ja" if value.startswith("ja") else "en"
    return "en"
