"""Runs a small share of every bar of `make soak`. The full numbers are in docs/reliability.md."""

import base64
import logging
from contextlib import nullcontext

import pytest

from local.azurite import Azurite
from tests.soak.__main__ import BARS, run
from tests.soak.canaries import Canaries


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
