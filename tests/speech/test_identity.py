"""With an identity there is no key: Microsoft Entra issues the token, and the request names the resource."""

import logging
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from local.speech import Entra, Fault, Script, SpeechEndpoint
from tests.support.clock import FakeClock
from tests.support.managed_identity import IdentityEndpoint, identity_endpoint
from tests.support.secrets import shown_run
from tests.support.settings import RESOURCE_ID, SPEECH_KEY
from tests.support.speech_client import Caller
from tests.support.words import hello_world
from transcription.errors import Misconfigured

TOKEN = "eyJ0eXAiOiJKV1QiLCJhbGciOi.eyJhdWQiOiJodHRwczovL2NvZ25p.c2lnbmF0dXJlLW9mLXRva2Vu"
SUBSCRIPTION = RESOURCE_ID.split("/")[2]


@pytest.fixture
def keyless(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SpeechEndpoint]:
    """Yield an endpoint over TLS that accepts the identity and no key."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    entra = Entra(RESOURCE_ID, TOKEN)
    with SpeechEndpoint(Script(hello_world), key=None, entra=entra, tls=context) as endpoint:
        yield endpoint


@pytest.fixture
def identity(monkeypatch: pytest.MonkeyPatch) -> Iterator[IdentityEndpoint]:
    with identity_endpoint(TOKEN) as server:
        for name, value in server.environ.items():
            monkeypatch.setenv(name, value)
        yield server


def caller(endpoint: SpeechEndpoint, clock: FakeClock, **changes: str) -> Caller:
    keyless = {"AZURE_SPEECH_AUTH": "identity", "AZURE_SPEECH_RESOURCE_ID": RESOURCE_ID, "AZURE_SPEECH_KEY": None}
    return Caller(endpoint, clock, **{**keyless, **changes})


def test_a_managed_identity_is_enough_over_tls_and_its_token_is_kept(
    keyless: SpeechEndpoint, identity: IdentityEndpoint, clock: FakeClock
) -> None:
    call = caller(keyless, clock)
    for _ in range(3):
        answer = call()
        assert answer.phrase is not None
        assert answer.phrase.text == "Hello world."
    assert len(identity.asked) == 1
    assert identity.asked[0]["resource"] == "https://cognitiveservices.azure.com"
    for request in keyless.received:
        assert request.headers["authorization"] == f"Bearer aad#{RESOURCE_ID}#{TOKEN}"
        assert "ocp-apim-subscription-key" not in request.headers


def test_a_user_assigned_identity_is_named_when_its_token_is_fetched(
    keyless: SpeechEndpoint, identity: IdentityEndpoint, clock: FakeClock
) -> None:
    caller(keyless, clock, AudioStorage__clientId="0f1e2d3c")()
    assert identity.asked[0]["client_id"] == "0f1e2d3c"


def test_a_key_that_is_set_too_is_never_sent(
    keyless: SpeechEndpoint, identity: IdentityEndpoint, clock: FakeClock
) -> None:
    caller(keyless, clock, AZURE_SPEECH_KEY=SPEECH_KEY)()
    assert SPEECH_KEY not in repr(keyless.received)


def test_an_identity_without_the_role_is_a_configuration_error_that_names_the_role(
    keyless: SpeechEndpoint, identity: IdentityEndpoint, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "transcription")
    identity.token = TOKEN.replace("eyJ0", "eyJ1")
    with pytest.raises(Misconfigured, match="Cognitive Services Speech User") as caught:
        caller(keyless, clock)()
    assert len(keyless.received) == 1
    for secret in (identity.token, SUBSCRIPTION):
        assert shown_run(secret, str(caught.value) + caplog.text) == ""


@pytest.mark.parametrize("repeated", [RESOURCE_ID, f"Bearer aad#{RESOURCE_ID}#{TOKEN}", TOKEN])
def test_an_answer_that_repeats_the_resources_id_or_the_token_is_not_shown(
    identity: IdentityEndpoint, clock: FakeClock, repeated: str
) -> None:
    with SpeechEndpoint(Script(hello_world), key=None, entra=Entra(RESOURCE_ID, TOKEN)) as keyless:
        keyless.faults.append(Fault.status(400, f"no access to {repeated}".encode()))
        with pytest.raises(Misconfigured, match="not shown") as caught:
            caller(keyless, clock)()
    assert SUBSCRIPTION not in str(caught.value)
    assert shown_run(TOKEN, str(caught.value)) == ""


def test_an_answer_that_names_a_missing_permission_is_shown(identity: IdentityEndpoint, clock: FakeClock) -> None:
    action = "Microsoft.CognitiveServices/accounts/SpeechServices/speechrest/transcriptions/write"
    with SpeechEndpoint(Script(hello_world), key=None, entra=Entra(RESOURCE_ID, TOKEN)) as keyless:
        keyless.faults.append(Fault.status(401, f"The principal lacks the required data action {action}".encode()))
        with pytest.raises(Misconfigured, match=f"lacks the required data action {action}"):
            caller(keyless, clock)()


def test_a_missing_identity_is_a_configuration_error_without_a_request(
    keyless: SpeechEndpoint, identity: IdentityEndpoint, clock: FakeClock
) -> None:
    identity.status = 400
    with pytest.raises(Misconfigured, match="Microsoft Entra issued no token"):
        caller(keyless, clock)()
    assert keyless.received == []


def test_a_resource_that_refuses_keys_says_so(keyless: SpeechEndpoint, clock: FakeClock) -> None:
    with pytest.raises(Misconfigured, match=r"Key based authentication is disabled.*Set AZURE_SPEECH_AUTH to identity"):
        Caller(keyless, clock)()
