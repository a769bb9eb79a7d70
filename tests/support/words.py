"""The words of a text, and an endpoint's answer that is always the same."""

from local.speech import Word


def hello_world(pcm: bytes, language: str) -> list[Word]:
    """`Hello world.` from end to end, whatever the clip."""
    half = len(pcm) / 64_000
    edge = min(0.1, 0.1 * half)
    return [Word("hello", edge, half - edge), Word("world", half, half - edge)]


def spoken(text: str) -> list[str]:
    """The words of a text, without capitals and punctuation; `~` stays, which marks broken ones."""
    plain = "".join(c for c in text.casefold() if c.isalnum() or c in "~' ")
    return plain.split()
