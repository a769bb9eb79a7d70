"""Mutants: small changes that break exactly what a bar promises. Each bar has to fail on its own.

`old` must occur exactly once in its file. So it is short, and free of names that are likely to change. If the text has
changed, rewrite the mutant for the new code; do not drop it.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Mutant:
    """One change. `bar` must see it; `broken` says in plain English what it breaks.

    `runs` are the bars to run, if `bar` is not one that can run: the search for secrets needs others.
    """

    bar: str
    broken: str
    file: str
    old: str
    new: str
    runs: tuple[str, ...] = ()

    @property
    def bars(self) -> tuple[str, ...]:
        return self.runs or (self.bar,)

    def apply(self, project: Path) -> None:
        """Change the file in this copy of the project. Raises MutantMisfit if `old` does not occur exactly once."""
        path = project / self.file
        source = path.read_text()
        if (count := source.count(self.old)) != 1:
            raise MutantMisfit(
                f"The mutant {self.broken!r} does not fit: {self.file} has {self.old!r} {count} times, not once."
                " Rewrite the mutant for the new code in tests/soak/mutants.py."
            )
        path.write_text(source.replace(self.old, self.new))


class MutantMisfit(Exception):
    """The text to replace is missing or ambiguous."""


MUTANTS = (
    Mutant(
        "duplicates",
        "no document counts as finished",
        "transcription/storage/transcripts.py",
        "return self.final and self.source_etag == upload.etag",
        "return False",
    ),
    Mutant(
        "duplicates",
        "every worker claims a blob of its own, so none meets the others",
        "transcription/storage/progress.py",
        'f"{name}\\0{etag}".encode()',
        '(f"{name}\\0{etag}" + str(__import__("time").time_ns())).encode()',
    ),
    Mutant(
        "wire",
        "an interim answer counts as the answer",
        "transcription/speech/responses.py",
        "            if not is_interim(self.status):",
        "            if True:",
    ),
    Mutant(
        "wire",
        "an answer that comes before its request was sent is not noticed",
        "transcription/speech/connections.py",
        "            if not (holds_decrypted_bytes(self.sock) or wait_for_read(self.sock, timeout=0.0)):",
        "            if True:",
    ),
    Mutant(
        "wire",
        "bytes that TLS has decrypted already are not noticed",
        "transcription/speech/responses.py",
        "return sock.pending() > 0",
        "return False",
    ),
    Mutant(
        "wire",
        "a connection is used again without the peer's acknowledgement",
        "transcription/speech/connections.py",
        "            body = self._acknowledged(body)",
        "            pass",
    ),
    Mutant(
        "wire",
        "an exchange has no deadline",
        "transcription/speech/exchanges.py",
        "exchange.late = True",
        "continue",
    ),
    Mutant(
        "sockets",
        "an answer that cannot be read counts as silence",
        "transcription/speech/answers.py",
        'raise Retryable(f"the service\'s answer could not be read ({len(body)} bytes)") from None',
        "return Answer(INITIAL_SILENCE, None, 0.0)",
    ),
    Mutant(
        "statuses",
        "Retry-After of a failure is ignored",
        "transcription/speech/retries.py",
        "if error.retry_after is not None:",
        "if False:",
    ),
    Mutant(
        "statuses",
        "Retry-After of a refusal is ignored",
        "transcription/speech/concurrency.py",
        "if retry_after is not None:",
        "if False:",
    ),
    Mutant(
        "statuses",
        "a refused clip waits by itself, as after any other failure",
        "transcription/speech/dispatcher.py",
        "        if isinstance(error, Refused):\n            wait",
        "        if False:\n            wait",
    ),
    Mutant(
        "statuses",
        "503 is final",
        "transcription/speech/failures.py",
        "status >= 500",
        "status > 503",
    ),
    Mutant(
        "outage",
        "an upload has a hundredth of its time",
        "transcription/clock.py",
        "self._ends = self.clock.monotonic() + self.seconds",
        "self._ends = self.clock.monotonic() + self.seconds / 100",
    ),
    Mutant(
        "outage",
        "a clip that is refused does not return to the queue",
        "transcription/speech/turns.py",
        "if wait >= self.budget.left():",
        "if True:",
    ),
    Mutant(
        "fairness",
        "the oldest upload gets the next place, however short the others are",
        "transcription/speech/turns.py",
        "(waiting.is_first != wants_first, waiting.place)",
        "waiting.place",
    ),
    Mutant(
        "quota",
        "a refusal does not lower the limit",
        "transcription/speech/concurrency.py",
        "self._limit = max(1.0, DECREASE * self._limit)",
        "pass",
    ),
    Mutant(
        "kills",
        "the document is written half a second before its captions",
        "transcription/storage/transcripts.py",
        "for kind, text in captions.items():",
        "import time; self._put_document(name, document, existing.etag); time.sleep(0.5)\n"
        "            existing = replace(existing, etag=self.find(name).etag)\n"
        "            for kind, text in captions.items():",
    ),
    Mutant(
        "inflight",
        "a document is overwritten, whoever has written it meanwhile",
        "transcription/storage/transcripts.py",
        "**({} if replacing is None else only_if_unchanged(replacing)),",
        "",
    ),
    Mutant(
        "inflight",
        "a first document is written, even if another worker was first",
        "transcription/storage/transcripts.py",
        "overwrite=replacing is not None,",
        "overwrite=True,",
    ),
    Mutant(
        "inflight",
        "captions are removed, even if another worker has replaced them",
        "transcription/storage/transcripts.py",
        "self._container.delete_blob(blob, **only_if_unchanged(etag))",
        "self._container.delete_blob(blob)",
    ),
    Mutant(
        "inflight",
        "a read returns whatever the upload holds now",
        "transcription/storage/uploads.py",
        "return read_stored(self._blob(upload.name), upload.etag, offset, length)",
        "return bytes(self._blob(upload.name).download_blob(offset, length, decompress=False).readall())",
    ),
    Mutant(
        "inflight",
        "no request to storage depends on an ETag",
        "transcription/storage/account.py",
        'return {"etag": f\'"{bare_etag(etag)}"\', "match_condition": MatchConditions.IfNotModified}',
        "return {}",
    ),
    Mutant(
        "stateful",
        "a transcript of older content counts as finished",
        "transcription/storage/transcripts.py",
        "return self.final and self.source_etag == upload.etag",
        "return self.final",
    ),
    Mutant(
        "media",
        "a decoder may take any memory",
        "transcription/audio/child.py",
        "resource.setrlimit(resource.RLIMIT_DATA, (most, most))",
        "pass",
    ),
    Mutant(
        "media",
        "a decoder may take any CPU time",
        "transcription/audio/decoders.py",
        'raise GaveUp("the file takes more time than a recording should")',
        "pass",
    ),
    Mutant(
        "media",
        "any codec is decoded in any container",
        "transcription/audio/container.py",
        "if stream.codec_context and stream.codec_context.codec.name in codecs:",
        "if stream.codec_context:",
    ),
    Mutant(
        "media",
        "a decoder that ends takes the app with it",
        "transcription/audio/decoders.py",
        "except (EOFError, OSError):\n            raise self._end_error() from None",
        "except (EOFError, OSError):\n            os.abort()",
    ),
    Mutant(
        "media",
        "a decoder that gave up is used again",
        "transcription/audio/decoders.py",
        "keep = usable and len(self._spare) < MOST_SPARE and ",
        "keep = ",
    ),
    Mutant(
        "harm",
        "a file on which a decoder gave up counts as a wrong setting",
        "transcription/audio/decoders.py",
        "class GaveUp(UnsupportedAudio):",
        "class GaveUp(Misconfigured):",
    ),
    Mutant(
        "names",
        "an output's name is never hashed",
        "transcription/storage/names.py",
        "if _utf16_units(name) > MAX_STEM_UNITS or (",
        "if False and (",
    ),
    Mutant(
        "endurance",
        "every recording leaks one block of memory",
        "transcription/storage/uploads.py",
        "self._blocks[number] = block",
        'self._blocks[number] = block; globals().setdefault("leak", []).append(b"x" * BLOCK_BYTES)',
    ),
    Mutant(
        "endurance",
        "every recording leaves a file open",
        "transcription/storage/uploads.py",
        "self._blocks[number] = block",
        'self._blocks[number] = block; globals().setdefault("leak", []).append(open("/dev/null"))',
    ),
    Mutant(
        "canaries",
        "a text that repeats a secret is quoted",
        "transcription/settings/secrets.py",
        "return NOT_SHOWN if self.repeated_in(text) else",
        "return",
        runs=("statuses",),
    ),
    Mutant(
        "canaries",
        "the message about a wrong setting quotes its value",
        "transcription/settings/reader.py",
        'problem = "missing" if value is None else _described(value)',
        "problem = repr(value)",
        runs=("statuses",),
    ),
    Mutant(
        "canaries",
        "storage's answers are quoted as they are",
        "transcription/storage/account.py",
        'raise StorageFailed(f"Storage failed ({type(error).__name__}): {reason(error)}") from None',
        "raise",
        runs=("sockets",),
    ),
    Mutant(
        "starved",
        "a recording that had no turn fails",
        "transcription/attempt.py",
        "answered=self._tools.answers > answers",
        "answered=False",
    ),
    Mutant(
        "budget",
        "answers are not kept",
        "transcription/storage/writer.py",
        "self._journal.append(lines if self._journal.size else self._header + lines)",
        "pass",
    ),
    Mutant(
        "stopped",
        "a document is written without a look at the claim",
        "transcription/attempt.py",
        "            self._progress.confirm()\n            self._publish(outputs, existing)",
        "            self._publish(outputs, existing)",
    ),
    Mutant(
        "once",
        "every event claims a blob of its own",
        "transcription/storage/progress.py",
        'f"{name}\\0{etag}".encode()',
        '(f"{name}\\0{etag}" + str(__import__("time").time_ns())).encode()',
    ),
    Mutant(
        "long",
        "all recordings advance together",
        "transcription/speech/turns.py",
        "(waiting.is_first != wants_first, waiting.place)",
        "waiting.task.number",
    ),
    Mutant(
        "killed",
        "answers are not kept",
        "transcription/storage/progress.py",
        "        self._answers.add(answered)",
        "        pass",
    ),
    Mutant(
        "unwritten",
        "the answers are not kept if the document cannot be written",
        "transcription/attempt.py",
        "requeue.unwritten(self._message, error, self._secure_progress)",
        "requeue.unwritten(self._message, error, lambda: None)",
    ),
    Mutant(
        "swept",
        "the sweep queues nothing",
        "transcription/recovery/sweep.py",
        "queue.send(AgainMessage(upload.name), 0.0)",
        "pass",
    ),
    Mutant(
        "swept",
        "an upload that storage does not let us read is a failure of storage",
        "transcription/storage/uploads.py",
        "if not is_lasting(error):",
        "if True:",
    ),
    Mutant(
        "swept",
        "a document of older content finishes an upload",
        "transcription/storage/backlog.py",
        'DELETE FROM uploads WHERE output = ? AND etag = ?", key',
        'DELETE FROM uploads WHERE output = ?", key[:1]',
    ),
    Mutant(
        "swept",
        "a recording that is told to wait for hours fails",
        "transcription/clock.py",
        "return wait < self.seconds",
        "return True",
    ),
    Mutant(
        "listing",
        "a listing has small pages",
        "transcription/storage/listing.py",
        "PAGE_BLOBS = 5_000",
        "PAGE_BLOBS = 500",
    ),
)
