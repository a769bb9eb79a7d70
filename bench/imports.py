"""The imports of a cold start."""

import json
from collections.abc import Iterator

from bench.children import python
from bench.results import Row, milliseconds, ratios
from local.progress import say

PAIRS = 25
PACKAGES = "azure.functions, requests, azure.storage.blob, azurefunctions.extensions.bindings.blob"
PROGRAM = """
import json, sys, time, logging
logging.disable()
started = time.process_time()
import {modules}
print(json.dumps([time.process_time() - started, "av" in sys.modules]))
"""


def rows() -> Iterator[Row]:
    say(f"  {PAIRS} imports each")
    ours, theirs, decoder_loaded = [], [], False
    for _ in range(PAIRS):
        seconds, loaded = import_cost("function_app")
        ours.append(seconds)
        decoder_loaded = decoder_loaded or loaded
        theirs.append(import_cost(PACKAGES)[0])
    yield Row(
        "CPU to import function_app in a new process",
        "its four packages alone",
        milliseconds(ours),
        milliseconds(theirs),
        ratios(ours, theirs),
        "×",
        1.15,
    )
    loaded_text = "some" if decoder_loaded else "none"
    yield Row("modules of av that it imports", "–", loaded_text, "", [float(decoder_loaded)], "", 0)


def import_cost(modules: str) -> tuple[float, bool]:
    """Return the CPU seconds that these imports take, and whether they load the decoder."""
    seconds, loaded = json.loads(python("-c", PROGRAM.format(modules=modules)).output)
    return seconds, loaded
