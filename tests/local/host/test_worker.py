"""The worker process as the host sees it: starts, crashes, stops."""

from pathlib import Path

import pytest

from local.host import HostError
from local.host.errors import WorkerStopped
from local.host.standin import POISON_QUEUE
from local.host.worker import Worker
from tests.local.host.conftest import Start
from tests.support.host_app import HostApp
from tests.support.processes import alive, bare_environment, eventually


def test_an_upload_is_delivered_again_after_a_crash_of_the_worker(app: HostApp, start: Start) -> None:
    with start() as host:
        first = host.worker_pid
        app.upload("crash-once.wav")
        eventually(lambda: app.calls("end") == ["crash-once.wav"])
        assert host.worker_pid != first
    assert app.calls() == ["crash-once.wav"] * 2


def test_a_crash_of_the_worker_counts_as_a_try(app: HostApp, start_plain: Start) -> None:
    with start_plain():
        app.upload("crash-always.wav")
        eventually(lambda: any(m["ContainerName"] == app.name for m in app.messages(POISON_QUEUE)))
    assert app.calls() == ["crash-always.wav"] * 5


def test_an_app_that_cannot_be_indexed_stops_the_start(app: HostApp, start: Start) -> None:
    (app.folder / "function_app.py").write_text("import nowhere_to_be_found")
    with pytest.raises(HostError, match="nowhere_to_be_found"), start():
        pass


def test_a_stop_leaves_no_process(app: HostApp, start: Start) -> None:
    with start(slow_seconds=60) as host:
        app.upload("slow.wav")
        eventually(lambda: app.calls() == ["slow.wav"])
        pid = host.worker_pid
        assert pid is not None
        assert alive(pid)
    assert not alive(pid)


def test_a_worker_that_cannot_start_shows_its_last_output(tmp_path: Path) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho 'out of order' >&2\nexit 1\n")
    program.chmod(0o755)
    worker = Worker(program, tmp_path, bare_environment())
    with pytest.raises(HostError, match="out of order"):
        worker.start()
    worker.stop()


def test_a_stopped_worker_refuses_requests(tmp_path: Path, python: Path) -> None:
    worker = Worker(python, tmp_path, bare_environment())
    worker.stop()
    with pytest.raises(WorkerStopped):
        worker.invoke({})
