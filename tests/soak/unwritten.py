"""Has storage refuse the document for hours: Speech is paid once, and the document comes when the cause is gone."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from azure.storage.blob import BlobLeaseClient, ContainerSasPermissions, generate_container_sas

from local.azurite import ACCOUNT_KEY
from tests.soak.harness import Content, Harness, SoakApp, make_contents
from tests.soak.hosting import QueueHost, SteppedClock
from tests.soak.report import Result, Tally
from tests.support import truth
from tests.support.storage_proxy import StorageProxy, storage_proxy
from transcription.storage.names import output_name
from transcription.storage.progress import ATTEMPT_WAITS

BAR = "documents that storage refuses"
NAME = "a.wav"
SHORT_SECONDS, LONG_SECONDS = 5.0, 25.0  # of recordings; the long ones keep their progress from the start
SWEEPS = 6  # that fail as well, of a cause that lasts for days
AT_ONCE = 4
MINUTE = 60.0
NOT_FOUND = 404, "ContainerNotFound"


@dataclass(frozen=True)
class Case:
    """A cause, a recording, and the sweeps that the cause outlasts. Without any, it ends before the last message."""

    cause: str
    seconds: float
    sweeps: int

    def __str__(self) -> str:
        return f"{self.cause}, {self.seconds:.0f} s, {self.sweeps} sweeps"


def run(harness: Harness) -> Result:
    seconds = (SHORT_SECONDS, LONG_SECONDS)
    cases = [Case(cause, length, sweeps) for cause in CAUSES for length in seconds for sweeps in (0, SWEEPS)]
    if harness.quick:
        cases = cases[::5]
    tally, runs = Tally(BAR, len(cases)), _Runs(harness)
    tally.run_each(runs.problem, cases, AT_ONCE)
    return tally.result(
        f"{', '.join(CAUSES)}: {len(cases)} recordings, {runs.refused} refused requests to storage, {runs.clips} clips,"
        f" {runs.requests} Speech calls"
    )


class _Runs:
    """Runs the cases, and counts."""

    def __init__(self, harness: Harness) -> None:
        self.refused = self.clips = self.requests = 0
        self._harness = harness
        self._contents = {length: make_contents(2, length) for length in (SHORT_SECONDS, LONG_SECONDS)}

    def problem(self, case: Case) -> str | None:
        """Run one case and return the problem, if any."""
        contents, recognizer = self._contents[case.seconds]
        with self._app(recognizer) as (app, proxy, clock):
            host = QueueHost(app, lambda: job)
            job = app.job()
            job.sweep()  # it never touches what is older than an hour at this moment
            app.upload(NAME, contents[0].wav)
            problem = host.event(NAME) or app.problem(NAME, contents[0])
            before = app.requests
            etag = app.upload(NAME, contents[1].wav)
            with CAUSES[case.cause](app, proxy):
                problem = problem or host.event(NAME)
                clips = app.requests - before
                problem = problem or _wait_in_vain(app, host, case.sweeps, clock)
            host.deliver_all()
            if case.sweeps:
                _sweep(host, clock, ATTEMPT_WAITS[-1], job.sweep)
            self._count(app, proxy, clips, before)
            return problem or _wrong(app, contents[1], etag, clips, app.requests - before, host)

    @contextmanager
    def _app(self, recognizer: truth.Recognizer) -> Iterator[tuple[SoakApp, StorageProxy, SteppedClock]]:
        clock = SteppedClock()
        with self._harness.app(recognizer, clock) as app, storage_proxy(app.service.url.rstrip("/")) as proxy:
            app.environ["AudioStorage"] = app.environ["AudioStorage"].replace(app.service.url.rstrip("/"), proxy.url)
            yield app, proxy, clock

    def _count(self, app: SoakApp, proxy: StorageProxy, clips: int, before: int) -> None:
        self.refused += proxy.ruled
        self.clips += clips
        self.requests += app.requests - before


def _wait_in_vain(app: SoakApp, host: QueueHost, sweeps: int, clock: SteppedClock) -> str | None:
    """Deliver the messages, but for the last one, or all of them and those of so many sweeps."""
    if not sweeps:
        clock.sleep(max(0.0, host.queue.seconds_to_next))
        return None if host.deliver_due() == 1 else "nothing was queued"
    host.deliver_all()
    for number in range(sweeps):
        _sweep(host, clock, ATTEMPT_WAITS[min(number, len(ATTEMPT_WAITS) - 1)], app.job().sweep)
    return None


def _sweep(host: QueueHost, clock: SteppedClock, seconds: float, sweep: Callable[[], None]) -> None:
    """Sweep so many seconds later, and deliver what the sweep queues, at once."""
    clock.ahead = seconds + MINUTE
    sweep()
    clock.ahead = 0.0
    host.deliver_all()


def _wrong(app: SoakApp, content: Content, etag: str, clips: int, requests: int, host: QueueHost) -> str | None:
    problem = app.problem(NAME, content, etag)
    if problem or requests != clips or app.progress() or host.poisoned:
        return f"{problem}; {requests} Speech calls for {clips} clips; left {app.progress()}; {host.poisoned[:2]}"
    return None


@contextmanager
def _lease(app: SoakApp, proxy: StorageProxy) -> Iterator[None]:
    """Let somebody hold a lease on the older document."""
    lease = BlobLeaseClient(app.transcripts.get_blob_client(output_name(NAME)))
    lease.acquire(-1)
    yield
    proxy.ruled += 1
    lease.release()


@contextmanager
def _retention(app: SoakApp, proxy: StorageProxy) -> Iterator[None]:
    """Protect the documents by a retention policy."""
    with _ruled(app, proxy, lambda method, _: (409, "BlobImmutableDueToPolicy") if method == "PUT" else None):
        yield


@contextmanager
def _deletion(app: SoakApp, proxy: StorageProxy) -> Iterator[None]:
    """Delete the container, which takes storage a while."""

    def rule(method: str, path: str) -> tuple[int, str]:
        return (409, "ContainerBeingDeleted") if (method, "restype" in path) == ("PUT", True) else NOT_FOUND

    with _ruled(app, proxy, rule):
        yield


@contextmanager
def _permission(app: SoakApp, proxy: StorageProxy) -> Iterator[None]:
    """Allow only reading and listing."""
    sas = generate_container_sas(
        str(app.service.account_name),
        app.transcripts.container_name,
        account_key=ACCOUNT_KEY,
        permission=ContainerSasPermissions(read=True, list=True),
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )
    with _ruled(app, proxy, lambda _, path: f"{path}{'&' if '?' in path else '?'}{sas}"):
        yield


@contextmanager
def _ruled(
    app: SoakApp, proxy: StorageProxy, rule: Callable[[str, str], tuple[int, str] | str | None]
) -> Iterator[None]:
    """Apply the rule to the container of documents."""
    container = f"/{app.transcripts.container_name}"
    proxy.rule = lambda method, path: rule(method, path) if container in path else None
    yield
    proxy.rule = None


CAUSES = {"lease": _lease, "retention": _retention, "deletion": _deletion, "permission": _permission}
