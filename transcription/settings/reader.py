"""Reads app settings one at a time, and says at the end what is wrong with all of them.

Knows the forms a setting can have, not the settings: those are in `settings`.
"""

import re
from collections.abc import Callable, Mapping
from typing import TypeVar

from transcription.errors import Misconfigured

T = TypeVar("T")

_UNRESOLVED = "@Microsoft.KeyVault("
# Keys, tokens and connection strings are long runs of such characters; settings that are no secrets are not.
_SECRET_LOOKING = re.compile(r"[A-Za-z0-9+/=_-]{28,}")


class SettingsReader:
    """Reads one setting at a time, noting what is wrong instead of stopping there."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._problems: list[str] = []

    def wrong(self, name: str, may_be: str, value: str | None = None) -> None:
        was = "is missing" if value is None else f"is {_shown(value)}"
        self._problems.append(f"{name} {was}: it may be {may_be}.")

    def text(self, name: str) -> str | None:
        value = self._environ.get(name, "").strip()
        if value.startswith(_UNRESOLVED):
            self._problems.append(
                f"{name} is an unresolved Key Vault reference: check that the secret exists and that the app's identity"
                " has the role Key Vault Secrets User, then refresh the reference."
            )
        return value or None

    def parsed(self, name: str, parse: Callable[[str], T], fallback: T) -> T:
        """What `parse` makes of the value; its ValueError tells what the value may be."""
        value = self.text(name)
        if value is None or value.startswith(_UNRESOLVED):
            return fallback
        try:
            return parse(value)
        except ValueError as problem:
            self.wrong(name, str(problem), value)
            return fallback

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        return self.choices(name, (default,), allowed, at_most=1)[0]

    def choices(
        self, name: str, default: tuple[str, ...], allowed: tuple[str, ...], at_most: int | None = None
    ) -> tuple[str, ...]:
        """A comma list of allowed values, spelled as `allowed` spells them."""
        spelled = {value.casefold(): value for value in allowed}

        def parse(value: str) -> tuple[str, ...]:
            chosen = [spelled.get(part.strip().casefold()) for part in value.split(",") if part.strip()]
            if not chosen or None in chosen or (at_most and len(chosen) > at_most):
                raise ValueError(("one of " if at_most else "a comma list of ") + ", ".join(allowed))
            return tuple(dict.fromkeys(value for value in chosen if value))

        return self.parsed(name, parse, default)

    def number(self, name: str, default: float, most: float) -> float:
        def parse(value: str) -> float:
            try:
                number = float(value)
            except ValueError:
                number = 0.0
            if not 0 < number <= most:
                raise ValueError(f"a number above 0 and up to {most:g} (the default is {default:g})")
            return number

        return self.parsed(name, parse, default)

    def count(self, name: str, default: int) -> int:
        def parse(value: str) -> int:
            if not re.fullmatch(r"[1-9][0-9]{0,3}", value):
                raise ValueError(f"a whole number from 1 to 9999 (the default is {default})")
            return int(value)

        return self.parsed(name, parse, default)

    def finish(self) -> None:
        """Misconfigured, with every problem noted, if there are any."""
        if self._problems:
            raise Misconfigured("App settings to put right: " + " ".join(dict.fromkeys(self._problems)))


def _shown(value: str) -> str:
    """A value as an error may quote it: whatever could be a secret in the wrong place is only described."""
    if len(value) > 100 or _SECRET_LOOKING.search(value) or "@" in value:
        return f"{len(value)} characters that are not shown here"
    return repr(value)
