"""The ways in which a secret gets where it must not be shown: echoed by a server, or pasted into a setting."""

import base64
import html
import json
import re
from collections.abc import Callable, Mapping
from urllib.parse import quote

# How the body of an answer may repeat a text that is ASCII.
ENCODINGS: Mapping[str, Callable[[str], bytes]] = {
    "plain": str.encode,
    "upper case": lambda text: text.upper().encode(),
    "UTF-16 LE": lambda text: text.encode("utf-16-le"),
    "UTF-16 BE": lambda text: text.encode("utf-16-be"),
    "UTF-16 with BOM": lambda text: text.encode("utf-16"),
    "UTF-32": lambda text: text.encode("utf-32"),
    "UTF-8 with BOM": lambda text: text.encode("utf-8-sig"),
    "JSON": lambda text: json.dumps({"error": {"message": text}}).encode(),
    "JSON in UTF-16": lambda text: json.dumps({"error": {"message": text}}).encode("utf-16"),
    "JSON escapes": lambda text: f'{{"error": {{"message": "{unicode_escaped(text)}"}}}}'.encode(),
    "JSON escapes, not in JSON": lambda text: unicode_escaped(text).encode(),
    "JSON escapes, escaped": lambda text: json.dumps({"Message": unicode_escaped(text)}).encode(),
    "hexadecimal escapes": lambda text: "".join(f"\\x{ord(c):02x}" for c in text).encode(),
    "octal escapes": lambda text: "".join(f"\\{ord(c):03o}" for c in text).encode(),
    "code points in braces": lambda text: "".join(f"\\u{{{ord(c):x}}}" for c in text).encode(),
    "code points": lambda text: " ".join(f"U+{ord(c):04X}" for c in text).encode(),
    "hexadecimal numbers": lambda text: ", ".join(f"0x{ord(c):02x}" for c in text).encode(),
    "percent-encoded": lambda text: quote(text, safe="").encode(),
    "all percent-encoded": lambda text: "".join(f"%{ord(c):02X}" for c in text).encode(),
    "percent-encoded twice": lambda text: "".join(f"%25{ord(c):02X}" for c in text).encode(),
    "HTML entities": lambda text: "".join(f"&#{ord(c)};" for c in text).encode(),
    "hexadecimal HTML entities": lambda text: "".join(f"&#x{ord(c):x};" for c in text).encode(),
    "HTML-escaped": lambda text: html.escape(text).encode(),
    "base64": lambda text: base64.b64encode(text.encode()),
    "base64 of UTF-16": lambda text: base64.b64encode(text.encode("utf-16")),
    "URL-safe base64": lambda text: base64.urlsafe_b64encode(text.encode()),
    "numbers": lambda text: str(list(text.encode())).encode(),
    "hexadecimal": lambda text: text.encode().hex(" ").encode(),
    "spaced": lambda text: " ".join(text).encode(),
    "dashed": lambda text: re.sub("(.{4})", r"\1-", text).encode(),
    "broken into lines": lambda text: re.sub("(.{5})", r"\1\r\n", text).encode(),
    "zero-width spaces": lambda text: "\u200b".join(text).encode(),
    "full width": lambda text: "".join(chr(ord(c) + 0xFEE0) if c > " " else c for c in text).encode(),
}

# How a secret may be pasted into a setting.
BREAKS: Mapping[str, Callable[[str], str]] = {
    "as it is": str,
    "a space in it": lambda secret: f"{secret[:16]} {secret[16:]}",
    "a line break in it": lambda secret: f"{secret[:16]}\n{secret[16:]}",
    "a line break and more": lambda secret: f"{secret}\r\nx",
    "a tab in it": lambda secret: f"{secret[:9]}\t{secret[9:]}",
    "a NUL in it": lambda secret: f"{secret[:9]}\0{secret[9:]}",
    "a zero-width space in it": lambda secret: f"{secret[:9]}\u200b{secret[9:]}",
    "in groups of four": lambda secret: re.sub("(.{4})", r"\1 ", secret),
    "in quotes": lambda secret: f'"{secret}"',
    "in typographic quotes": lambda secret: f"“{secret}”",
    "its first half": lambda secret: secret[: len(secret) // 2],
    "with its name": lambda secret: f"subscription-key={secret}",
    "as a header": lambda secret: f"Ocp-Apim-Subscription-Key: {secret}",
    "a query with a fixed name": lambda secret: f"language=en-US&code={secret}",
    "a broken query": lambda secret: f"code={secret}&{secret}",
    "a reserved name with it": lambda secret: f"cid={secret}",
    "a short code in a URL": lambda secret: f"https://gateway.example.com/?code={secret[:10]}",
    "a code in a URL": lambda secret: f"https://gateway.example.com/?code={secret}",
    "a fragment of a URL": lambda secret: f"https://gateway.example.com/#{secret}",
    "a user in a URL": lambda secret: f"https://{secret}@gateway.example.com",
    "a password in a URL": lambda secret: f"https://me:{secret}@gateway.example.com",
    "a port": lambda secret: f"https://gateway.example.com:{secret}",
    "a host": lambda secret: f"https://{secret}",
    "a path, without TLS": lambda secret: f"http://gateway.example.com/{secret}",
    "a URL without a scheme": lambda secret: f"gateway.example.com/?code={secret}",
    "a broken IPv6 address": lambda secret: f"https://[{secret}",
    "the key of an account": lambda secret: f"AccountName=a;AccountKey={secret}!",
    "a SAS": lambda secret: f"SharedAccessSignature=sv=2026&sig={secret}",
    "a SAS of a broken endpoint": lambda secret: f"BlobEndpoint=https://[{secret};SharedAccessSignature=sig={secret}",
    "percent-encoded": lambda secret: f"a%3D{secret}%",
}


def unicode_escaped(text: str) -> str:
    return "".join(f"\\u{ord(c):04X}" for c in text)


def shown_run(secret: str, text: str) -> str:
    """Return the longest part of the secret, without separators, that the text shows; "" if it is short."""
    secret, text = (re.sub("[^a-z0-9]", "", value.casefold()) for value in (secret, text))
    parts = (secret[start:end] for start in range(len(secret)) for end in range(start + 6, len(secret) + 1))
    return max((part for part in parts if part in text), key=len, default="")
