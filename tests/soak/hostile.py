"""A process that reads broken files and files made to do harm, as the app does, and measures what they cost.

The files of each kind are numbered, and a number always gives the same file. `python -m tests.soak.hostile` takes a
line of JSON for each file, its kind and number, and answers with a line, its `Reading`. At the end of its input, it
prints the `Report` of the neighbour that was decoded meanwhile. It is a process of its own, so that a crash is
recognised as one.
"""

import io
import json
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path

from local.progress import say
from tests.soak.damaged_files import damaged, header
from tests.soak.fuzzed_files import fuzzed
from tests.soak.neighbour import Neighbour
from tests.support.attack_files import MANY_PACKETS, ONE_PACKET, UNUSUAL_PAIRS
from tests.support.hostile_files import BOMBS, playlists
from tests.support.metering import Meter, MeteredDecoder
from transcription.audio.decoders import Decoders, GaveUp
from transcription.audio.pcm import BYTES_PER_SECOND
from transcription.audio.recording import open_recording
from transcription.errors import Final

LONGEST_AUDIO = 600  # seconds; enough to see what a second costs. The app stops after MAX_AUDIO_MINUTES

ENDED_EARLY = ("given up", "too long")  # outcomes after which the decoder must not be used again


@dataclass(frozen=True)
class Reading:
    """The outcome of a file, and its costs: of this process and of the decoder.

    afterwards: the problem with an ordinary recording that came next, if there was one.
    """

    outcome: str
    audio_seconds: float
    cpu_seconds: float
    own_megabytes: int
    decoder_megabytes: int
    afterwards: str | None = None


@cache
def harmful() -> Mapping[str, Callable[[], bytes]]:
    known = {**BOMBS, **playlists(Path("/etc/hostname"))}
    return {
        **MANY_PACKETS,  # first, since they take the longest
        **ONE_PACKET,
        **UNUSUAL_PAIRS,
        **{name: partial(bytes, content) for name, content in known.items()},
    }


def is_unusual(kind: str, number: int) -> bool:
    """Tell whether the file's codec is in a container in which no recorder writes it."""
    return kind == "harmful" and list(harmful())[number] in UNUSUAL_PAIRS


KINDS: Mapping[str, Callable[[int], bytes]] = {
    "harmful": lambda number: list(harmful().values())[number](),
    "damaged": damaged,
    "headers": header,
    "fuzzed": fuzzed,
}


def read(content: bytes, decoders: Decoders) -> Reading:
    """Read to the end, or to the longest supported recording."""
    meter = Meter()
    outcome, audio_seconds = "read", 0.0
    try:
        with closing(open_recording(io.BytesIO(content), len(content), decoders, meter)) as recording:
            if recording.exceeds(LONGEST_AUDIO):  # as the app does first
                outcome, audio_seconds = "too long", LONGEST_AUDIO
            else:
                for block in recording.blocks():
                    audio_seconds += len(block) / BYTES_PER_SECOND
                    if audio_seconds > LONGEST_AUDIO:
                        outcome = "too long"
                        break
                meter()
    except GaveUp:
        outcome = "given up"
    except Final:
        outcome = "refused"
    return Reading(outcome, audio_seconds, meter.cpu_seconds, meter.own_megabytes, meter.decoder_megabytes)


def main() -> None:
    with closing(Decoders(MeteredDecoder)) as decoders, Neighbour(decoders) as neighbour:
        for line in sys.stdin:
            kind, number = json.loads(line)
            reading = read(KINDS[kind](number), decoders)
            if reading.outcome in ENDED_EARLY:
                reading = replace(reading, afterwards=neighbour.problem_now())
            say(json.dumps(asdict(reading)))
    say(json.dumps(asdict(neighbour.report)))


if __name__ == "__main__":
    main()
