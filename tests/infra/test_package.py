"""Tests of the deployed package: it has exactly the files that the app needs, and requirements.txt is enough to run."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pathspec
import pytest

from local.tools import PROJECT
from tests.infra import tools
from tests.infra.conftest import INFRA

INDEX = """
import json, function_app
print(json.dumps({f.get_function_name(): json.loads(f.get_function_json()) for f in function_app.app.get_functions()}))
"""

# Files that people leave next to the code.
STRAY_FILES = (
    ".env",
    "local.settings.json",
    "my.bicepparam",
    "recording.m4a",
    "venv/lib/site.py",
    "node_modules/a/package.json",
    "transcription/.env",
    "transcription/recording.wav",
    "transcription/__pycache__/job.cpython-313.pyc",
)


def files_in(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def package_files() -> set[str]:
    modules = {f"transcription/{name}" for name in files_in(PROJECT / "transcription") if "__pycache__" not in name}
    return {"function_app.py", "host.json", "requirements.txt"} | modules


def pack(project: Path, work: Path) -> Path:
    """Run only the function pack() of deploy.sh, and return the folder that it would publish."""
    function = re.search(r"^pack\(\) \{\n.*?^\}$", (INFRA / "deploy.sh").read_text(), re.MULTILINE | re.DOTALL)
    assert function
    work.mkdir()
    script = f"set -euo pipefail; work=$1\n{function[0]}\npack"
    subprocess.run(["bash", "-c", script, "pack", str(work)], cwd=project, check=True, timeout=20)
    return work / "package"


def test_the_package_contains_no_stray_files(tmp_path: Path) -> None:
    project = tmp_path / "project"
    for name in package_files():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, project / name)
    for name in STRAY_FILES:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("stray")
    assert files_in(pack(project, tmp_path / "work")) == package_files()


def test_publishing_by_hand_uploads_no_other_file(tmp_path: Path) -> None:
    ignored = pathspec.GitIgnoreSpec.from_lines((PROJECT / ".funcignore").read_text().splitlines())
    tracked = subprocess.run(["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True, check=True, timeout=20)
    assert {name for name in tracked.stdout.splitlines() if not ignored.match_file(name)} <= package_files()
    assert not [name for name in STRAY_FILES if not ignored.match_file(name)]


@pytest.mark.timeout(300)  # installs packages the first time
def test_the_package_can_be_indexed_with_only_its_requirements(tmp_path: Path) -> None:
    python = tools.package_python()
    if python is None:
        pytest.skip("no Python 3.13 on this machine (set PYTHON313)")
    folder = pack(PROJECT, tmp_path / "work")
    result = subprocess.run(
        [python, "-B", "-c", INDEX],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    indexed = json.loads(result.stdout)
    # deploy.sh waits for these functions, and events.bicep sends events to one of them.
    command = re.search(r"^FUNCTIONS=\$\((.*)\)$", (INFRA / "deploy.sh").read_text(), re.MULTILINE)
    assert command
    awaited = subprocess.run(["bash", "-c", command[1]], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert set(awaited.stdout.split()) == set(indexed)
    target = re.search(r"^param functionName string = '(\w+)'", (INFRA / "events.bicep").read_text(), re.MULTILINE)
    assert target
    assert indexed[target[1]]["bindings"][0]["source"] == "EventGrid"
