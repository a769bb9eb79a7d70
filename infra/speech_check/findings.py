"""One assumption about the service, the requests that test it, and what they found."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.speech_check.exchanges import Exchange, Request


@dataclass(frozen=True)
class Finding:
    """The outcome of a check.

    did: what the service did. same: that is what is assumed. works: the app works with the current settings.
    advice: what a difference means, and the setting to change. measured: lines for the stand-in's table.
    """

    did: str
    same: bool
    works: bool = True
    advice: str = ""
    measured: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    """An assumption. `judge` turns the exchanges, in the order of `requests`, into a finding."""

    what: str
    assumed: str
    requests: tuple[Request, ...]
    judge: Callable[[Sequence[Exchange]], Finding]
    at_once: bool = False

    @property
    def seconds(self) -> float:
        """Return the seconds of audio that the service may bill."""
        return sum(request.audio.seconds for request in self.requests if not request.wrong_key)


@dataclass(frozen=True)
class Row:
    """A line of the table of results."""

    check: Check
    finding: Finding

    def __str__(self) -> str:
        finding = self.finding
        verdict = "same" if finding.same else f"DIFFERENT: {finding.advice}"
        return f"{self.check.what} | assumed: {self.check.assumed} | {finding.did} | {verdict}"


def outcome(exchange: Exchange) -> str:
    """Return what came of a request, in a few words."""
    if exchange.failure:
        return f"no answer ({exchange.explanation})"
    if exchange.status != 200:
        return f"{exchange.status}: {exchange.explanation}"
    return exchange.answer.status if exchange.answer else "an answer of another form"


def unanswered(exchanges: Sequence[Exchange]) -> Finding | None:
    """Return the finding if a request that should be answered was not, else None."""
    for exchange in exchanges:
        if exchange.answer is None:
            advice = f"The app needs an answer to '{exchange.request.name}'. Try again, and see the saved exchanges."
            return Finding(outcome(exchange), same=False, works=False, advice=advice)
    return None
