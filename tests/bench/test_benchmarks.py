"""The list of benchmarks, the line that each ends with, and one of them run small from end to end."""

import json
from pathlib import Path

import pytest

from bench.__main__ import BENCHMARKS, main
from bench.pairs import spread
from bench.result import Result

FIELDS = ["name", "figure", "unit", "yardstick", "ratio", "spread"]


def test_the_line_holds_the_fields_in_their_order_and_then_the_rest() -> None:
    result = Result("ingest-pdf", 1234.5678, "files/s", 1000.0, spread([1.2, 1.25, 1.3]), {"rounds": 3})
    line = result.line()
    assert "\n" not in line
    values = json.loads(line)
    assert list(values) == [*FIELDS, "rounds"]
    assert values["figure"] == 1235
    assert (values["ratio"], values["spread"]) == (1.25, [1.2, 1.3])


def test_without_a_name_every_benchmark_is_listed_with_what_it_measures(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(BENCHMARKS)
    assert all(len(line.split()) > 3 for line in lines)


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ingest-paper"]) == 2
    assert "ingest-paper" in capsys.readouterr().err


def test_one_benchmark_runs_to_its_line_and_leaves_nothing_but_its_inputs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["ingest-pdf", "--quick", "--rounds", "1", "--work", str(tmp_path), "--inputs", str(tmp_path / "inputs")]
    assert main(words) == 0
    values = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert list(values)[: len(FIELDS)] == FIELDS
    assert (values["name"], values["files"], values["quick"]) == ("ingest-pdf", 40, True)
    assert values["figure"] > 0
    assert values["ratio"] > 0
    assert [path.name for path in tmp_path.iterdir()] == ["inputs"]
