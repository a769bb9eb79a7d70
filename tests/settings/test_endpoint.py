"""Every address of a Speech resource leads to the right URLs."""

import pytest

from transcription.settings.endpoint import Endpoint, origin

PATH = "/speech/recognition/conversation/cognitiveservices/v1"


@pytest.mark.parametrize(
    ("region", "speech", "token"),
    [
        ("westeurope", "westeurope.stt.speech.microsoft.com", "westeurope.api.cognitive.microsoft.com"),
        (" EastUS ", "eastus.stt.speech.microsoft.com", "eastus.api.cognitive.microsoft.com"),
        ("usgovvirginia", "usgovvirginia.stt.speech.azure.us", "usgovvirginia.api.cognitive.microsoft.us"),
        ("chinaeast2", "chinaeast2.stt.speech.azure.cn", "chinaeast2.api.cognitive.azure.cn"),
    ],
)
def test_a_region_leads_to_its_clouds_hosts(region: str, speech: str, token: str) -> None:
    endpoint = Endpoint.of_region(region)
    assert endpoint.recognition_url == f"https://{speech}{PATH}"
    assert endpoint.token_url == f"https://{token}/sts/v1.0/issueToken"


@pytest.mark.parametrize(
    "address",
    [
        "https://westeurope.api.cognitive.microsoft.com",
        "https://westeurope.api.cognitive.microsoft.com/sts/v1.0/issuetoken",
        "https://WestEurope.stt.speech.microsoft.com/",
        f"https://westeurope.stt.speech.microsoft.com{PATH}",
        "https://westeurope.stt.speech.microsoft.com.",
    ],
)
def test_every_address_of_a_region_leads_to_the_regions_endpoint(address: str) -> None:
    assert Endpoint.of_address(address) == Endpoint.of_region("westeurope")


def test_sovereign_hosts_keep_their_cloud() -> None:
    assert Endpoint.of_address("https://eastus.stt.speech.azure.us").token_url.startswith(
        "https://eastus.api.cognitive.microsoft.us/"
    )
    assert Endpoint.of_address("https://usgovarizona.api.cognitive.microsoft.us") == Endpoint.of_region("usgovarizona")
    assert Endpoint.of_address("https://chinanorth3.stt.speech.azure.cn") == Endpoint.of_region("chinanorth3")


@pytest.mark.parametrize(
    "address",
    [
        "https://mine.cognitiveservices.azure.com",
        "https://mine.cognitiveservices.azure.com/stt/",
        "https://mine.cognitiveservices.azure.com/STT",
        f"https://mine.cognitiveservices.azure.com/stt{PATH.replace('conversation', 'interactive')}",
    ],
)
def test_a_custom_domain_has_stt_before_the_path_once(address: str) -> None:
    endpoint = Endpoint.of_address(address)
    assert endpoint.recognition_url == f"https://mine.cognitiveservices.azure.com/stt{PATH}"
    assert endpoint.token_url == "https://mine.cognitiveservices.azure.com/sts/v1.0/issueToken"


@pytest.mark.parametrize(
    "base", ["http://127.0.0.1:8080", "http://localhost:1", "https://localhost:8443", "http://[::1]:80"]
)
def test_a_loopback_address_is_used_unchanged(base: str) -> None:
    endpoint = Endpoint.of_address(base)
    assert endpoint.recognition_url == base + PATH
    assert endpoint.token_url == base + "/sts/v1.0/issueToken"


@pytest.mark.parametrize(
    "address",
    [
        "http://mine.cognitiveservices.azure.com",
        "http://127.0.0.1.example.com",
        "http://10.0.0.1",
        "https://user:password@mine.example.com",
        "https://mine.example.com?key=1",
        "https://",
        "mine.example.com",
        "https://x_y.stt.speech.microsoft.com",
        "https://h:99999",
        "https://h:abc",
        "https://my host",
        "https://a..b",
        "https://<name>.cognitiveservices.azure.com",
        "https://[::1",
    ],
)
def test_anything_but_a_safe_base_url_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match=r"^(has|is|names) .*\."):
        Endpoint.of_address(address)


@pytest.mark.parametrize(
    "host",
    [
        "key-ca11ab1ecafe4b1d0ddba11c0ffee5ec.example.com",
        "gateway.ca11ab1ecafe4b1d0ddb-x",
        "CA11AB1ECAFE4B1D0DDBA11C0FFEE5EC1.example.com",
        "ca11ab1ecafe4b1d0ddba11c.stt.speech.microsoft.com",
    ],
)
def test_a_host_that_contains_a_key_is_refused_without_repeating_it(host: str) -> None:
    with pytest.raises(ValueError, match="has a host with 20 hexadecimal digits in a row") as caught:
        Endpoint.of_address(f"https://{host}/")
    assert "ca11" not in str(caught.value).casefold()


def test_a_host_with_fewer_hexadecimal_digits_is_taken() -> None:
    assert Endpoint.of_address("https://app-ca11ab1ecafe4b1d0dd.example.com").base.endswith("4b1d0dd.example.com")


def test_a_path_that_looks_like_a_host_is_only_a_path() -> None:
    address = "https://mine.example.com/x.stt.speech.microsoft.com"
    assert Endpoint.of_address(address).recognition_url == f"{address}/stt{PATH}"


@pytest.mark.parametrize(
    "region",
    ["West Europe", "https://westeurope.stt.speech.microsoft.com/?code=c0de", "ca11ab1ecafe", "ab" * 16, "a-b-c"],
)
def test_anything_but_a_regions_name_is_refused_without_repeating_it(region: str) -> None:
    with pytest.raises(ValueError, match=r"^(has|is) .*\.") as caught:
        Endpoint.of_region(region)
    assert region not in str(caught.value)


@pytest.mark.parametrize(
    "region", ["eastus2euap", "germanywestcentral", "australiacentral2", "usdodcentral", "jioindiawest"]
)
def test_every_form_of_a_regions_name_is_taken(region: str) -> None:
    assert Endpoint.of_region(region).base.startswith(f"https://{region}.stt.speech.")


def test_messages_and_documents_show_no_path() -> None:
    endpoint = Endpoint.of_address("https://gateway.example.com:8443/c0de/stt")
    assert endpoint.base == origin(endpoint.recognition_url) == origin(endpoint.token_url)
    assert endpoint.base == "https://gateway.example.com:8443"
    assert endpoint.recognition_url == f"{endpoint.base}/c0de/stt{PATH}"
    assert "c0de" not in repr(endpoint)


@pytest.mark.parametrize(
    ("address", "regional"),
    [
        ("https://westeurope.api.cognitive.microsoft.com", True),
        ("https://usgovvirginia.stt.speech.azure.us", True),
        ("https://mine.cognitiveservices.azure.com", False),
        ("http://127.0.0.1:8000", False),
    ],
)
def test_a_regions_own_host_is_told_from_all_others(address: str, regional: bool) -> None:
    assert Endpoint.of_address(address).is_regional is regional


@pytest.mark.parametrize(
    ("address", "us_government"),
    [
        ("https://usgovvirginia.stt.speech.azure.us", True),
        ("https://mine.cognitiveservices.azure.us", True),
        ("https://westus.stt.speech.microsoft.com", False),
        ("https://azure.us.example.com", False),
    ],
)
def test_the_clouds_of_the_us_government_are_told_by_their_hosts(address: str, us_government: bool) -> None:
    assert Endpoint.of_address(address).is_us_government is us_government
