"""Assumptions about what the service can be asked for: formats, options, models and many requests at once."""

from collections.abc import Sequence
from dataclasses import replace

from infra.speech_check.clips import Clips, as_mp3, at_8_khz
from infra.speech_check.exchanges import MOST_AT_ONCE, Exchange, Request
from infra.speech_check.findings import Check, Finding, outcome, unanswered
from transcription.settings.speech import KEY, SpeechSettings
from transcription.speech.client import RecognitionOptions
from transcription.speech.encoding import Encoded, as_ogg, as_wav, encoded

ENGLISH = RecognitionOptions("en-US", "masked")
NO_MODEL = "00000000-0000-0000-0000-000000000000"
INVALID = "Invalid CID or language"


class Asking:
    """The checks, for one resource. `own` has the settings of the app, and `plain` asks for detailed answers only."""

    def __init__(self, clips: Clips, own: SpeechSettings, plain: SpeechSettings, reference_text: str) -> None:
        self._pcm = clips.second
        self._own = own
        self._plain = plain
        self._reference_text = reference_text

    def own_settings(self) -> Check:
        """Return the check of a request exactly as the app sends it. Without it, the others are in vain."""
        own = self._own
        options = RecognitionOptions(own.language, own.profanity)
        request = Request("your settings", encoded(self._pcm, own.audio_format), own, options)
        return Check("a request with your settings", "an answer", (request,), _answered)

    def checks(self) -> list[Check]:
        own, plain, wav = self._own, self._plain, as_wav(self._pcm)
        simple, times = replace(plain, detailed=False), replace(plain, word_times=True)
        nowhere = self._request("a language that does not exist", options=RecognitionOptions("xx-XX", "masked"))
        checks = [
            Check("SPEECH_FORMAT=simple", "text, no list", (self._request("simple", settings=simple),), self._simple),
            Check("SPEECH_FORMAT=detailed", "a list, times as numbers", (self._request("detailed"),), self._detailed),
            Check("word times", "given", (self._request("word times", settings=times),), self._word_times),
            Check("SPEECH_AUDIO_FORMAT=ogg", "understood", (self._request("ogg", as_ogg(self._pcm)),), self._ogg),
            Check(
                "SPEECH_PROFANITY=removed",
                "accepted",
                (self._request("profanity removed", options=RecognitionOptions("en-US", "removed")),),
                self._profanity,
            ),
            Check(
                "8 kHz, mp3",
                "not understood",
                (self._request("8 kHz", at_8_khz(self._pcm)), self._request("mp3", as_mp3(self._pcm))),
                _other_audio,
            ),
            Check("a wrong language", f"400: {INVALID}", (nowhere,), self._language),
            Check("a wrong custom model", f"400: {INVALID}", (self._model_request(),), self._model),
        ]
        if own.auth == KEY:
            wrong = Request("a wrong key", wav, plain, ENGLISH, wrong_key=True)
            checks.append(Check("a wrong key", "401", (wrong,), _key))
        if not own.endpoint.is_us_government:
            checks.append(self._assessment_check())
        eight = tuple(self._request(f"at once {number}") for number in range(1, MOST_AT_ONCE + 1))
        what = f"{MOST_AT_ONCE} requests at once"
        checks.append(Check(what, "all answered", eight, _at_once, at_once=True))
        return checks

    def _request(
        self,
        name: str,
        audio: Encoded | None = None,
        settings: SpeechSettings | None = None,
        options: RecognitionOptions = ENGLISH,
    ) -> Request:
        return Request(name, audio or as_wav(self._pcm), settings or self._plain, options)

    def _model_request(self) -> Request:
        return replace(self._request("a model that does not exist"), query=(("cid", NO_MODEL),))

    def _assessment_check(self) -> Check:
        options = replace(ENGLISH, pronunciation={"ReferenceText": self._reference_text})
        request = self._request("pronunciation", options=options)
        return Check("reference_text", "scores", (request,), _assessment)

    def _simple(self, exchanges: Sequence[Exchange]) -> Finding:
        (exchange,) = exchanges
        needed = not self._own.detailed
        if not exchange.text:
            advice = "Set SPEECH_FORMAT=detailed: simple answers have no text."
            return Finding(outcome(exchange), same=False, works=not needed, advice=advice)
        if "NBest" in exchange.content:
            advice = "SPEECH_FORMAT=simple makes no difference."
            return Finding("text and a list", same=False, advice=advice, measured={"simple": "ignored"})
        return Finding("text, no list", same=True, measured={"simple": "obeyed"})

    def _detailed(self, exchanges: Sequence[Exchange]) -> Finding:
        (exchange,) = exchanges
        if finding := unanswered(exchanges):
            return replace(finding, works=not self._own.detailed, advice="Set SPEECH_FORMAT=simple.")
        if "NBest" not in exchange.content:
            advice = "SPEECH_FORMAT=detailed makes no difference: documents lack confidence and words."
            return Finding("no list", same=False, advice=advice, measured={"detailed": "ignored"})
        strings = isinstance(exchange.content.get("Offset"), str)
        measured = {"detailed": "obeyed", "ticks": "strings" if strings else "numbers"}
        advice = "The app reads both. No setting depends on it." if strings else ""
        return Finding(f"a list, times as {measured['ticks']}", same=not strings, advice=advice, measured=measured)

    def _word_times(self, exchanges: Sequence[Exchange]) -> Finding:
        (exchange,) = exchanges
        needed = self._own.detailed and self._own.word_times
        answer = exchange.answer
        if answer is None:
            advice = "Set SPEECH_WORD_TIMES=false, because the service refuses them."
            refused = {"word_times": "refused"} if exchange.status == 400 else {}
            return Finding(outcome(exchange), same=False, works=not needed, advice=advice, measured=refused)
        if answer.phrase and answer.phrase.words:
            return Finding("given", same=True, measured={"word_times": "given"})
        advice = "Set SPEECH_WORD_TIMES=false. Phrases then share out the time of their answer."
        measured = {"word_times": "ignored"} if "NBest" in exchange.content else {}
        return Finding("ignored", same=False, advice=advice, measured=measured)

    def _ogg(self, exchanges: Sequence[Exchange]) -> Finding:
        if exchanges[0].text:
            return Finding("understood", same=True, measured={"ogg": "understood"})
        works = self._own.audio_format != "ogg"
        advice = "Set SPEECH_AUDIO_FORMAT=wav."
        return Finding(outcome(exchanges[0]), same=False, works=works, advice=advice, measured={"ogg": "refused"})

    def _profanity(self, exchanges: Sequence[Exchange]) -> Finding:
        if exchanges[0].text:
            return Finding("accepted", same=True, measured={"profanity": "accepted"})
        works = self._own.profanity != "removed"
        advice = "Set SPEECH_PROFANITY to masked or raw."
        return Finding(outcome(exchanges[0]), same=False, works=works, advice=advice, measured={"profanity": "refused"})

    def _language(self, exchanges: Sequence[Exchange]) -> Finding:
        advice = "A wrong SPEECH_LANGUAGE may not be noticed: check it yourself."
        return _refused(exchanges[0], "language_error", advice)

    def _model(self, exchanges: Sequence[Exchange]) -> Finding:
        (exchange,) = exchanges
        works = not (exchange.answer and self._own.models.ids)
        advice = "Models are ignored: AZURE_SPEECH_ENDPOINT_ID has no effect. Remove it."
        if not exchange.answer:
            advice = "A deleted model may not be recognised as one: check AZURE_SPEECH_ENDPOINT_ID yourself."
        return replace(_refused(exchange, "model_error", advice), works=works)


def _answered(exchanges: Sequence[Exchange]) -> Finding:
    (exchange,) = exchanges
    did = f"{outcome(exchange)}: {exchange.text!r:.60}" if exchange.text else outcome(exchange)
    answered = exchange.answer is not None
    return Finding(did, same=answered, works=answered, advice="The next line says why, and which setting to change.")


def _refused(exchange: Exchange, line: str, advice: str) -> Finding:
    same = exchange.status == 400 and exchange.explanation == INVALID
    measured = {line: exchange.error} if 400 <= exchange.status < 500 else {}
    return Finding(outcome(exchange), same=same, advice="" if same else advice, measured=measured)


def _key(exchanges: Sequence[Exchange]) -> Finding:
    (exchange,) = exchanges
    same = exchange.status == 401
    advice = "A wrong AZURE_SPEECH_KEY has another status here, so uploads may end with another error."
    measured = {"key_error": exchange.error} if exchange.status in (401, 403) else {}
    return Finding(str(exchange.status or outcome(exchange)), same=same, advice=advice, measured=measured)


def _other_audio(exchanges: Sequence[Exchange]) -> Finding:
    did = ", ".join("understood" if exchange.text else outcome(exchange) for exchange in exchanges)
    understood = any(exchange.text for exchange in exchanges)
    refused = [exchange for exchange in exchanges if exchange.status == 400]
    measured = {"other_audio": "understood" if understood else "refused"}
    if refused:
        measured["audio_error"] = refused[0].error
    advice = "The service understands more formats than documented. The app converts anyway; no setting depends on it."
    return Finding(did, same=not understood, advice=advice, measured=measured)


def _assessment(exchanges: Sequence[Exchange]) -> Finding:
    answer = exchanges[0].answer
    if answer and answer.phrase and answer.phrase.pronunciation:
        return Finding("scores", same=True, measured={"assessment": "scored"})
    advice = "Uploads with reference_text get no scores. Use a resource in another region: AZURE_SPEECH_REGION."
    measured = {"assessment": "ignored"} if "NBest" in exchanges[0].content else {}
    did = "no scores" if answer else outcome(exchanges[0])
    return Finding(did, same=False, advice=advice, measured=measured)


def _at_once(exchanges: Sequence[Exchange]) -> Finding:
    answered = sum(exchange.answer is not None for exchange in exchanges)
    others = sorted({outcome(exchange) for exchange in exchanges if exchange.answer is None})
    did = f"{answered} of {len(exchanges)} answered" + (f" ({'; '.join(others)})" if others else "")
    advice = (
        "The quota is small (1 on F0), or others use it. The app finds it out by itself."
        f" SPEECH_MAX_CONCURRENT_REQUESTS={answered or 1} would save the refusals."
    )
    refused = all(exchange.answer or exchange.status in (429, 503) for exchange in exchanges)
    return Finding(did, same=answered == len(exchanges), works=answered > 0 and refused, advice=advice)
