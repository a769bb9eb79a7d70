"""Finds the quota: one process uses a small or a large one fully, and several processes share one in peace.

The times are real ones. They are compared with those of the same requests without any overhead.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from local.progress import say
from local.speech import HelloWorld
from tests.soak.harness import Harness, SoakApp
from tests.soak.quota_load import Child, Ended, Load, Seen, child, fairness, ideal, in_order
from tests.soak.report import Result, Tally

BAR = "quotas found and shared"
CEILING = 64  # SPEECH_MAX_CONCURRENT_REQUESTS
LIGHT = 6  # rows with few requests, side by side


@dataclass(frozen=True)
class Service:
    """The time that the service takes: `fixed` seconds, and `share` seconds per second of audio."""

    fixed: float
    share: float

    def latency(self, audio_seconds: float) -> float:
        return self.fixed + self.share * audio_seconds


@dataclass(frozen=True)
class Bars:
    """The most, or the least, that a run may show."""

    time: float  # of the ideal time, for one process
    time_at_ceiling: float  # the same with CEILING places; two cores cut hardly more audio than those can send
    refused: float  # requests per answered one
    refused_at_one: float  # the same with a quota of one, where each try for a second place is refused
    refused_of_many: float  # the same for processes that share a quota
    used: float  # of a shared quota, at least
    fairness: float  # Jain's index, at least
    hour: float  # of the time of the same requests, in order, on CEILING places
    start: float = 0.0  # seconds on top of these times: a short run is mostly its start and its end
    megabytes: float = 200.0  # of an hour, above two minutes


FULL = Bars(1.25, 1.4, 0.3, 1.1, 0.5, 0.85, 0.9, 1.2)
QUICK = Bars(1.5, 1.5, 0.6, 2.0, 1.0, 0.6, 0.7, 1.5, start=6.0)
SERVICE, SLOW_SERVICE = Service(0.3, 0.05), Service(1.0, 0.1)


def run(harness: Harness) -> Result:
    bench = _Bench(harness, QUICK if harness.quick else FULL)
    light, heavy = _quick_rows(bench) if harness.quick else _full_rows(bench)
    tally = Tally(BAR, len(light) + len(heavy))
    tally.run_each(_call, light, LIGHT)
    tally.run_each(_call, heavy, 1)
    return tally.result("; ".join(bench.figures))


Work = Callable[[], str | None]


def _call(work: Work) -> str | None:
    return work()


def _quick_rows(bench: "_Bench") -> tuple[list[Work], list[Work]]:
    return [
        lambda: bench.alone(1, 1, clips=3, retry_after=1),
        lambda: bench.alone(4, 1),
        lambda: bench.alone(20, 4),
        lambda: bench.shared(2, 8, 1),
        lambda: bench.crowded(3),
        lambda: bench.hour(SERVICE, minutes=2),
    ], []


def _full_rows(bench: "_Bench") -> tuple[list[Work], list[Work]]:
    return [
        lambda: bench.alone(1, 3),
        lambda: bench.alone(1, 3, retry_after=1),
        lambda: bench.alone(4, 20),
        lambda: bench.alone(4, 20, retry_after=1),
        lambda: bench.crowded(20),
    ], [
        lambda: bench.alone(20, 60),
        lambda: bench.alone(20, 60, retry_after=1),
        lambda: bench.alone(64, 150),
        lambda: bench.alone(64, 150, retry_after=1),
        lambda: bench.shared(5, 20, 6),
        lambda: bench.shared(10, 100, 12),
        lambda: bench.hour(SLOW_SERVICE, minutes=60),
    ]


class _Bench:
    """Runs the rows. Each returns the problem with its figures, if any, and keeps them for the table."""

    def __init__(self, harness: Harness, bars: Bars) -> None:
        self.figures: list[str] = []
        self._harness = harness
        self._bars = bars

    def alone(self, quota: int, recordings: int, *, clips: int = 10, retry_after: int | None = None) -> str | None:
        """Let one process with many recordings use a quota."""
        with self._app(SERVICE, quota, retry_after) as app, child(app) as process:
            load = Load.upload(app, recordings, clips)
            (ended,) = _transcribe([process], load)
            problems, seen = load.problems(app), Seen.by(app, SERVICE.latency)
        best = ideal(seen.seconds, min(quota, CEILING))
        share = self._bars.time_at_ceiling if quota >= CEILING else self._bars.time
        slow = ended.seconds > share * best + self._bars.start
        most = self._bars.refused_at_one if quota == 1 else self._bars.refused
        label = f"one on {quota}" + ("" if retry_after is None else f", Retry-After {retry_after}")
        self._say(f"{label}: {ended.seconds / best:.2f} × the ideal time, {seen.refused_share:.2f} refused per answer")
        return _failed(label, problems, slow, seen.refused_share > most)

    def shared(self, processes: int, quota: int, recordings: int) -> str | None:
        """Let several processes, with so many recordings each, share a quota."""
        label, bars = f"{processes} on {quota}", self._bars
        with self._app(SERVICE, quota) as app, _children(app, processes) as children:
            load = Load.upload(app, processes * recordings, clips=10)
            _transcribe(children, load)
            problems, seen = load.problems(app), Seen.by(app, SERVICE.latency)
        shares = list(seen.shares().values())
        used, fair = sum(shares) / quota, fairness(shares)
        self._say(f"{label}: {used:.0%} used, fairness {fair:.2f}, {seen.refused_share:.2f} refused per answer")
        return _failed(
            label, problems, used < bars.used, fair < bars.fairness, seen.refused_share > bars.refused_of_many
        )

    def crowded(self, processes: int) -> str | None:
        """Let many processes, with one short recording each, share a quota of one."""
        label = f"{processes} on 1"
        with self._app(SERVICE, 1) as app, _children(app, processes) as children:
            load = Load.upload(app, processes, clips=1)
            ended = _transcribe(children, load)
            problems, seen = load.problems(app), Seen.by(app, SERVICE.latency)
        seconds = max(one.seconds for one in ended)
        self._say(f"{label}: all done in {seconds / sum(seen.seconds):.2f} × the ideal time")
        return _failed(label, problems)

    def hour(self, service: Service, minutes: int) -> str | None:
        """Let one process transcribe a long recording, twice: the second time it knows the quota."""
        with self._app(service, 100) as app:
            short, long = Load.of_minutes(app, "short", 1, 2), Load.of_minutes(app, "long", 2, minutes)
            with child(app) as process:
                (least,) = _transcribe([process], short)
            done = len(app.endpoint.received)
            with child(app) as process:
                cold, warm = (_transcribe([process], part)[0] for part in long.each())
            problems = [*short.problems(app), *long.problems(app)]
            seen = Seen.by(app, service.latency, done)
        seconds = seen.seconds[: len(seen.seconds) // 2]
        best, place = in_order(seconds, CEILING), ideal(seconds, CEILING)
        more = warm.megabytes - least.megabytes
        self._say(
            f"{minutes} minutes: {cold.seconds:.1f} s, then {warm.seconds:.1f} s, of {best:.1f} s on {CEILING} places"
            f" in order and {place:.1f} s in the best order; {more:+.0f} MB"
        )
        slow = warm.seconds > self._bars.hour * best + self._bars.start
        return _failed(f"{minutes} minutes", problems, slow, more > self._bars.megabytes)

    @contextmanager
    def _app(self, service: Service, quota: int, retry_after: int | None = None) -> Iterator[SoakApp]:
        endpoint: dict[str, Any] = {
            "latency": service.latency,
            "quota": quota,
            "quota_retry_after": retry_after,
            "keep_audio": False,
        }
        with self._harness.app(HelloWorld(), **endpoint) as app:
            app.environ["SPEECH_MAX_CONCURRENT_REQUESTS"] = str(CEILING)
            yield app

    def _say(self, figures: str) -> None:
        say(f"  {figures}")
        self.figures.append(figures)


@contextmanager
def _children(app: SoakApp, count: int) -> Iterator[list[Child]]:
    with ExitStack() as stack:
        yield [stack.enter_context(child(app, number)) for number in range(count)]


def _transcribe(children: Sequence[Child], load: Load) -> list[Ended]:
    """Share out the uploads, begin at the same moment everywhere, and wait for the ends."""
    for process in children:
        process.ready()
    for number, process in enumerate(children):
        process.begin(load.names[number :: len(children)])
    with ThreadPoolExecutor(len(children)) as pool:
        return list(pool.map(Child.end, children))


def _failed(label: str, problems: Sequence[str], *missed: bool) -> str | None:
    if not problems and not any(missed):
        return None
    return f"{label}: {'; '.join(problems[:3]) or 'the figures miss the bar'}"
