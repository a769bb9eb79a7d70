"""Only pairs of container and codec that recorders really write are decoded."""

import pytest

from tests.support.media_files import encode
from tests.support.recordings import SPEECH, decode, refusal
from transcription.audio.formats import CODECS, MAX_PACKET_BYTES


@pytest.mark.parametrize(("container", "codec"), [("avi", "g722"), ("avi", "flac"), ("asf", "adpcm_ms")])
def test_a_codec_in_a_container_that_nobody_uses_for_it_is_refused(container: str, codec: str) -> None:
    assert f"not supported in {container}" in refusal(encode(SPEECH, container, codec))


def test_the_same_codec_is_decoded_where_it_is_usual() -> None:
    assert decode(encode(SPEECH, "wav", "g722"))[0].damage is None


def test_every_container_has_codecs() -> None:
    assert all(CODECS.values())
    assert MAX_PACKET_BYTES > 16 * 3 * 192_000 / 10, "a tenth of a second of 16 studio channels"
