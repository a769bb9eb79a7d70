"""The URLs of the Speech service, derived from a region or from any address of the resource.

The portal shows `https://<region>.api.cognitive.microsoft.com`. The documentation shows
`https://<region>.stt.speech.microsoft.com`. A private endpoint is a custom domain. The sovereign clouds have hosts of
their own. All of these are accepted, so nobody has to know which address is the right one.
"""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

RECOGNITION_PATH = "/speech/recognition/conversation/cognitiveservices/v1"
TOKEN_PATH = "/sts/v1.0/issueToken"  # noqa: S105  # a path

_REGION = re.compile(r"[a-z][a-z0-9-]{2,40}")
_HOST = re.compile(r"([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?|[0-9a-f:]+", re.IGNORECASE)
# People paste these paths along with the base URL: recognition in any mode, and the token's.
_KNOWN_PATHS = re.compile(r"/speech/recognition/\w+/cognitiveservices/v1$|/sts/v1\.0/issueToken$", re.IGNORECASE)


@dataclass(frozen=True)
class Cloud:
    """A cloud's host suffixes, which follow the region's name."""

    speech: str
    token: str


_PUBLIC = Cloud(".stt.speech.microsoft.com", ".api.cognitive.microsoft.com")
_US_GOVERNMENT = Cloud(".stt.speech.azure.us", ".api.cognitive.microsoft.us")
_CHINA = Cloud(".stt.speech.azure.cn", ".api.cognitive.azure.cn")


@dataclass(frozen=True)
class Endpoint:
    """The endpoint's addresses. `base` is the one for messages; requests go to the two URLs."""

    base: str
    recognition_url: str
    token_url: str

    @classmethod
    def of_region(cls, region: str, cloud: Cloud | None = None) -> "Endpoint":
        """Return the endpoint of a region's own hosts. `usgov…` and `china…` are in other clouds.

        Raises ValueError if it is not a region's name. The text says what is expected.
        """
        name = region.strip().lower()
        if not _REGION.fullmatch(name):
            raise ValueError("the region's short name, such as westeurope")
        cloud = cloud or (
            _US_GOVERNMENT if name.startswith("usgov") else _CHINA if name.startswith("china") else _PUBLIC
        )
        base = f"https://{name}{cloud.speech}"
        return cls(base, base + RECOGNITION_PATH, f"https://{name}{cloud.token}{TOKEN_PATH}")

    @classmethod
    def of_address(cls, address: str) -> "Endpoint":
        """Return the endpoint of a base URL: regional, sovereign, the portal's, a custom domain or loopback.

        Raises ValueError if it is not such a URL. The text says what is expected.
        """
        scheme, host, origin, path = _parts(address)
        loopback = _is_loopback(host)
        if scheme != "https" and not (loopback and scheme == "http"):
            raise ValueError("an https URL (plain http is allowed for loopback addresses only)")
        for cloud in (_PUBLIC, _US_GOVERNMENT, _CHINA):
            for suffix in (cloud.speech, cloud.token):
                if host.endswith(suffix):
                    return cls.of_region(host.removesuffix(suffix), cloud)
        base = origin + re.sub(r"/stt$", "/stt", _KNOWN_PATHS.sub("", path), flags=re.IGNORECASE)
        recognition = base if loopback or base.endswith("/stt") else base + "/stt"
        return cls(base, recognition + RECOGNITION_PATH, base.removesuffix("/stt") + TOKEN_PATH)


def _parts(address: str) -> tuple[str, str, str, str]:
    """Return (scheme, host, origin, path) of a base URL.

    Raises ValueError if it is not one. The text never quotes the address, which may hold a secret.
    """
    try:
        url = urlsplit(address.strip())
        host, port = (url.hostname or "").rstrip("."), url.port
    except ValueError:
        host, url, port = "", urlsplit(""), None
    if not _HOST.fullmatch(host) or url.username is not None or url.query or url.fragment:
        raise ValueError("a base URL without user and query, such as https://westeurope.stt.speech.microsoft.com")
    shown = f"[{host}]" if ":" in host else host
    origin = f"{url.scheme}://{shown}" + (f":{port}" if port is not None else "")
    return url.scheme, host, origin, url.path.rstrip("/")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
