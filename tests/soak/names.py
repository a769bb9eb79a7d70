"""Names of uploads: one name, one output, and the document holds the true name."""

from hypothesis import given, settings

from local.speech import Script
from tests.soak.harness import Harness, SoakApp
from tests.soak.report import Result, Tally
from tests.support.blob_names import LISTED, names
from tests.support.sound import murmur, wav
from tests.support.words import hello_world
from transcription.job import Job
from transcription.storage.names import LONGEST_NAME, is_reachable, output_name
from transcription.storage.transcripts import CAPTION_TYPES

BAR = "names"
RECORDING = wav(murmur(0.2))


def run(harness: Harness) -> Result:
    chosen, count = LISTED[:: harness.number(1, 5)], harness.number(2000, 200)
    generated = made(count)
    every = [*LISTED, *generated]
    made_up = {output_name(name).removesuffix(".json") for name in every}.difference(every)  # to meet another's output
    tally = Tally(BAR, len(LISTED) + count + len(made_up) + len(chosen))
    taken: dict[str, str] = {}
    tally.each(lambda name: one_output(name, taken), [*every, *made_up], at_once=1)
    with harness.app(Script(hello_world)) as app:
        job = app.job()
        stored = [name for name in chosen if is_reachable(name)]
        tally.each(lambda name: told(app, job, name), stored, at_once=4)
        documents = len(app.documents())
        if documents != len(stored):
            tally.ran(f"{documents} documents for {len(stored)} uploads")
    return tally.result(
        f"{len(LISTED)} chosen, {len(generated)} generated and {len(made_up)} made up to meet their outputs:"
        f" {len(taken)} outputs of {len(set(taken.values()))} names; {len(stored)} uploaded: {documents} documents"
    )


def made(count: int) -> list[str]:
    found: set[str] = set()

    @settings(max_examples=3 * count, deadline=None, derandomize=True, database=None)
    @given(names())
    def collect(name: str) -> None:
        found.add(name)

    collect()
    return sorted(found)[:count]


def one_output(name: str, taken: dict[str, str]) -> str | None:
    """Each kind of output is this name's only, and can itself be a blob's name."""
    for kind in ("json", *CAPTION_TYPES):
        output = output_name(name, kind)
        if taken.setdefault(output, name) != name:
            return f"{name!r:.80} and {taken[output]!r:.80} have one output"
        if len(output.encode("utf-16-le")) // 2 > LONGEST_NAME or (is_reachable(name) and not is_reachable(output)):
            return f"{name!r:.80} has an output that is no blob's name"
    return None


def told(app: SoakApp, job: Job, name: str) -> str | None:
    app.upload(name, RECORDING)
    tries = app.deliver(lambda: job, name)
    document = app.read(name)
    right = document["status"] == "Succeeded" and document["source"]["name"] == name and tries == 1
    return None if right else f"{name!r:.80}: {document['status']} in {tries} tries"
