"""A recording of any length that is made as it is read, for tests of memory: nothing here holds more than a minute."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from pathlib import Path

from tests.support.app import SPEECH_KEY, FakeClock, app_settings
from transcription.clock import Budget
from transcription.settings.app import Settings
from transcription.speech.client import RecognitionOptions, SpeechClient
from transcription.transcriber import Transcriber
from transcription.transcript.model import Transcript, Usage


class Endless:
    """The same minute of speech again and again, as a Recording. Made elsewhere, which takes memory of its own."""

    format = "wav / pcm_s16le, 16000 Hz, 1 channel"
    damage: str | None = None
    gaps: tuple[tuple[float, float], ...] = ()

    def __init__(self, minute: Path, minutes: float) -> None:
        self.duration: float | None = 60 * minutes
        self._minute = minute.read_bytes()

    def blocks(self) -> Iterator[bytes]:
        for _ in range(round((self.duration or 0) / 60)):
            for start in range(0, len(self._minute), 65_536):
                yield self._minute[start : start + 65_536]

    def exceeds(self, seconds: float) -> bool:
        return (self.duration or 0.0) > seconds

    def close(self) -> None:
        """Nothing to release."""


class _Forgetful(BaseHTTPRequestHandler):
    """Answers that it heard a word from end to end, and keeps nothing: the local endpoint remembers every request."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        seconds = self._drain(self.rfile) / 32_000
        answer = {"RecognitionStatus": "Success", "Offset": 0, "Duration": round(seconds * 1e7), "DisplayText": "Word."}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @staticmethod
    def _drain(body: BufferedIOBase) -> int:
        length = 0
        while size := int(body.readline(), 16):
            length += len(body.read(size))
            body.readline()
        body.readline()
        return length

    def log_message(self, *_: object) -> None:
        """Not to the screen."""


def transcribed(minute: Path, minutes: float) -> Transcript:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Forgetful) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        settings = Settings.read(app_settings(AZURE_SPEECH_ENDPOINT=url, AZURE_SPEECH_KEY=SPEECH_KEY))
        clock = FakeClock()
        transcriber = Transcriber(settings, SpeechClient(settings.speech, clock))
        asked = RecognitionOptions("en-US", "masked")
        transcript = transcriber.transcribe(Endless(minute, minutes), asked, Usage(), Budget(clock, 3000, "a.wav"))
        server.shutdown()
    assert transcript.status == "Succeeded"
    return transcript
