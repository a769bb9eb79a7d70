"""The URLs of the Speech service, derived from a region or from any address of the resource.

The portal shows `https://<region>.api.cognitive.microsoft.com`. The documentation shows
`https://<region>.stt.speech.microsoft.com`. A private endpoint is a custom domain. The sovereign clouds have hosts of
their own. All of these are accepted, so nobody has to know which address is the right one.
"""

import ipaddress
import re
from dataclasses import dataclass, field

from transcription.settings.confidential import base_url, check_characters

RECOGNITION_PATH = "/speech/recognition/conversation/cognitiveservices/v1"
TOKEN_PATH = "/sts/v1.0/issueToken"  # noqa: S105  # a path

# Letters, perhaps a number, and perhaps more letters, as in eastus2euap. A key is longer, or mixes digits and letters.
_REGION = re.compile(r"(?=.{3,24}$)[a-z]+[0-9]{0,2}[a-z]*")
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
_CLOUDS = (_PUBLIC, _US_GOVERNMENT, _CHINA)


@dataclass(frozen=True)
class Endpoint:
    """The endpoint's addresses.

    Messages and documents show `base`, which has no path: a gateway's path may hold a code. Requests go to the URLs.
    """

    base: str
    recognition_url: str = field(repr=False)
    token_url: str = field(repr=False)

    @property
    def is_regional(self) -> bool:
        """Tell whether this is a region's own host, rather than a custom domain, a gateway or loopback."""
        return self.base.endswith(tuple(cloud.speech for cloud in _CLOUDS))

    @property
    def is_us_government(self) -> bool:
        """Tell whether this is in Azure Government, which lacks some features."""
        return self.base.endswith(".azure.us")  # the hosts of regions, and custom domains

    @classmethod
    def of_region(cls, region: str, cloud: Cloud | None = None) -> "Endpoint":
        """Return the endpoint of a region's own hosts. `usgov…` and `china…` are in other clouds.

        Raises ValueError if it is not a region's name. The text follows the setting's name and never quotes the value.
        """
        name = region.strip().lower()
        if "://" in name:
            raise ValueError("is a URL. Set it to the region's short name, or set AZURE_SPEECH_ENDPOINT instead.")
        check_characters(name)
        if not _REGION.fullmatch(name):
            raise ValueError("is not a region's short name. Set it to one such as westeurope.")
        cloud = cloud or (
            _US_GOVERNMENT if name.startswith("usgov") else _CHINA if name.startswith("china") else _PUBLIC
        )
        base = f"https://{name}{cloud.speech}"
        return cls(base, base + RECOGNITION_PATH, f"https://{name}{cloud.token}{TOKEN_PATH}")

    @classmethod
    def of_address(cls, address: str) -> "Endpoint":
        """Return the endpoint of a base URL: regional, sovereign, the portal's, a custom domain or loopback.

        Raises ValueError if it is not such a URL. The text follows the setting's name and never quotes the value.
        """
        url = base_url(address.strip(), "https://westeurope.stt.speech.microsoft.com")
        host = (url.hostname or "").rstrip(".")
        if re.search("[0-9a-f]{20}", host):
            raise ValueError("has a host with 20 hexadecimal digits in a row, as keys have. Correct the host.")
        loopback = _is_loopback(host)
        if url.scheme != "https" and not (loopback and url.scheme == "http"):
            raise ValueError("is not https. Use https: plain http is allowed for loopback addresses only.")
        for cloud in _CLOUDS:
            for suffix in (cloud.speech, cloud.token):
                if host.endswith(suffix):
                    return cls._of_regional_host(host.removesuffix(suffix), cloud)
        base = f"{url.scheme}://" + (f"[{host}]" if ":" in host else host)
        if url.port is not None:
            base += f":{url.port}"
        path = _KNOWN_PATHS.sub("", url.path.rstrip("/"))
        prefix = base + re.sub(r"/stt$", "/stt", path, flags=re.IGNORECASE)
        recognition = prefix if loopback or prefix.endswith("/stt") else prefix + "/stt"
        return cls(base, recognition + RECOGNITION_PATH, prefix.removesuffix("/stt") + TOKEN_PATH)

    @classmethod
    def _of_regional_host(cls, region: str, cloud: Cloud) -> "Endpoint":
        try:
            return cls.of_region(region, cloud)
        except ValueError:
            raise ValueError("has a host that does not begin with a region's short name. Correct the region.") from None


def origin(url: str) -> str:
    """Return the scheme, host and port of a URL, which messages may show."""
    return "/".join(url.split("/", 3)[:3])


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
