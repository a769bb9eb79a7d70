"""A share of what `make soak` runs, of every bar; the full numbers are in docs/reliability.md."""

import pytest

from local.azurite import Azurite
from tests.soak.__main__ import BARS, run


@pytest.mark.parametrize("bar", BARS)
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")  # cut sockets
def test_a_share_of_every_bar_is_reached_and_no_secret_is_found(bar: str, azurite: Azurite) -> None:
    for result in run([bar], azurite.connection_string, quick=True):
        assert result.failed == 0, result
