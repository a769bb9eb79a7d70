"""Assumptions about what the service listens to: pauses, length and silence."""

from collections.abc import Sequence
from dataclasses import replace

from infra.speech_check.clips import Clips, noise, silence
from infra.speech_check.exchanges import Exchange, Request
from infra.speech_check.findings import Check, Finding, outcome, unanswered
from transcription.settings.speech import SpeechSettings
from transcription.speech.client import RecognitionOptions
from transcription.speech.encoding import as_wav

PAUSES = (0.4, 0.6, 0.8, 1.0, 1.5)  # seconds
ASSUMED_TO_STOP = (1.0, 1.5)
MARGIN = 0.05  # seconds above the longest pause that was heard to the end
TAIL = 0.7  # seconds; an answer may end this much before the last sound
LONG, FULL, OVER = 45.0, 59.0, 62.0
LIMIT = 60.0
SEGMENTATION = "SpeechContext-phraseDetection.conversation.segmentation"
LONGER_PAUSE = ((f"{SEGMENTATION}.mode", "custom"), (f"{SEGMENTATION}.segmentationSilenceTimeoutMs", "2000"))
ENGLISH = RecognitionOptions("en-US", "masked")


class Listening:
    """The checks, for one resource."""

    def __init__(self, clips: Clips, settings: SpeechSettings) -> None:
        """`settings` ask for detailed answers without a custom model."""
        self._clips = clips
        self._settings = settings
        self._longest_is_heard = False  # anyway; then nothing shows if a longer pause was granted

    def checks(self) -> list[Check]:
        apart = tuple(self._request(f"{pause:g} s apart", self._clips.apart(pause)) for pause in PAUSES)
        longer = replace(self._request("a longer pause asked for", self._clips.apart(PAUSES[-1])), query=LONGER_PAUSE)
        return [
            Check("a pause", "0.8 s is heard, 1 s ends recognition", apart, self._pauses),
            Check("query …segmentationSilenceTimeoutMs", "ignored", (longer,), self._longer),
            self._length_check(LONG),
            self._length_check(FULL),
            Check(f"{OVER:g} s", "nothing past 60 s", (self._running(OVER),), _over),
            Check(
                "silence, noise",
                "InitialSilenceTimeout, NoMatch",
                (self._request("silence", silence(6.0)), self._request("noise", noise(4.0))),
                _wordless,
            ),
        ]

    def _request(self, name: str, pcm: bytes) -> Request:
        return Request(name, as_wav(pcm), self._settings, ENGLISH)

    def _running(self, seconds: float) -> Request:
        return self._request(f"{seconds:g} s", self._clips.running(seconds))

    def _length_check(self, seconds: float) -> Check:
        return Check(f"{seconds:g} s without a pause", "heard to the end", (self._running(seconds),), _whole)

    def _pauses(self, exchanges: Sequence[Exchange]) -> Finding:
        if finding := unanswered(exchanges):
            return finding
        heard = [_is_heard(exchange) for exchange in exchanges]
        self._longest_is_heard = heard[-1]
        stops = [pause for pause, whole in zip(PAUSES, heard, strict=True) if not whole]
        allowed = max((pause for pause in PAUSES if pause < min(stops, default=99.0)), default=None)
        did = f"heard: {_list(PAUSES, heard, wanted=True)}; ends recognition: {_list(PAUSES, heard, wanted=False)}"
        if any(self._lost(exchange) for exchange in exchanges):
            advice = "Answers claim words that they lack, so words would be lost. Do not use this endpoint."
            return Finding(did, same=False, works=False, advice=advice)
        measured = {"pause_seconds": min(stops, default=PAUSES[-1] + 1)}
        same = tuple(stops) == ASSUMED_TO_STOP
        return Finding(did, same=same, advice="" if same else _pause_advice(allowed), measured=measured)

    def _lost(self, exchange: Exchange) -> bool:
        """Tell whether the answer claims to cover the second sentence and has no word of it."""
        answer = exchange.answer
        words = answer.phrase.words if answer and answer.phrase else ()
        second = exchange.request.audio.seconds - len(self._clips.second) / 32_000
        return _is_heard(exchange) and bool(words) and words[-1].end <= second

    def _longer(self, exchanges: Sequence[Exchange]) -> Finding:
        if finding := unanswered(exchanges):
            return finding
        if self._longest_is_heard:
            return Finding(f"{PAUSES[-1]:g} s is heard anyway", same=True)
        if not _is_heard(exchanges[0]):
            return Finding("ignored", same=True, measured={"segmentation": "ignored"})
        setting = "&".join(f"{name}={value}" for name, value in LONGER_PAUSE)
        advice = f"Pauses can be longer: set AZURE_SPEECH_QUERY={setting} and SPEECH_PAUSE_SECONDS=1.8."
        return Finding("obeyed", same=False, advice=advice, measured={"segmentation": "obeyed"})


def _pause_advice(allowed: float | None) -> str:
    setting = f"SPEECH_PAUSE_SECONDS={(allowed or PAUSES[0] - 2 * MARGIN) + MARGIN:g}"
    if allowed is not None and allowed >= min(ASSUMED_TO_STOP):
        return f"The service waits longer. {setting} would save requests."
    return f"The service stops earlier. Set {setting}, or speech is sent twice. No word is lost either way."


def _is_heard(exchange: Exchange) -> bool:
    """Tell whether the answer reaches the clip's end."""
    answer = exchange.answer
    return answer is not None and answer.covered >= exchange.request.audio.seconds - TAIL


def _list(pauses: Sequence[float], heard: Sequence[bool], *, wanted: bool) -> str:
    chosen = [f"{pause:g}" for pause, whole in zip(pauses, heard, strict=True) if whole is wanted]
    return f"{', '.join(chosen)} s" if chosen else "none"


def _whole(exchanges: Sequence[Exchange]) -> Finding:
    if finding := unanswered(exchanges):
        return finding
    (exchange,) = exchanges
    if _is_heard(exchange):
        return Finding("heard to the end", same=True)
    answer = exchange.answer
    covered = answer.covered if answer else 0.0
    advice = "The app sends the rest again, at more cost. SPEECH_PAUSE_SECONDS below 0.8 makes shorter clips."
    return Finding(f"heard up to {covered:.1f} s", same=False, works=covered > 0, advice=advice)


def _over(exchanges: Sequence[Exchange]) -> Finding:
    (exchange,) = exchanges
    answer = exchange.answer
    if answer is None:
        refused = 400 <= exchange.status < 500
        advice = "The app never sends so much. Try again if the service was busy."
        measured = {"too_long": "refused"} if refused else {}
        return Finding(outcome(exchange), same=refused, advice=advice, measured=measured)
    did = f"{outcome(exchange)}, up to {answer.covered:.1f} s"
    if answer.covered <= LIMIT + 1:
        return Finding(did, same=True, measured={"too_long": "dropped"})
    return Finding(did, same=False, advice="The limit is higher than documented. No setting depends on it.")


def _wordless(exchanges: Sequence[Exchange]) -> Finding:
    still, hiss = exchanges
    did = f"{outcome(still)}, {outcome(hiss)}"
    same = (outcome(still), outcome(hiss)) == ("InitialSilenceTimeout", "NoMatch")
    measured = {name: outcome(e) for name, e in (("silence", still), ("wordless", hiss)) if e.answer and not e.text}
    if still.answer and 0 < still.answer.covered < still.request.audio.seconds:
        measured |= {"initial_silence_seconds": round(still.answer.covered, 1)}  # type: ignore[dict-item]
    works = all(exchange.answer is not None for exchange in exchanges)
    advice = "The app sends no silence. Gaps of noisy recordings may have another reason; no setting depends on it."
    if not works:
        advice = "The app expects an answer without words to a clip of noise. Try again, and see the saved exchanges."
    return Finding(did, same=same, works=works, advice="" if same else advice, measured=measured)
