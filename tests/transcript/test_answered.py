"""Answered requests survive as lines, whatever their bytes."""

import json

from hypothesis import given
from hypothesis import strategies as st

from tests.support.work import answered
from transcription.transcript.answered import Answered


@given(body=st.binary(max_size=200))
def test_any_body_comes_back_from_its_line_byte_by_byte(body: bytes) -> None:
    request = Answered(3, 5, 7, ("a" * 32, "b" * 32), body, 1)
    line = request.line()
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert Answered.of_line(line) == request


def test_words_in_any_script_take_no_more_than_their_bytes() -> None:
    body = json.dumps({"t": "会議" * 1000}, ensure_ascii=False).encode()
    assert len(answered(1, body).line()) < len(body) + 300
