import subprocess
from pathlib import Path

import pytest
from kura_command import KURA, Kura, Ran, make_home

from vault.cli import main


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a vault in `home`/vault, a passphrase file, and a sample PDF; the environment names the first two."""
    make_home(tmp_path)
    monkeypatch.setenv("KURA_DIR", str(tmp_path / "vault"))
    monkeypatch.setenv("KURA_PASSPHRASE_FILE", str(tmp_path / "passphrase"))
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.delenv("LC_ALL", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def kura(capsys: pytest.CaptureFixture[str]) -> Kura:
    """Run a command in this process."""

    def run(*words: object) -> Ran:
        capsys.readouterr()
        code = main([str(word) for word in words])
        said = capsys.readouterr()
        return Ran(code, said.out, said.err)

    return run


@pytest.fixture
def kura_process() -> Kura:
    """Run a command as a process of its own."""

    def run(*words: object) -> Ran:
        done = subprocess.run([KURA, *map(str, words)], capture_output=True, text=True, check=False, timeout=120)
        return Ran(done.returncode, done.stdout, done.stderr)

    return run
