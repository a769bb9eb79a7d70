"""Names of blobs: which output belongs to which upload, and which names a request can be made for.

Whoever uploads chooses the name, out of 1,024 characters of any kind. So a name is hostile until shown otherwise.
https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata.
"""

import hashlib
import re

LONGEST_NAME = 1024  # characters of a blob's name, counted in UTF-16 units: the most that storage may count
LONGEST_STEM = LONGEST_NAME - len(".json")  # the longest suffix of all, so that an upload's outputs share a stem
TAIL = len("~") + 2 * hashlib.sha256().digest_size  # of a stem that does not hold the whole name
KEPT = LONGEST_STEM - TAIL  # UTF-16 units of any name that are in its stem

_HASHED = re.compile(r"~[0-9a-f]{64}\Z")


def output_name(name: str, kind: str = "json") -> str:
    """The name of an upload's document or captions: one to one, for `a.wav` and `a.mp3` must not meet.

    Nor can any other two, also not where `a.wav` and `a.wav.vtt` are both uploads: a name without its last suffix is
    one upload's only. A name that is too long with a suffix keeps its beginning and ends in its SHA-256. So does one
    that looks like such a stem, since somebody may have made it up to meet another's.
    """
    if _units(name) > LONGEST_STEM or (_units(name) >= LONGEST_STEM - 1 and _HASHED.search(name)):
        beginning = name.encode("utf-16-le")[: 2 * KEPT].decode("utf-16-le", "ignore")  # without half a character
        name = f"{beginning}~{hashlib.sha256(name.encode()).hexdigest()}"
    return f"{name}.{kind}"


def is_reachable(name: str) -> bool:
    """Whether a request for that name ends at that blob, if there is one.

    HTTP clients resolve `.` and `..` before they send a path: `x/../../other/a` would lead out of the container, and an
    identity or a SAS would open it. Storage takes a backslash for a slash. Half a character cannot be sent at all, and
    no blob's name has a NUL or more characters than there may be.
    """
    try:
        fits = 0 < _units(name) <= LONGEST_NAME
    except UnicodeEncodeError:
        return False
    return fits and "\0" not in name and not {".", ".."} & set(re.split(r"[/\\]", name))


def _units(name: str) -> int:
    """Characters outside the Basic Multilingual Plane count twice."""
    return len(name.encode("utf-16-le")) // 2
