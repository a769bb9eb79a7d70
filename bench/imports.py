"""What a cold start imports."""

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
began = time.process_time()
import {modules}
print(json.dumps([time.process_time() - began, "av" in sys.modules]))
"""


def rows() -> Iterator[Row]:
    say(f"  {PAIRS} imports each")
    ours, theirs, loaded = [], [], False
    for _ in range(PAIRS):
        seconds, av = imported("function_app")
        ours.append(seconds)
        loaded = loaded or av
        theirs.append(imported(PACKAGES)[0])
    yield Row(
        "CPU to import function_app in a new process",
        "its four packages alone",
        milliseconds(ours),
        milliseconds(theirs),
        ratios(ours, theirs),
        "×",
        1.15,
    )
    yield Row("modules of av that it imports", "–", "some" if loaded else "none", "", [float(loaded)], "", 0)


def imported(modules: str) -> tuple[float, bool]:
    """CPU seconds, and whether the decoder was loaded too."""
    seconds, av = json.loads(python("-c", PROGRAM.format(modules=modules)).output)
    return seconds, av
