"""What the repository promises as a whole: its lock, its commands, what it ships, and what it must not give away."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
LOCK = (ROOT / "requirements.lock").read_text("utf-8")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
READMES = ("README.md", "README.ja.md")

# In parts, so that this file does not hold what it forbids.
MACHINE_PATHS = ["/" + "work/", "/" + "root/", "/opt/" + "pypi", "/opt/" + "wheels", "/t" + "mp/v/"]
REGISTRY_HOSTS = [
    *("pypi" + ".org", "python" + "hosted", "test" + "pypi", "npm" + "js", "proxy.go" + "lang"),
    *("crates" + ".io", "deb.deb" + "ian", "docker" + ".io", "conda" + ".org"),
]


def tracked_files() -> list[Path]:
    """List what git holds, and what it would take with the next commit."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True).stdout.decode().split("\0")
    return sorted(ROOT / name for name in names if name and (ROOT / name).is_file())


def canonical(requirement: str) -> str:
    """Give a requirement's name as registries compare it: no extras, no version, lower case, hyphens."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\s\[<>=!~;]", requirement, maxsplit=1)[0]).lower()


def locked() -> dict[str, list[str]]:
    """Read the lock: name -> lines after the pin."""
    pins = re.split(r"(?m)^(?=[a-z0-9])", LOCK)[1:]
    return {canonical(pin): [line.strip(" \\") for line in pin.splitlines()[1:]] for pin in pins}


def test_the_lock_holds_pins_and_hashes_and_nothing_else() -> None:
    line = re.compile(r"[a-z0-9-]+==[0-9][0-9a-z.+]* \\|    --hash=sha256:[0-9a-f]{64}(?: \\)?")
    assert [text for text in LOCK.splitlines() if not line.fullmatch(text)] == []


def test_every_locked_package_is_hashed() -> None:
    assert [name for name, hashes in locked().items() if not hashes] == []


def test_every_dependency_is_locked() -> None:
    project = PROJECT["project"]
    wanted = [*project["dependencies"], *PROJECT["build-system"]["requires"]]
    for extra in project["optional-dependencies"].values():
        wanted += extra
    assert {canonical(requirement) for requirement in wanted} - set(locked()) == set()


@pytest.mark.parametrize("readme", READMES)
def test_every_command_of_the_readme_exists(readme: str) -> None:
    named = set(re.findall(r"\bmake ([a-z]+)", re.sub(r"apt-get install .*", "", (ROOT / readme).read_text("utf-8"))))
    targets = set(re.findall(r"(?m)^([a-z]+):", (ROOT / "Makefile").read_text("utf-8")))
    assert {"demo", "run", "test"} <= named <= targets


@pytest.mark.parametrize("readme", READMES)
def test_every_link_of_the_readme_leads_somewhere(readme: str) -> None:
    links = re.findall(r"\]\(([^)#]+)", (ROOT / readme).read_text("utf-8"))
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_readmes_begin_with_what_a_bare_system_needs_and_name_each_other() -> None:
    for readme, other in zip(READMES, reversed(READMES), strict=True):
        lines = (ROOT / readme).read_text("utf-8").splitlines()
        assert "apt-get install git make" in lines[0]
        assert f"({other})" in "".join(lines[:5])


@pytest.mark.parametrize("forbidden", [*MACHINE_PATHS, *REGISTRY_HOSTS])
def test_no_file_names_a_machine_or_a_registry(forbidden: str) -> None:
    holding = [path for path in tracked_files() if forbidden.encode() in path.read_bytes()]
    assert [str(path.relative_to(ROOT)) for path in holding] == []


def test_every_data_file_of_the_packages_ships(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for path in tracked_files():
        copy = source / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    build = "from setuptools import build_meta; build_meta.build_wheel('.')"
    subprocess.run([sys.executable, "-c", build], cwd=source, check=True, capture_output=True)
    (wheel,) = source.glob("kura-*.whl")
    shipped = set(zipfile.ZipFile(wheel).namelist())
    packages = ("policies", "retention", "vault")
    names = {path.relative_to(ROOT) for path in tracked_files()}
    assert {str(name) for name in names if name.parts[0] in packages} - shipped == set()


def test_policies_are_found_where_the_program_looks() -> None:
    names = [entry.name for entry in files("policies").iterdir()]
    assert [name for name in names if name.endswith(".toml")]
