"""What is published: exactly the files that the app needs, and they run with nothing but requirements.txt."""

import json
import os
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


def package() -> list[Path]:
    """What `func` packs: every file of the folder that .funcignore lets pass, which it reads as Git does .gitignore."""
    ignored = pathspec.GitIgnoreSpec.from_lines((PROJECT / ".funcignore").read_text().splitlines())
    files = []
    for folder, folders, names in os.walk(PROJECT):
        inside = Path(folder).relative_to(PROJECT)
        folders[:] = [name for name in folders if not ignored.match_file(f"{inside / name}/")]
        files += [inside / name for name in names if not ignored.match_file(str(inside / name))]
    return sorted(files)


def test_the_package_is_exactly_what_the_app_needs() -> None:
    modules = [
        file for file in (PROJECT / "transcription").rglob("*") if file.is_file() and "__pycache__" not in file.parts
    ]
    deployed = [Path(name) for name in ("function_app.py", "host.json", "requirements.txt")]
    assert package() == sorted(deployed + [file.relative_to(PROJECT) for file in modules])
    assert {file.suffix for file in modules} <= {".py", ".json", ".txt"}


def test_nothing_secret_is_packed() -> None:
    for name in ("local.settings.json", "local.settings.sample.json"):
        assert Path(name) not in package()


@pytest.mark.timeout(300)  # Python packages may have to be installed
def test_the_package_is_indexed_with_nothing_but_its_requirements(tmp_path: Path) -> None:
    python = tools.package_python()
    if python is None:
        pytest.skip("no Python 3.13 on this machine (set PYTHON313)")
    for file in package():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / file, tmp_path / file)
    done = subprocess.run(
        [python, "-B", "-c", INDEX],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    indexed = json.loads(done.stdout)
    # deploy.sh waits for these, events.bicep sends to one of them.
    command = re.search(r"^FUNCTIONS=\$\((.*)\)$", (INFRA / "deploy.sh").read_text(), re.MULTILINE)
    assert command
    awaited = subprocess.run(["bash", "-c", command[1]], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert set(awaited.stdout.split()) == set(indexed)
    target = re.search(r"^param functionName string = '(\w+)'", (INFRA / "events.bicep").read_text(), re.MULTILINE)
    assert target
    assert indexed[target[1]]["bindings"][0]["source"] == "EventGrid"
