"""Every code that the vault raises has one sentence in each language, and every sentence has its code."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from string import Formatter
from typing import NamedTuple

import pytest

from vault import errors

VAULT = Path(errors.__file__).parent
SENTENCES = errors.sentences()
MODULES = [ast.parse(path.read_text("utf-8"), str(path)) for path in sorted(VAULT.rglob("*.py"))]


class Raising(NamedTuple):
    """One place that makes an error: the codes it may carry, and the facts it gives (None: not told apart here)."""

    codes: tuple[str, ...]
    facts: frozenset[str] | None


def error_classes() -> set[str]:
    """Name KuraError and everything derived from it, wherever in the vault that is."""
    names = {errors.KuraError.__name__}
    classes = [node for module in MODULES for node in ast.walk(module) if isinstance(node, ast.ClassDef)]
    while derived := {node.name for node in classes if names & set(map(_name, node.bases))} - names:
        names |= derived
    return names


def raisings() -> Iterator[Raising]:
    classes = error_classes()
    for call in (node for module in MODULES for node in ast.walk(module) if isinstance(node, ast.Call)):
        if _name(call.func) in classes and call.args:
            given = frozenset(keyword.arg for keyword in call.keywords if keyword.arg is not None)
            spread = any(keyword.arg is None for keyword in call.keywords)
            yield Raising(tuple(_texts(call.args[0])), None if spread else given)


def placeholders(sentence: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(sentence) if name is not None}


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _texts(node: ast.expr) -> Iterator[str]:
    """Give the texts that an expression may come to: a literal, or either side of a condition."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    if isinstance(node, ast.IfExp):
        yield from _texts(node.body)
        yield from _texts(node.orelse)


def test_the_scan_sees_the_errors_raised() -> None:
    assert {"RefusedError", "IntegrityError"} <= error_classes()
    assert sum(1 for raising in raisings() if raising.codes) > 10


def test_every_code_raised_has_a_sentence() -> None:
    assert {code for raising in raisings() for code in raising.codes} - set(SENTENCES) == set()


def test_no_sentence_is_unused() -> None:
    constants = (node for module in MODULES for node in ast.walk(module) if isinstance(node, ast.Constant))
    assert set(SENTENCES) - {node.value for node in constants if isinstance(node.value, str)} == set()


def test_every_raising_gives_the_facts_its_sentence_names() -> None:
    missing = [
        (code, placeholders(SENTENCES[code]["en"]) - raising.facts)
        for raising in raisings()
        for code in raising.codes
        if raising.facts is not None and code in SENTENCES
    ]
    assert [(code, facts) for code, facts in missing if facts] == []


@pytest.mark.parametrize("code", sorted(SENTENCES))
def test_a_sentence_stands_in_both_languages_and_names_the_same_facts(code: str) -> None:
    sentence = SENTENCES[code]
    assert set(sentence) == {"en", "ja"}
    assert placeholders(sentence["en"]) == placeholders(sentence["ja"])
    assert not re.search("[ぁ-ん]", sentence["en"])
    assert re.search("[ぁ-ん]", sentence["ja"])


def test_the_sentences_file_is_the_one_that_is_read() -> None:
    assert tomllib.loads((VAULT / "sentences.toml").read_text("utf-8")) == SENTENCES
