"""Reads app settings one by one, and reports at the end everything that is wrong with them.

This module knows the forms that a setting can have. The settings themselves are in `settings.app`.
"""

import re
from collections.abc import Callable, Mapping
from typing import TypeVar

from transcription.errors import Misconfigured

T = TypeVar("T")

_UNRESOLVED = "@Microsoft.KeyVault("
_WORD = r"(?:[A-Z]?[a-z]+|[A-Z]+)"
# Words, or up to five plain characters. Anything else may be a secret in the wrong place, or a piece of one.
_HARMLESS = re.compile(rf"(?=.{{1,20}}$){_WORD}(?:[ ,_-]{_WORD})*|[A-Za-z0-9.,+-]{{1,5}}")


class SettingsReader:
    """Reads one setting at a time. A problem is noted, and reading goes on."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._problems: list[str] = []

    def wrong(self, name: str, expected: str, value: str | None = None) -> None:
        """Note that a setting is missing, or wrong if it has a `value`. `expected` follows "Set it to"."""
        problem = "missing" if value is None else _described(value)
        self._problems.append(f"{name} is {problem}. Set it to {expected}.")

    def text(self, name: str) -> str | None:
        """Return the value without surrounding blanks, or None if there is none."""
        value = self._environ.get(name, "").strip()
        if value.startswith(_UNRESOLVED):
            self._problems.append(
                f"{name} is an unresolved Key Vault reference. Check that the secret exists and that the app's identity"
                " has the role Key Vault Secrets User, then refresh the reference."
            )
        return value or None

    def parsed(self, name: str, parse: Callable[[str], T], fallback: T) -> T:
        """Return what `parse` makes of the value. The text of its ValueError says what is expected."""
        value = self._resolved(name)
        if value is None:
            return fallback
        try:
            return parse(value)
        except ValueError as error:
            self.wrong(name, str(error), value)
            return fallback

    def confidential(self, name: str, check: Callable[[str], T], fallback: T) -> T:
        """Return what `check` makes of the value, which no message repeats.

        The text of its ValueError follows the name. It says what is wrong and what to do, without the value.
        """
        value = self._resolved(name)
        if value is None:
            return fallback
        try:
            return check(value)
        except ValueError as error:
            self._problems.append(f"{name} {error}")
            return fallback

    def _resolved(self, name: str) -> str | None:
        value = self.text(name)
        return None if value is None or value.startswith(_UNRESOLVED) else value

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        return self.choices(name, (default,), allowed, at_most=1)[0]

    def choices(
        self, name: str, default: tuple[str, ...], allowed: tuple[str, ...], at_most: int | None = None
    ) -> tuple[str, ...]:
        """Return the values of a comma-separated list, spelled as in `allowed`."""
        spellings = {value.casefold(): value for value in allowed}

        def parse(value: str) -> tuple[str, ...]:
            chosen = [spellings.get(part.strip().casefold()) for part in value.split(",") if part.strip()]
            if not chosen or None in chosen or (at_most and len(chosen) > at_most):
                form = "one of" if at_most else "a comma-separated list of"
                raise ValueError(f"{form} {', '.join(allowed)}")
            return tuple(dict.fromkeys(value for value in chosen if value))

        return self.parsed(name, parse, default)

    def number(self, name: str, default: float, most: float, least: float = 0.0) -> float:
        """Return a number from `least` to `most`, but not 0."""
        limits = f"from {least:g} to {most:g}" if least else f"above 0 and up to {most:g}"

        def parse(value: str) -> float:
            try:
                number = float(value)
            except ValueError:
                number = 0.0
            if not (number > 0 and least <= number <= most):
                raise ValueError(f"a number {limits} (the default is {default:g})")
            return number

        return self.parsed(name, parse, default)

    def count(self, name: str, default: int) -> int:
        def parse(value: str) -> int:
            if not re.fullmatch(r"[1-9][0-9]{0,3}", value):
                raise ValueError(f"a whole number from 1 to 9999 (the default is {default})")
            return int(value)

        return self.parsed(name, parse, default)

    def finish(self) -> None:
        """Raise Misconfigured if any problem was noted. The error names them all."""
        if self._problems:
            raise Misconfigured("App settings are wrong. " + " ".join(dict.fromkeys(self._problems)))


def _described(value: str) -> str:
    """Return the value as an error may quote it, or only its length if it may be a secret."""
    return repr(value) if _HARMLESS.fullmatch(value) else f"wrong ({len(value)} characters, not shown)"
