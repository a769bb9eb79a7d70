"""Matroska files as no recorder writes them: any codec with any parameters, and blocks with any number of packets."""

import struct
from collections.abc import Iterable

SIMPLE_BLOCK, FIXED_LACING = 0xA3, 0x04


def element(name: int, content: bytes) -> bytes:
    """Return an EBML element."""
    return name.to_bytes((name.bit_length() + 7) // 8) + (len(content) | 1 << 56).to_bytes(8) + content


def number(name: int, value: int) -> bytes:
    return element(name, value.to_bytes(8))


def wave_format(tag: int, channels: int, rate: int, block_align: int, bits: int, more: bytes = b"") -> bytes:
    """Return a WAVEFORMATEX structure. Matroska takes any codec that has one."""
    byte_rate = min(0xFFFFFFFF, rate * channels * max(1, bits) // 8)
    return struct.pack("<HHIIHHH", tag, channels, rate, byte_rate, block_align, bits, len(more)) + more


def matroska(
    codec: str, private: bytes, rate: float, channels: int, blocks: Iterable[bytes], milliseconds: int = 0
) -> bytes:
    """Return a file with one audio track. Each block begins so many milliseconds after the one before."""
    head = element(0x1A45DFA3, element(0x4282, b"matroska"))
    audio = element(0xE1, element(0xB5, struct.pack(">d", rate)) + number(0x9F, channels))
    names = number(0xD7, 1) + number(0x73C5, 1) + number(0x83, 2) + element(0x86, codec.encode())
    track = element(0xAE, names + audio + (element(0x63A2, private) if private else b""))
    body = element(0x1549A966, number(0x2AD7B1, 1_000_000)) + element(0x1654AE6B, track)
    clusters = b"".join(
        element(0x1F43B675, number(0xE7, index * milliseconds) + block) for index, block in enumerate(blocks)
    )
    return head + element(0x18538067, body + clusters)


def block(content: bytes, packets: int = 1) -> bytes:
    """Return a block whose content is split into so many packets of one size."""
    if packets == 1:
        return element(SIMPLE_BLOCK, b"\x81\0\0\0" + content)
    return element(SIMPLE_BLOCK, b"\x81\0\0" + bytes([FIXED_LACING, packets - 1]) + content)
