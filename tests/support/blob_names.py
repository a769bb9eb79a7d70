"""Names that an upload could have: chosen ones, and generated ones."""

from hypothesis import strategies as st

from transcription.storage.names import MAX_NAME_UNITS, MAX_STEM_UNITS, output_name

DIGEST = "0123456789abcdef" * 4
LISTED = [
    "a.wav",
    "a.mp3",
    "a",
    "A.WAV",
    "fr-FR/meeting.m4a",
    "deep/" * 100 + "a.wav",
    "/leading",
    "trailing/",
    "two//slashes",
    "//",
    ".hidden",
    "ends in a dot.",
    "folder./a.wav",
    "...",
    "..a/b..c",
    ".json",
    "a.json",
    "a.json.json",
    "a.vtt",
    "a b.wav",
    " a ",
    " ",
    "100%.wav",
    "%",
    "%2e%2e/%2F",
    "%00",
    "a%20b+c",
    "a+b.wav",
    "a&b=c;d,e.wav",
    "what?.wav",
    "#1.wav",
    "\"double\" and 'single'.wav",
    "<a>&amp;.wav",
    "{name}.wav",
    "*|:~^`$!@().wav",
    "[a].wav",
    "a\tb.wav",
    "two\nlines.wav",
    "carriage\rreturn.wav",
    "\x7f.wav",
    "Grüße.wav",
    "é.wav",
    "e\u0301.wav",
    "会議/録音.wav",
    "اجتماع.wav",
    "\u202egnp.wav",
    "\u200b",
    "\ufeffa.wav",
    "😀.wav",
    "👩‍👩‍👧‍👦/🏳️‍🌈.wav",
    "\U0010ffff",
    "\ue000.wav",
    "x" * (MAX_STEM_UNITS - 1),
    "x" * MAX_STEM_UNITS,
    "x" * (MAX_STEM_UNITS + 1),
    "x" * MAX_NAME_UNITS,
    "x" * (MAX_NAME_UNITS - 1) + "y",
    "é" * MAX_NAME_UNITS,
    "録" * MAX_NAME_UNITS,
    "😀" * (MAX_NAME_UNITS // 2),
    "x" + "😀" * (MAX_NAME_UNITS // 2 - 1),
    "x" * (MAX_STEM_UNITS - 65) + "~" + DIGEST,
    "y" * (MAX_STEM_UNITS - 66) + "~" + DIGEST,
    "short~" + DIGEST,
    ("f" * 100 + "/") * 10 + "a.wav",
]
# Azurite accepts these and then fails to list their container. Azure refuses them.
UNLISTED = ["\x01.wav", "\x1b[31mred.wav", "\x0b", "\uffff"]


def units(name: str) -> int:
    """Return the length of a name as storage counts it."""
    return len(name.encode("utf-16-le")) // 2


@st.composite
def names(draw: st.DrawFn) -> str:
    """Draw a short name, or one about as long as a name can be, from any characters."""
    piece = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)
    end = draw(piece)
    if draw(st.booleans()):
        return end
    beginning = draw(piece) * MAX_NAME_UNITS
    length = draw(st.integers(MAX_STEM_UNITS - 4, MAX_NAME_UNITS))
    whole = (beginning.encode("utf-16-le")[: 2 * (length - units(end))]).decode("utf-16-le", "ignore") + end
    return draw(st.sampled_from([whole, output_name(whole).removesuffix(".json")]))
