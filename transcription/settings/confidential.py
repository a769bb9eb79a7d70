"""Checks settings whose values no message may repeat, because they hold a secret or may hold one by mistake.

Each check raises ValueError. Its text follows the name of the setting, and says what is wrong and what to do: "has a
space at position 16. Copy the key again." It never quotes any part of the value.
"""

import base64
import re
from collections.abc import Mapping
from urllib.parse import SplitResult, parse_qsl, urlsplit

# Query parameters that AZURE_SPEECH_QUERY must not contain, and what decides them.
_RESERVED_PARAMETERS = {
    "language": "which SPEECH_LANGUAGE decides",
    "format": "which SPEECH_FORMAT decides",
    "profanity": "which SPEECH_PROFANITY decides",
    "cid": "which AZURE_SPEECH_ENDPOINT_ID decides",
    "wordLevelTimestamps": "which SPEECH_WORD_TIMES decides",
    "X-ConnectionId": "which is different in each request",
}
# The labels of a host. A label of 32 hexadecimal digits is a key, pasted into the wrong setting.
_LABEL = r"(?![0-9a-f]{32}(?:\.|$))[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"(?:{_LABEL}\.)*{_LABEL}|[0-9a-f]*:[0-9a-f:]+", re.IGNORECASE)

_RESOURCE_ID = re.compile(
    r"/subscriptions/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/resourceGroups/[^/]{1,90}"
    r"/providers/Microsoft\.CognitiveServices/accounts/[A-Za-z0-9_.-]{2,64}",
    re.IGNORECASE,
)
_CHARACTERS = {" ": "space", "\n": "line break", "\r": "line break", "\t": "tab"}


def check_characters(value: str, advice: str = "Remove it.") -> None:
    """Raise ValueError if the value has a space, a control character or a character outside ASCII."""
    for position, character in enumerate(value, 1):
        if character == " " or not (character.isascii() and character.isprintable()):
            unusual = "character that is not ASCII" if not character.isascii() else "control character"
            raise ValueError(f"has a {_CHARACTERS.get(character, unusual)} at position {position}. {advice}")


def speech_key(value: str) -> str:
    """Return the key if a header can hold it. A line break that was pasted along would end the header."""
    check_characters(value, "Copy the key again, as the portal shows it.")
    return value


def resource_id(value: str) -> str:
    """Return the id of a Speech resource, if it is one. It names the subscription, so no message repeats it."""
    check_characters(value, "Copy the id again, as the portal shows it.")
    if not _RESOURCE_ID.fullmatch(value.rstrip("/")):
        raise ValueError(
            "is not the id of a Speech resource. Set it to /subscriptions/<id>/resourceGroups/<group>/providers/"
            "Microsoft.CognitiveServices/accounts/<name>."
        )
    return value.rstrip("/")


def base_url(value: str, example: str) -> SplitResult:
    """Return the parts of a URL that has a scheme, a host, and perhaps a port and a path."""
    check_characters(value)
    if not re.match("[a-z]+://", value, re.IGNORECASE):
        raise ValueError(f"is not a URL. Set it to one such as {example}.")
    if re.match("[a-z]+://[^/?#]*@", value, re.IGNORECASE):
        raise ValueError("names a user. Remove everything between // and the host.")
    if "?" in value:
        raise ValueError("has a query (?…). Remove it.")
    if "#" in value:
        raise ValueError("has a fragment (#…). Remove it.")
    url = _split(value)
    if url is None:
        raise ValueError(f"has no valid host or port. Set it to a URL such as {example}.")
    return url


def account_url(value: str, service: str = "blob") -> str:
    """Return the value if it is the URL of an account's blobs, or of another `service`."""
    example = f"https://<account>.{service}.core.windows.net"
    url = base_url(value, example)
    if url.scheme == "http" and url.hostname in ("127.0.0.1", "localhost"):
        return value
    if url.scheme != "https":
        raise ValueError(f"is not https. Set it to a URL such as {example}.")
    if url.path not in ("", "/"):
        raise ValueError("has a path. Remove everything after the host.")
    return value


def queue_url(value: str) -> str:
    return account_url(value, "queue")


def connection_string(value: str) -> str:
    """Return the value if the SDK would accept it. The SDK itself would only fail later, with each upload."""
    from azure.core.utils import parse_connection_string  # 25 ms that an app with a managed identity does not need

    if value.startswith("UseDevelopmentStorage"):
        raise ValueError(
            "is the short form for Azurite, which the Python SDK does not know. Set it to Azurite's whole connection"
            " string."
        )
    check_characters(value)
    try:
        parts = parse_connection_string(value)
    except ValueError:
        parts = {}
    if fault := _connection_fault(parts):
        advice = "Copy the connection string as the portal shows it, or set AudioStorage__blobServiceUri instead."
        raise ValueError(f"{fault}. {advice}")
    return value


def extra_query(value: str) -> tuple[tuple[str, str], ...]:
    try:
        pairs = tuple(parse_qsl(value, keep_blank_values=True, strict_parsing=True))
    except ValueError:
        raise ValueError("is not of the form name=value&name=value. Percent-encode names and values.") from None
    reserved = {name.casefold(): name for name in _RESERVED_PARAMETERS}
    for given, _ in pairs:
        if name := reserved.get(given.casefold()):
            raise ValueError(f"names '{name}', {_RESERVED_PARAMETERS[name]}. Remove that parameter.")
    return pairs


def _split(url: str) -> SplitResult | None:
    """Return the parts of the URL, or None if its host or its port is not valid."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port  # reading the port checks it
    except ValueError:  # its text quotes the URL
        return None
    return parts if _HOST.fullmatch(host.rstrip(".")) else None


def _connection_fault(parts: Mapping[str, str]) -> str | None:
    """Return what is wrong with a connection string. `parts` is empty if it could not be parsed."""
    if not parts:
        return "is not a connection string, which has the form name=value;name=value"
    try:
        base64.b64decode(parts.get("accountkey", ""), validate=True)
    except ValueError:
        return "has an AccountKey that is not base64"
    if not (parts.get("accountkey") or parts.get("sharedaccesssignature")):
        return "has neither an AccountKey nor a SharedAccessSignature"
    if not (parts.get("accountname") or parts.get("blobendpoint")):
        return "has neither an AccountName nor a BlobEndpoint"
    address = parts.get("blobendpoint") or "{accountname}.blob.{endpointsuffix}".format_map(
        {"endpointsuffix": "core.windows.net", **parts}
    )
    if not _split(address if address.lower().startswith("http") else f"https://{address}"):  # as the SDK reads it
        return "has an AccountName, EndpointSuffix or BlobEndpoint that makes no valid address"
    return None
