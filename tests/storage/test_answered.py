"""The answers of one upload are found and written once, and lines of others are not trusted."""

import json
import threading

import pytest

from tests.support.work import answered
from transcription.storage import answered as module
from transcription.storage.answered import MAX_LINE, Answers, header_line, read_lines


def changed(**changes: object) -> bytes:
    return json.dumps({**json.loads(answered(1).line()), **changes}).encode()


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\xff\x00",
        b"null",
        b"[]",
        b"{}",
        b"[" * 100_000,
        answered(1).line()[:-9],
        changed(start=-1),
        changed(start=True),
        changed(start=1.5),
        changed(start=10**30),
        changed(start=99_999, end=1),
        changed(crc="1"),
        changed(channel=None),
        changed(ids="abc"),
        changed(ids=[1]),
        changed(body=None),
        changed(body={"a": 1}),
        changed(body="\ud800"),
        b'{"start": ' + b"9" * 5000 + b"}",
    ],
)
def test_a_torn_or_garbled_line_is_ignored(line: bytes) -> None:
    lines = b"\n".join([answered(1).line().strip(), line, answered(2).line()])
    assert [each.crc for each in read_lines(lines).values()] == [1, 2]


def test_the_first_of_repeated_lines_counts() -> None:
    lines = answered(1, b"first").line() + answered(1, b"second").line()
    assert [each.body for each in read_lines(lines).values()] == [b"first"]


def test_channels_of_the_same_samples_are_told_apart() -> None:
    lines = answered(1, b"left", 0).line() + answered(1, b"right", 1).line()
    assert len(read_lines(lines)) == 2


def test_no_more_than_so_many_lines_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ANSWERS", 3)
    assert len(read_lines(b"".join(answered(number).line() for number in range(9)))) == 3


def test_no_two_uploads_or_fingerprints_share_a_header() -> None:
    headers = {header_line(*parts) for parts in [("a", "b", "c"), ("ab", "", "c"), ("a", "bc", ""), ("a", "b", "d")]}
    assert len(headers) == 4


def test_the_second_answer_to_a_request_is_not_kept() -> None:
    answers = Answers("a.wav")
    answers.add(answered(1, b"first"))
    answers.add(answered(1, b"second"))
    found = answers.find(answered(1).key)
    assert found
    assert found.body == b"first"
    assert len(answers.batch()) == 1


def test_only_what_is_not_stored_stays_pending() -> None:
    answers = Answers("a.wav")
    for number in (1, 2):
        answers.add(answered(number))
    answers.merge({answered(2).key: answered(2), answered(3).key: answered(3)})
    assert list(answers.batch()) == [answered(1).key]
    assert answers.find(answered(3).key) == answered(3)


def test_what_is_written_is_no_longer_pending_but_still_found() -> None:
    answers = Answers("a.wav")
    answers.add(answered(1))
    answers.written(answers.batch())
    assert not answers.pending
    assert answers.find(answered(1).key) == answered(1)


def test_a_batch_is_no_longer_than_one_append() -> None:
    answers = Answers("a.wav")
    body = bytes(b"x" * (MAX_LINE // 3))
    for number in range(4):
        answers.add(answered(number, body))
    assert list(answers.batch()) == [answered(0).key, answered(1).key]


def test_an_answer_too_long_for_a_line_is_not_kept_and_does_not_hold_up_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answers = Answers("a.wav")
    answers.add(answered(1, bytes(MAX_LINE)))
    answers.add(answered(2))
    assert list(answers.batch()) == [answered(2).key]
    assert "too long" in caplog.text


def test_memory_is_bounded_and_that_is_logged_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 3 * len(answered(1).line()))
    answers = Answers("a.wav")
    for number in range(1, 9):
        answers.add(answered(number))
    assert [bool(answers.find(answered(number).key)) for number in (1, 3, 4, 8)] == [True, True, False, False]
    assert caplog.text.count("is full") == 1


def test_waiting_ends_with_an_answer_or_with_the_end() -> None:
    answers, ended = Answers("a.wav"), threading.Event()
    answers.add(answered(1))
    assert answers.wait(ended.is_set)
    waiting = threading.Thread(target=answers.wait, args=(ended.is_set,))
    waiting.start()
    ended.set()
    answers.wake()
    waiting.join(5)
    assert not waiting.is_alive()
    assert not answers.wait(ended.is_set)
