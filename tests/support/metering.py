"""Measures what one file costs: the CPU time and the memory of this process and of the decoders that work on it."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from transcription.audio.decoders import Decoder
from transcription.audio.process_usage import ProcessUsage


def megabytes(field: str, process: int | str = "self") -> int:
    """Return a process's memory: VmRSS for now, VmHWM for its peak. 0 once it has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith(field)), 0) // 1024


def forget_peak(process: int | str = "self") -> None:
    """Let the peak memory start again from now on. Otherwise one large file would hide all smaller ones after it."""
    Path(f"/proc/{process}/clear_refs").write_text("5")


class Meter:
    """The costs of one file. As the recording's `check`, it looks at the decoder at least four times a second.

    A decoder that ends by itself is seen for the last time before that: its own limits have ended it.

    decoder_megabytes: the most that a decoder held beyond what it held after its start.
    """

    def __init__(self) -> None:
        """Measure from now on."""
        self.decoder_megabytes = 0
        self._decoder: MeteredDecoder | None = None
        self._usage: ProcessUsage | None = None
        self._decoders_cpu, self._decoder_cpu = 0.0, 0.0
        forget_peak()
        self._megabytes, self._thread_cpu = megabytes("VmRSS"), time.thread_time()

    @property
    def own_megabytes(self) -> int:
        """Return the most that this process held beyond what it held at the beginning."""
        return megabytes("VmHWM") - self._megabytes

    @property
    def cpu_seconds(self) -> float:
        """Return the CPU time of this thread and of the decoders."""
        return time.thread_time() - self._thread_cpu + self._decoders_cpu + self._decoder_cpu

    def __call__(self) -> None:
        """Look at the decoder that works on the file now."""
        if self._decoder and self._usage:
            peak = megabytes("VmHWM", self._decoder.process_id)
            self.decoder_megabytes = max(self.decoder_megabytes, peak - self._decoder.megabytes_at_start)
            self._decoder_cpu = max(self._decoder_cpu, self._usage.cpu_seconds())

    def watch(self, decoder: "MeteredDecoder") -> None:
        """Count this decoder's costs too."""
        self._decoders_cpu += self._decoder_cpu
        self._decoder, self._decoder_cpu = decoder, 0.0
        self._usage = ProcessUsage(decoder.process_id)
        self._usage.begin()


class MeteredDecoder(Decoder):
    """A decoder that tells the meter of its file what it takes."""

    def __init__(self) -> None:
        before = _children()
        super().__init__()
        (self.process_id,) = _children() - before
        self.megabytes_at_start = 0
        self._meter: Meter | None = None

    def open(self, size: int, check: Callable[[], None]) -> None:
        super().open(size, check)
        # It has asked for the beginning of the file, and waits.
        self.megabytes_at_start = self.megabytes_at_start or megabytes("VmRSS", self.process_id)
        forget_peak(self.process_id)
        self._meter = check if isinstance(check, Meter) else None
        if self._meter:
            self._meter.watch(self)

    def end(self) -> None:
        if self._meter:
            self._meter()
        super().end()


def _children() -> set[int]:
    """Return the processes that this thread has started."""
    return set(map(int, Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split()))
