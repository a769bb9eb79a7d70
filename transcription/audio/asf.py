"""Reads the length that an ASF file (wma, wmv) declares.

libav believes it only where the file has the declared size. Of a file that was cut off it estimates the length from the
size and the bit rate, and never says that it did.
"""

import struct

from transcription.audio.source_file import SeekableFile

HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
HEADER_BYTES = 64 << 10  # searched for the properties, which usually come first
BROADCAST = 1  # a flag: the recorder could not know the length
TICKS_PER_SECOND = 10_000_000


def declared_seconds(file: SeekableFile) -> float | None:
    """Return the declared duration. None if the file declares none or is no ASF file."""
    file.seek(0)
    header = file.read(HEADER_BYTES)
    position = header.find(FILE_PROPERTIES)
    if not header.startswith(HEADER) or not 0 < position <= len(header) - 92:
        return None
    ticks, preroll_milliseconds, flags = struct.unpack_from("<Q8xQI", header, position + 64)
    seconds: float = ticks / TICKS_PER_SECOND - preroll_milliseconds / 1000
    return seconds if seconds > 0 and not flags & BROADCAST else None
