"""Runs a small share of every bar of `make soak`. The full numbers are in docs/reliability.md."""

import base64
import logging
import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from local.azurite import Azurite
from local.tools import PROJECT
from tests.soak.__main__ import BARS, SECRETS, run, with_mutants
from tests.soak.canaries import Canaries
from tests.soak.mutants import MUTANTS, Mutant, MutantMisfit
from tests.soak.report import Result, table

pytestmark = pytest.mark.xdist_group("soak")  # one after the other: each bar takes what the machine has

MUTANTS_SECONDS = 60.0  # of three mutants of fast bars; they take 10 s on an idle machine


@pytest.mark.parametrize("bar", BARS)
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")  # cut sockets
def test_a_small_share_of_every_bar_passes_without_leaking_a_secret(bar: str, azurite: Azurite) -> None:
    for result in run([bar], lambda: nullcontext(azurite), quick=True):
        assert result.failed == 0, result


@pytest.mark.parametrize(
    "form",
    [
        *("s3/cr+t=", "s3%2Fcr%2Bt%3D", "s3/cr%2Bt%3D", "s3/cr+t", base64.b64encode(b"s3/cr+t=").decode()),
        *(
            "s 3 / c r + t =",
            "s\0003\0/\0c\0r\0+\0t\0=\0",
            r"\u0073\u0033\u002f\u0063\u0072\u002b\u0074",
            "&#115;3/cr+t",
        ),
    ],
)
def test_a_logged_secret_is_found(form: str) -> None:
    with Canaries().watching() as canaries:
        canaries.add("s3/cr+t=", "a secret")
        logging.getLogger("transcription.speech").debug("the key is %s", form)
    assert set(canaries.found) == {"a secret in the log of transcription.speech"}


def test_every_bar_has_a_mutant() -> None:
    assert {mutant.bar for mutant in MUTANTS} == {*BARS, SECRETS}
    assert {bar for mutant in MUTANTS for bar in mutant.bars} <= set(BARS)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.broken)
def test_every_mutant_fits_the_sources(mutant: Mutant, tmp_path: Path) -> None:
    source = (PROJECT / mutant.file).read_text()
    copy = tmp_path / mutant.file
    copy.parent.mkdir(parents=True)
    copy.write_text(source)
    mutant.apply(tmp_path)
    compile(copy.read_text(), mutant.file, "exec")
    assert copy.read_text() != source


@pytest.mark.parametrize(("source", "count"), [("nothing of it", 0), ("x = 1; x = 1", 2)])
def test_a_mutant_whose_text_is_missing_or_ambiguous_is_refused(tmp_path: Path, source: str, count: int) -> None:
    (tmp_path / "a.py").write_text(source)
    with pytest.raises(MutantMisfit, match=f"{count} times, not once"):
        Mutant("names", "x is 2", "a.py", "x = 1", "x = 2").apply(tmp_path)
    assert (tmp_path / "a.py").read_text() == source


def test_mutants_run_in_copies_and_one_that_stays_green_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    harmless = Mutant("statuses", "nothing", "transcription/speech/failures.py", "QUOTED = 300", "QUOTED = 299")
    seen_in = [next(mutant for mutant in MUTANTS if mutant.bar == bar) for bar in ("statuses", "names")]
    monkeypatch.setattr("tests.soak.__main__.MUTANTS", [*seen_in, harmless])
    results = [Result(label, 1, 0, "", 0.0) for label in ("status codes × Retry-After", "names", "canary secrets")]
    sources = {mutant.file: (PROJECT / mutant.file).read_text() for mutant in [*seen_in, harmless]}
    started = time.monotonic()
    counted, all_seen = with_mutants(["statuses", "names"], results)
    assert time.monotonic() - started < MUTANTS_SECONDS
    assert [result.seen_red for result in counted] == ["1 of 2", "1 of 1", ""]
    assert not all_seen
    assert "| 1 of 2 |" in table(counted)
    assert {file: (PROJECT / file).read_text() for file in sources} == sources
