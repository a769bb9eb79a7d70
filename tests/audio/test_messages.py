"""Messages arrive as they were sent. A decoder is not trusted, so all that it sends is checked."""

import struct
import threading
from multiprocessing import Pipe

import pytest

from transcription.audio import messages
from transcription.audio.messages import MOST_MESSAGE_BYTES, MOST_READ_BYTES, End, Format


def test_a_message_arrives_as_it_was_sent() -> None:
    ours, theirs = Pipe()
    with ours, theirs:
        for kind, content in ((messages.SAMPLES, b"\0\1" * 16_000), (messages.READY, b"")):
            messages.send(theirs, kind, content)
            assert messages.receive(ours) == (kind, content)


@pytest.mark.parametrize("sent", [Format("wav / pcm_s16le", 2.5), Format("ogg / opus", None)])
def test_a_format_arrives_as_it_was_sent(sent: Format) -> None:
    ours, theirs = Pipe()
    with ours, theirs:
        messages.send_fields(theirs, messages.FORMAT, sent)
        assert Format.parse(messages.receive(ours)[1]) == sent


@pytest.mark.parametrize("sent", [End(None, ()), End("the file is damaged", ((1.5, 0.2), (3.0, 0.0)))])
def test_the_damage_arrives_as_it_was_sent(sent: End) -> None:
    ours, theirs = Pipe()
    with ours, theirs:
        messages.send_fields(theirs, messages.END, sent)
        assert End.parse(messages.receive(ours)[1]) == sent


def test_a_message_of_any_size_is_not_taken() -> None:
    ours, theirs = Pipe()
    with ours, theirs:
        threading.Thread(target=theirs.send_bytes, args=(bytes(MOST_MESSAGE_BYTES + 1),), daemon=True).start()
        with pytest.raises(OSError, match="message length"):
            messages.receive(ours)


def test_a_range_is_never_longer_than_a_read() -> None:
    assert messages.range_in(messages.packed_range(7, 9)) == (7, 9)
    assert messages.range_in(messages.packed_range(7, 1 << 60)) == (7, MOST_READ_BYTES)
    with pytest.raises(struct.error):
        messages.range_in(b"7")


def test_a_size_arrives_as_it_was_sent() -> None:
    assert messages.size_in(messages.packed_size(1 << 40)) == 1 << 40
