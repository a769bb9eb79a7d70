"""The names of blobs: which outputs belong to which upload, and which names a request can reach.

The uploader chooses the name: up to 1,024 characters of any kind. So every name is treated as hostile.
https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata.
"""

import hashlib
import re

LONGEST_NAME = 1024  # UTF-16 units of a blob's name; storage counts characters in these or in larger units
LONGEST_STEM = LONGEST_NAME - len(".json")  # ".json" is the longest suffix, so all outputs of an upload share a stem
HASH_UNITS = len("~") + 2 * hashlib.sha256().digest_size  # at the end of a stem that does not hold the whole name
PREFIX_UNITS = LONGEST_STEM - HASH_UNITS  # UTF-16 units of a name that its stem always begins with

_HASHED = re.compile(r"~[0-9a-f]{64}\Z")


def output_name(name: str, kind: str = "json") -> str:
    """Return the name of an upload's document or captions. No two uploads share one.

    The suffix is added rather than replaced, because `a.wav` and `a.mp3` need different documents. Even if `a.wav` and
    `a.wav.vtt` are both uploads, an output's name without its last suffix belongs to one upload only. A name that is
    too long for a suffix keeps its beginning and ends in its SHA-256. So does a name that looks like such a stem,
    because somebody may have chosen it to collide with another upload's output.
    """
    if _utf16_units(name) > LONGEST_STEM or (_utf16_units(name) >= LONGEST_STEM - 1 and _HASHED.search(name)):
        prefix = name.encode("utf-16-le")[: 2 * PREFIX_UNITS].decode("utf-16-le", "ignore")  # drops half a character
        name = f"{prefix}~{hashlib.sha256(name.encode()).hexdigest()}"
    return f"{name}.{kind}"


def is_reachable(name: str) -> bool:
    """Tell whether a request for that name reaches that blob, if it exists.

    HTTP clients resolve `.` and `..` before they send a path. `x/../../other/a` would lead out of the container, and an
    identity or a SAS would allow it. Storage reads a backslash as a slash. Half a surrogate pair cannot be sent at all,
    and no blob's name contains a NUL or exceeds the limit.
    """
    try:
        fits = 0 < _utf16_units(name) <= LONGEST_NAME
    except UnicodeEncodeError:
        return False
    return fits and "\0" not in name and not {".", ".."} & set(re.split(r"[/\\]", name))


def _utf16_units(name: str) -> int:
    """Return the length in UTF-16 units. Characters outside the Basic Multilingual Plane count twice."""
    return len(name.encode("utf-16-le")) // 2
