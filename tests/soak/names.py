"""Checks that every upload name has outputs of its own, and that the document holds the true name."""

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
    uploaded, count = LISTED[:: harness.number(1, 5)], harness.number(2000, 200)
    generated = generate(count)
    all_names = [*LISTED, *generated]
    # These names would collide if an output were simply the upload's name with `.json` added.
    colliding = {output_name(name).removesuffix(".json") for name in all_names}.difference(all_names)
    tally = Tally(BAR, len(LISTED) + count + len(colliding) + len(uploaded))
    owners: dict[str, str] = {}  # output → upload
    tally.run_each(lambda name: output_problem(name, owners), [*all_names, *colliding], at_once=1)
    with harness.app(Script(hello_world)) as app:
        job = app.job()
        reachable = [name for name in uploaded if is_reachable(name)]
        tally.run_each(lambda name: document_problem(app, job, name), reachable, at_once=4)
        documents = len(app.documents())
        if documents != len(reachable):
            tally.count(f"{documents} documents for {len(reachable)} uploads")
    return tally.result(
        f"{len(LISTED)} chosen, {len(generated)} generated and {len(colliding)} made to collide with their outputs:"
        f" {len(owners)} outputs of {len(set(owners.values()))} names; {len(reachable)} uploaded: {documents} documents"
    )


def generate(count: int) -> list[str]:
    """Return up to `count` different names, the same each time."""
    generated: set[str] = set()

    @settings(max_examples=3 * count, deadline=None, derandomize=True, database=None)
    @given(names())
    def collect(name: str) -> None:
        generated.add(name)

    collect()
    return sorted(generated)[:count]


def output_problem(name: str, owners: dict[str, str]) -> str | None:
    """Return the problem with the outputs of this name, if any: each must be unique and a valid blob name."""
    for kind in ("json", *CAPTION_TYPES):
        output = output_name(name, kind)
        if owners.setdefault(output, name) != name:
            return f"{name!r:.80} and {owners[output]!r:.80} have the same output"
        if len(output.encode("utf-16-le")) // 2 > LONGEST_NAME or (is_reachable(name) and not is_reachable(output)):
            return f"{name!r:.80} has an output that is not a valid blob name"
    return None


def document_problem(app: SoakApp, job: Job, name: str) -> str | None:
    """Upload, deliver, and return the problem with the document, if any. It must hold the upload's true name."""
    app.upload(name, RECORDING)
    tries = app.deliver(lambda: job, name)
    document = app.read(name)
    right = document["status"] == "Succeeded" and document["source"]["name"] == name and tries == 1
    return None if right else f"{name!r:.80}: {document['status']} in {tries} tries"
