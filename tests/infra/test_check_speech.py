"""The check of the Speech service says what is as assumed, what is not, and which setting to change."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from infra import check_speech
from local.speech import ASSUMED, SDK_SEGMENTATION, Behaviour, Entra, Fault, SpeechEndpoint
from local.speech.loudness import Loudness
from local.tools import PROJECT
from tests.support.managed_identity import identity_endpoint
from tests.support.secrets import shown_run
from tests.support.settings import RESOURCE_ID, SPEECH_KEY

TOKEN = "eyJ0eXAiOiJKV1QiLCJhbGciOi.eyJhdWQiOiJodHRwczovL2NvZ25p.c2lnbmF0dXJlLW9mLXRva2Vu"

Check = Callable[..., int]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return tmp_path / "saved" / "check.json"


@pytest.fixture
def check(saved: Path) -> Check:
    """Return a function that runs the check against an endpoint, as if it were the real one."""

    def run(endpoint: SpeechEndpoint, *arguments: str, **settings: str) -> int:
        environ = {"AZURE_SPEECH_ENDPOINT": endpoint.url, "AZURE_SPEECH_KEY": SPEECH_KEY, **settings}
        return check_speech.main([*(arguments or ["--yes"]), "--save", str(saved)], environ)

    return run


def speech(behaviour: Behaviour = ASSUMED, quota: int | None = None) -> SpeechEndpoint:
    latency = None if quota is None else lambda _: 0.1
    return SpeechEndpoint(
        Loudness(), key=SPEECH_KEY, behaviour=behaviour, quota=quota, models=(), latency=latency, keep_audio=False
    )


def different(output: str) -> list[str]:
    return [line for line in output.splitlines() if "| DIFFERENT" in line]


def test_without_a_key_it_runs_against_the_stand_in_and_says_so(
    saved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check_speech.main(["--save", str(saved)], {}) == 0
    output = capsys.readouterr().out
    assert "There is no AZURE_SPEECH_KEY, so this runs against the local stand-in." in output
    assert output.splitlines()[-1] == "all as assumed"
    assert different(output) == []
    assert json.loads(saved.read_text())["measured"] == {}, "the stand-in is no measure of itself"


def test_with_a_key_it_says_first_what_it_sends_and_costs(
    check: Check, saved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with speech() as endpoint:
        assert check(endpoint) == 0
    requests = len(json.loads(saved.read_text())["exchanges"])
    output = capsys.readouterr().out
    assert f"This sends {requests} requests with " in output
    assert "about 8 US cents" in output
    assert output.index("This sends") < output.index("a request with your settings")


def test_nothing_is_sent_without_consent(check: Check, capsys: pytest.CaptureFixture[str]) -> None:
    with speech() as endpoint:
        assert check_speech.main([], {"AZURE_SPEECH_ENDPOINT": endpoint.url, "AZURE_SPEECH_KEY": SPEECH_KEY}) == 2
        assert endpoint.received == []
    assert "Use --yes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("behaviour", "what", "says"),
    [
        (SDK_SEGMENTATION, "a pause", "SPEECH_PAUSE_SECONDS=0.45"),
        (replace(ASSUMED, pause_seconds=0.3), "a pause", "SPEECH_PAUSE_SECONDS=0.35"),
        (replace(ASSUMED, pause_seconds=2.0), "a pause", "SPEECH_PAUSE_SECONDS=1.55 would save requests"),
        (replace(ASSUMED, segmentation="obeyed"), "query …seg", "set AZURE_SPEECH_QUERY=SpeechContext-phraseDetection"),
        (replace(ASSUMED, max_seconds=40.0, too_long="dropped"), "45 s", "SPEECH_PAUSE_SECONDS below 0.8"),
        (replace(ASSUMED, max_seconds=100.0), "62 s", "The limit is higher than documented"),
        (replace(ASSUMED, silence="BabbleTimeout"), "silence, noise", "The app sends no silence"),
        (replace(ASSUMED, wordless="BabbleTimeout"), "silence, noise", "Gaps of noisy recordings"),
        (replace(ASSUMED, simple="ignored"), "SPEECH_FORMAT=simple", "SPEECH_FORMAT=simple makes no difference"),
        (replace(ASSUMED, detailed="ignored"), "SPEECH_FORMAT=detailed", "SPEECH_FORMAT=detailed makes no difference"),
        (replace(ASSUMED, ticks="strings"), "SPEECH_FORMAT=detailed", "The app reads both"),
        (replace(ASSUMED, word_times="ignored"), "word times", "Set SPEECH_WORD_TIMES=false"),
        (replace(ASSUMED, ogg="refused"), "SPEECH_AUDIO_FORMAT=ogg", "Set SPEECH_AUDIO_FORMAT=wav"),
        (replace(ASSUMED, profanity="refused"), "SPEECH_PROFANITY=removed", "Set SPEECH_PROFANITY to masked or raw"),
        (replace(ASSUMED, other_audio="understood"), "8 kHz, mp3", "understands more formats"),
        (replace(ASSUMED, language_error='400 {"Message":"No"}'), "a wrong language", "SPEECH_LANGUAGE"),
        (replace(ASSUMED, model_error='404 {"Message":"No"}'), "a wrong custom model", "AZURE_SPEECH_ENDPOINT_ID"),
        (replace(ASSUMED, key_error='403 {"Message":"No"}'), "a wrong key", "AZURE_SPEECH_KEY"),
        (replace(ASSUMED, assessment="ignored"), "reference_text", "reference_text get no scores"),
    ],
)
def test_each_difference_is_one_line_with_its_setting_and_the_app_works(
    check: Check, saved: Path, capsys: pytest.CaptureFixture[str], behaviour: Behaviour, what: str, says: str
) -> None:
    with speech(behaviour) as endpoint:
        assert check(endpoint) == 0
    output = capsys.readouterr().out
    line = next(line for line in different(output) if line.startswith(what))
    assert says in line
    assert "The app works with these settings" in output
    saved_behaviour = Behaviour.saved(saved)
    for name in saved_behaviour.measured & {line.name for line in behaviour.table()} - {"pause_seconds"}:
        assert getattr(saved_behaviour, name) == getattr(behaviour, name), name


def test_the_measured_pause_replaces_the_assumed_one(check: Check, saved: Path) -> None:
    with speech(SDK_SEGMENTATION) as endpoint:
        check(endpoint)
    assert Behaviour.saved(saved).pause_seconds == 0.6, "the shortest pause tried that ends recognition"


@pytest.mark.parametrize(
    ("behaviour", "setting"),
    [
        (replace(ASSUMED, word_times="refused"), {"SPEECH_WORD_TIMES": "true"}),
        (replace(ASSUMED, ogg="refused"), {"SPEECH_AUDIO_FORMAT": "ogg"}),
        (replace(ASSUMED, profanity="refused"), {"SPEECH_PROFANITY": "removed"}),
        (ASSUMED, {"AZURE_SPEECH_ENDPOINT_ID": "0f1e2d3c"}),
        (ASSUMED, {"SPEECH_LANGUAGE": "tlh-KX"}),
    ],
)
def test_the_exit_status_is_1_if_the_app_would_not_work_with_its_settings(
    check: Check, capsys: pytest.CaptureFixture[str], behaviour: Behaviour, setting: dict[str, str]
) -> None:
    with speech(behaviour) as endpoint:
        assert check(endpoint, **setting) == 1
        assert len(endpoint.received) == 1, "the others would be in vain"
    assert "The app would not work with these settings: see a request with your settings." in capsys.readouterr().out


def test_refused_word_times_are_said_in_one_line_if_the_app_does_not_ask_for_them(
    check: Check, capsys: pytest.CaptureFixture[str]
) -> None:
    with speech(replace(ASSUMED, word_times="refused")) as endpoint:
        assert check(endpoint, SPEECH_WORD_TIMES="false") == 0
    (line,) = different(capsys.readouterr().out)
    assert line.startswith("word times | ")
    assert "Set SPEECH_WORD_TIMES=false" in line


def test_a_quota_of_one_is_said_in_one_line_and_the_app_works(check: Check, capsys: pytest.CaptureFixture[str]) -> None:
    with speech(quota=1) as endpoint:
        assert check(endpoint) == 0
    (line,) = different(capsys.readouterr().out)
    assert line.startswith("8 requests at once | ")
    assert "SPEECH_MAX_CONCURRENT_REQUESTS=" in line


def test_a_wrong_key_is_diagnosed_after_one_request(check: Check, capsys: pytest.CaptureFixture[str]) -> None:
    with speech() as endpoint:
        assert check(endpoint, AZURE_SPEECH_KEY="f" * 32) == 1
        assert len(endpoint.received) == 1
    output = capsys.readouterr().out
    assert "Wrong key or wrong region: " in output
    assert "AZURE_SPEECH_KEY and AZURE_SPEECH_REGION" in output


def test_answers_that_lack_the_words_they_claim_are_no_service_for_the_app(
    check: Check, capsys: pytest.CaptureFixture[str]
) -> None:
    word = {"Word": "hello", "Offset": 0, "Duration": 10_000_000}
    best = {"Display": "Hello.", "Words": [word]}
    lost = {"RecognitionStatus": "Success", "Offset": 0, "Duration": 80_000_000, "NBest": [best]}
    with speech() as endpoint:
        endpoint.faults.extend([Fault.none(), *[Fault.document(lost)] * 5])
        assert check(endpoint) == 1
    assert "words would be lost" in capsys.readouterr().out


def test_missing_settings_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert check_speech.main(["--yes"], {"AZURE_SPEECH_KEY": SPEECH_KEY}) == 2
    assert "AZURE_SPEECH_REGION is missing" in capsys.readouterr().out


@pytest.mark.parametrize("repeats", [False, True])
def test_neither_the_output_nor_the_file_has_a_secret(
    check: Check, saved: Path, capsys: pytest.CaptureFixture[str], repeats: bool
) -> None:
    code = "c0de1c0de1c0de1c0de1"
    said = {"RecognitionStatus": "Success", "Duration": 1, "NBest": [{"Display": f"Hello {SPEECH_KEY} {code}"}]}
    with speech() as endpoint:
        endpoint.faults.extend([Fault.document(said)] * repeats)
        endpoint.faults.extend([Fault.status(400, f"no {SPEECH_KEY} and {code}".encode())] * 3 * repeats)
        check(endpoint, AZURE_SPEECH_QUERY=f"code={code}")
    exchanges = json.loads(saved.read_text())["exchanges"]
    assert len(exchanges) > 25
    assert {"name", "query", "status", "body"} <= set(exchanges[0])
    output = capsys.readouterr().out
    for secret in (SPEECH_KEY, code):
        assert shown_run(secret, output + saved.read_text()) == ""


def test_an_identity_is_checked_without_a_key_and_never_shown(
    check: Check, saved: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    entra = Entra(RESOURCE_ID, TOKEN)
    with (
        identity_endpoint(TOKEN) as identity,
        SpeechEndpoint(Loudness(), key=None, entra=entra, models=(), keep_audio=False) as endpoint,
    ):
        for name, value in identity.environ.items():
            monkeypatch.setenv(name, value)
        settings = {"AZURE_SPEECH_AUTH": "identity", "AZURE_SPEECH_RESOURCE_ID": RESOURCE_ID, "AZURE_SPEECH_KEY": ""}
        assert check(endpoint, **settings) == 0
    output = capsys.readouterr().out
    assert output.splitlines()[-1] == "all as assumed"
    for secret in (TOKEN, RESOURCE_ID.split("/")[2]):
        assert shown_run(secret, output + saved.read_text()) == ""


def test_it_runs_as_a_file_from_any_folder(tmp_path: Path) -> None:
    script = PROJECT / "infra" / "check_speech.py"
    done = subprocess.run(
        [sys.executable, str(script), "--help"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "Exit status: 0 if the app would work" in done.stdout
