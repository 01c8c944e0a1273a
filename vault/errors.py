"""The one exception tree: one class per thing a caller can act on, each with a stable code and a plain sentence.

Holds no HTTP statuses and no exit codes: `vault/api/problems.py` and `vault/cli/` map these classes to them. The
sentences live in `sentences.toml` beside this file, in English and Japanese; a code without a sentence is a defect
that raises at once.
"""

import tomllib
from functools import cache, partial
from importlib.resources import files
from typing import Literal

Language = Literal["en", "ja"]


@cache
def sentences() -> dict[str, dict[str, str]]:
    """Give the sentence templates by code: {code: {"en": …, "ja": …}}."""
    return tomllib.loads(files("vault").joinpath("sentences.toml").read_text("utf-8"))


class KuraError(Exception):
    """Something Kura refuses or reports.

    Facts are codes, ids and numbers that the sentence names; never a secret, a My Number or a citizen's name.
    """

    def __init__(self, code: str, **facts: object) -> None:
        """Take the stable `code` and the facts that its sentence names."""
        self.code = code
        self.facts = facts
        super().__init__(self.sentence("en"))

    def __reduce__(self) -> "tuple[partial[KuraError], tuple[()]]":
        """Travel between processes as code and facts: by itself an exception takes its sentence for the code."""
        return partial(type(self), self.code, **self.facts), ()

    def sentence(self, language: Language) -> str:
        """Say in `language` what happened and what to do."""
        return sentences()[self.code][language].format(**self.facts)


class RefusedError(KuraError):
    """The request is wrong or not allowed; nothing was changed, and repeating it as it is will not help."""


class NotFoundError(KuraError):
    """What was asked for does not exist here."""


class ConflictError(KuraError):
    """The request contradicts what is already stored."""


class SealedError(KuraError):
    """The vault is sealed; custodians must open it first."""


class IntegrityError(KuraError):
    """Something stored is not what was written, or a proof does not hold."""


class UnavailableError(KuraError):
    """A disk, engine or peer failed; the same request may succeed later."""
