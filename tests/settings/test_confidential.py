"""Checks of confidential settings say what is wrong and where, and never repeat the value."""

import re
from collections.abc import Callable

import pytest

from transcription.settings.confidential import account_url, base_url, connection_string, extra_query, speech_key

KEY = "ca11ab1ecafe4b1d0ddba11c0ffee5ec"
ACCOUNT = "AccountName=a;AccountKey=c2VjcmV0"


def endpoint_url(value: str) -> object:
    return base_url(value, "https://h")


@pytest.mark.parametrize(
    ("check", "value", "fault"),
    [
        (speech_key, f"{KEY[:15]} {KEY[15:]}", "has a space at position 16."),
        (speech_key, f"{KEY}\nx", "has a line break at position 33."),
        (speech_key, f"\t{KEY}", "has a tab at position 1."),
        (speech_key, f"{KEY}\0", "has a control character at position 33."),
        (speech_key, f"\u201c{KEY}\u201d", "has a character that is not ASCII at position 1."),
        (endpoint_url, "westeurope", "is not a URL."),
        (endpoint_url, KEY, "is not a URL."),
        (endpoint_url, f"https://h/?code={KEY}", "has a query (?…). Remove it."),
        (endpoint_url, f"https://h/#{KEY}", "has a fragment (#…). Remove it."),
        (endpoint_url, f"https://{KEY}@h", "names a user."),
        (endpoint_url, "https://my host", "has a space at position 11."),
        (endpoint_url, f"https://h:{KEY}", "has no valid host or port."),
        (endpoint_url, "https://h:99999", "has no valid host or port."),
        (endpoint_url, f"https://{KEY}", "has no valid host or port."),
        (endpoint_url, f"https://{KEY}.example.com", "has no valid host or port."),
        (endpoint_url, f"https://[{KEY}", "has no valid host or port."),
        (account_url, "http://acc.blob.core.windows.net", "is not https."),
        (account_url, "https://acc.blob.core.windows.net/audio", "has a path."),
        (account_url, f"https://acc.blob.core.windows.net/?sig={KEY}", "has a query (?…). Remove it."),
        (connection_string, "UseDevelopmentStorage=true", "is the short form for Azurite"),
        (connection_string, KEY, "is not a connection string"),
        (connection_string, "AccountName=a;AccountKey=c2V jcmV0", "has a space at position 29."),
        (connection_string, "AccountName=a;AccountKey=secret!", "has an AccountKey that is not base64."),
        (connection_string, "AccountName=a;Other=x", "has neither an AccountKey nor a SharedAccessSignature."),
        (connection_string, "AccountKey=c2VjcmV0", "has neither an AccountName nor a BlobEndpoint."),
        (connection_string, f"BlobEndpoint=https://[{KEY};{ACCOUNT}", "BlobEndpoint that makes no valid address."),
        (connection_string, f"{ACCOUNT};EndpointSuffix=!", "EndpointSuffix or BlobEndpoint that makes no valid"),
        (extra_query, KEY, "is not of the form name=value&name=value."),
        (extra_query, f"a={KEY}&{KEY}", "is not of the form name=value&name=value."),
        (extra_query, f"LANGUAGE={KEY}", "names 'language', which SPEECH_LANGUAGE decides."),
        (extra_query, "wordleveltimestamps=true", "names 'wordLevelTimestamps', which SPEECH_WORD_TIMES decides."),
    ],
)
def test_the_fault_is_named_and_the_value_is_not(check: Callable[[str], object], value: str, fault: str) -> None:
    with pytest.raises(ValueError, match=re.escape(fault)) as caught:
        check(value)
    assert KEY[:8] not in str(caught.value)
    assert "c2V" not in str(caught.value)


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (speech_key, KEY),
        (speech_key, "of-any-length"),
        (account_url, "https://acc.blob.core.windows.net/"),
        (account_url, "http://127.0.0.1:10000/devstoreaccount1"),
        (connection_string, f"DefaultEndpointsProtocol=https;{ACCOUNT};EndpointSuffix=core.windows.net"),
        (connection_string, f"BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;{ACCOUNT}"),
        (connection_string, "BlobEndpoint=https://a.blob.core.windows.net/;SharedAccessSignature=sv=2026&sig=c2VjcmV0"),
    ],
)
def test_a_right_value_is_returned_unchanged(check: Callable[[str], object], value: str) -> None:
    assert check(value) == value
