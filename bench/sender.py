"""A process that sends one file many times: `python -m bench.sender ours|sample URL FILE COUNT`.

It is measured as a whole, so each way of sending imports only what it needs.
"""

import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

RECOGNITION = "/speech/recognition/conversation/cognitiveservices/v1"
SAMPLE_CHUNK_BYTES = 1024
WAV_HEADER_BYTES = 44
SECONDS = 60.0  # for one clip
HEADERS = {
    "Accept": "application/json",
    "Content-Type": "audio/wav; codecs=audio/pcm; samplerate=16000",
    "Transfer-Encoding": "chunked",
    "Expect": "100-continue",
}


def send_ours(url: str, file: Path, count: int) -> None:
    """Send the clips as the product does, one after another."""
    from transcription.clock import SystemClock
    from transcription.settings.app import Settings
    from transcription.speech.client import RecognitionOptions, SpeechClient
    from transcription.speech.encoding import as_wav
    from transcription.transcript.model import Usage

    settings, usage = Settings.read({**os.environ, "AZURE_SPEECH_ENDPOINT": url}), Usage()
    client = SpeechClient(settings.speech, SystemClock())
    pcm = file.read_bytes()[WAV_HEADER_BYTES:]
    for _ in range(count):
        client.recognize(as_wav(pcm), RecognitionOptions("en-US", "masked"), usage.sent, SECONDS)


def send_as_the_sample(url: str, file: Path, count: int) -> None:
    """Send the clips as the service's documentation shows it: a post for each file, in chunks of 1,024 bytes."""
    import requests

    def chunks() -> Iterator[bytes]:
        with file.open("rb") as audio:
            while chunk := audio.read(SAMPLE_CHUNK_BYTES):
                yield chunk

    headers = {**HEADERS, "Ocp-Apim-Subscription-Key": os.environ["AZURE_SPEECH_KEY"]}
    query = {"language": "en-US", "format": "detailed"}
    for _ in range(count):
        query["X-ConnectionId"] = uuid.uuid4().hex
        requests.post(url + RECOGNITION, params=query, headers=headers, data=chunks(), timeout=60).raise_for_status()


if __name__ == "__main__":
    {"ours": send_ours, "sample": send_as_the_sample}[sys.argv[1]](sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
