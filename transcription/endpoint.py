"""Where the Speech service answers, worked out from a region or from whatever address people have at hand.

The portal shows `https://<region>.api.cognitive.microsoft.com`, the documentation
`https://<region>.stt.speech.microsoft.com`, a private endpoint is a custom domain, and the sovereign clouds have
hosts of their own. All of them are understood here, once, so that nobody has to know which of a resource's addresses
is meant.
"""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

RECOGNITION_PATH = "/speech/recognition/conversation/cognitiveservices/v1"
TOKEN_PATH = "/sts/v1.0/issueToken"  # noqa: S105  # a path

_REGION = re.compile(r"[a-z][a-z0-9-]{2,40}")
# (speech host, token host) by cloud, after the region's name.
_PUBLIC = (".stt.speech.microsoft.com", ".api.cognitive.microsoft.com")
_US_GOVERNMENT = (".stt.speech.azure.us", ".api.cognitive.microsoft.us")
_CHINA = (".stt.speech.azure.cn", ".api.cognitive.azure.cn")
_REGIONAL_SUFFIXES = [suffix for cloud in (_PUBLIC, _US_GOVERNMENT, _CHINA) for suffix in cloud]


@dataclass(frozen=True)
class Endpoint:
    """`base` is what people know the endpoint by; the two URLs are what requests go to."""

    base: str
    recognition_url: str
    token_url: str

    @classmethod
    def of_region(cls, region: str) -> "Endpoint":
        """The endpoint of a region's own hosts; `usgov…` and `china…` lie in other clouds. ValueError: not a region's
        name.
        """
        name = region.strip().lower()
        if not _REGION.fullmatch(name):
            raise ValueError("a region's short name, such as westeurope")
        speech, token = _US_GOVERNMENT if name.startswith("usgov") else _CHINA if name.startswith("china") else _PUBLIC
        base = f"https://{name}{speech}"
        return cls(base, base + RECOGNITION_PATH, f"https://{name}{token}{TOKEN_PATH}")

    @classmethod
    def of_address(cls, address: str) -> "Endpoint":
        """The endpoint of a base URL: regional, sovereign, the portal's, a custom domain or loopback.

        ValueError: what an address may be, in words that follow "it may be".
        """
        url = urlsplit(address.strip())
        if not url.hostname or url.username or url.password or url.query or url.fragment:
            raise ValueError(
                "a base URL such as https://westeurope.stt.speech.microsoft.com, without user, query or fragment"
            )
        loopback = _is_loopback(url.hostname)
        if url.scheme != "https" and not (loopback and url.scheme == "http"):
            raise ValueError("an https URL (plain http only on this machine's own loopback address)")
        if region := _region_in(url.hostname):
            return cls.of_region(region)
        base = _without_known_path(url)
        recognition = base if loopback or base.endswith("/stt") else base + "/stt"
        return cls(base, recognition + RECOGNITION_PATH, base.removesuffix("/stt") + TOKEN_PATH)


def _region_in(host: str) -> str | None:
    """The region a host of the service belongs to, by any of its names."""
    for suffix in _REGIONAL_SUFFIXES:
        if host.endswith(suffix):
            return host.removesuffix(suffix)
    return None


def _without_known_path(url: SplitResult) -> str:
    """The address less the paths that are added again: people paste the whole URL of a request."""
    path = url.path.rstrip("/")
    for known in (RECOGNITION_PATH, TOKEN_PATH):
        if path.casefold().endswith(known.casefold()):
            path = path[: -len(known)]
    return f"{url.scheme}://{url.netloc}{path}"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
