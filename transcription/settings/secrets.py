"""Recognises a secret in a text that repeats it, whatever the encoding.

Error messages quote what a server or proxy answered, and an answer may repeat the request with its key. Answers are
encoded in many ways, so masking the bytes of the key is not enough. This module compares what would be printed, and
hides the whole text: the rest of it may say the secret once more, in a form that was not found.
"""

import base64
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from urllib.parse import unquote

NOT_SHOWN = "(not shown: it repeats the key)"

RUN = 12  # letters and digits; a text that shares so many in a row with a secret repeats it
SHORTEST = 8  # letters and digits; a shorter value, such as `true`, is looked for as a whole word only
SHORTEST_WORD = 4  # characters; a shorter value is in many texts by chance
_LAYERS = 3  # of escaping; JSON in JSON, or a percent-encoded percent-encoding, has two

# \u0041, %u0041, \x41; \u{41}; U+0041; 0x41; \101; and \n and the like. Of many backslashes, the last one counts.
_ESCAPE = re.compile(
    r"[\\%](?:u([0-9a-f]{4})|x([0-9a-f]{2}))|\\u\{0*([0-9a-f]{1,5})\}|u\+([0-9a-f]{4})|0x([0-9a-f]{2})"
    r"|\\(?P<octal>[0-7]{3})|\\[abfnrtv]",
    re.IGNORECASE,
)
# Words of three letters or more, and numbers that no letter follows. Somebody may say them.
_SPEAKABLE = re.compile(r"(?:(?:[A-Z]?[a-z]{3,}+|[A-Z]{3,}+|[0-9]++(?![A-Za-z]))[ ,./_-]*)*")
_QUERY = re.compile(r"(\?|%3f)\S+", re.IGNORECASE)


class Secrets:
    """Values that no message may repeat, nor a run of 12 letters and digits of them."""

    def __init__(self, values: Iterable[str]) -> None:
        self._values = tuple(values)

    def quotable(self, text: str) -> str:
        """Return the text without the queries of URLs, or NOT_SHOWN if it repeats a secret."""
        return NOT_SHOWN if self.repeated_in(text) else _QUERY.sub("?…", text)

    def repeated_in(self, text: str) -> bool:
        """Tell whether the text holds a secret or a run of RUN letters and digits of one.

        Case, encoding and spacing make no difference, except for secrets shorter than SHORTEST.
        """
        readings = set(_readings(text))
        return self._runs_in({_plain(reading) for reading in readings}) or self._words_in(readings)

    def repeated_in_speech(self, text: str) -> bool:
        """Tell whether a transcript repeats a secret. Short secrets, words and numbers may have been said: no match."""
        secrets = Secrets(value for value in self._values if not _SPEAKABLE.fullmatch(value))
        return secrets._runs_in({_plain(reading) for reading in set(_readings(text))})

    def _runs_in(self, readings: Iterable[str]) -> bool:
        telling: dict[int, set[str]] = {}
        for value in self._values:
            for length, runs in _telling_runs(value).items():
                telling.setdefault(length, set()).update(runs)
        return any(
            not runs.isdisjoint(_runs(reading, length)) for length, runs in telling.items() for reading in readings
        )

    def _words_in(self, readings: Iterable[str]) -> bool:
        words = [value for value in self._values if len(value) >= SHORTEST_WORD and len(_plain(value)) < SHORTEST]
        return any(
            re.search(rf"(?<![A-Za-z0-9]){re.escape(word)}(?![A-Za-z0-9])", reading)
            for word in words
            for reading in readings
        )


def _plain(text: str) -> str:
    """Return the ASCII letters and digits, in lower case. NULs, separators and full-width forms make no difference."""
    if not text.isascii():  # each character alone, so that no two are combined
        text = "".join(unicodedata.normalize("NFKC", character) for character in text)
    return re.sub(r"[^a-z0-9]+", "", text.casefold())


def _readings(text: str) -> Iterator[str]:
    """Yield the text, and what it says with its escapes, percent-encoding and HTML entities decoded, layer by layer."""
    from html import unescape  # 2 ms that only errors need

    for _ in range(_LAYERS + 1):
        yield text
        yield text.encode("latin-1", "ignore").decode("utf-8", "ignore")  # headers are read as Latin-1
        text = unescape(unquote(_ESCAPE.sub(_decoded, text)))


def _decoded(escape: re.Match[str]) -> str:
    if octal := escape["octal"]:
        return chr(int(octal, 8))
    return chr(int(next(filter(None, escape.groups()), "0"), 16))


def _forms(secret: str) -> Iterator[str]:
    """Yield the secret as it is, as the numbers of its bytes, and in base64, all without separators."""
    if len(_plain(secret)) < SHORTEST:
        return
    yield _plain(secret)
    for data in (secret.encode("utf-8", "replace"), secret.encode("utf-16-le", "replace")):
        yield data.hex()
        yield "".join(map(str, data))
        for before in range(3):  # bytes in front of it within the encoded text, which shift the base64
            digits = base64.b64encode(bytes(before) + data).decode()
            yield _plain(digits[-(-before * 8 // 6) : (before + len(data)) * 8 // 6])


@lru_cache(maxsize=32)  # a process has a few secrets, and throttling brings many errors at once
def _telling_runs(secret: str) -> Mapping[int, set[str]]:
    """Return the runs of all forms of the secret, by their length."""
    runs: dict[int, set[str]] = {}
    for form in _forms(secret):
        length = min(RUN, len(form))
        runs.setdefault(length, set()).update(_runs(form, length))
    return runs


def _runs(text: str, length: int) -> set[str]:
    return {text[start : start + length] for start in range(len(text) - length + 1)}
