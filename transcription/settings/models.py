"""The custom models of AZURE_SPEECH_ENDPOINT_ID: one for all recordings, or one per locale.

A model hears its own language only. An English one would hear French as English, so a locale without a model of its own
gets the service's usual one.
"""

import re
from dataclasses import dataclass

from transcription import locales
from transcription.settings.confidential import check_characters

_EXAMPLE = "Use the form en-US=<endpoint id>;fr-FR=<endpoint id>."


@dataclass(frozen=True)
class Models:
    """The ids of custom models. A locale that `by_locale` lacks has the model `everywhere`, if there is one."""

    everywhere: str | None = None
    by_locale: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, value: str) -> "Models":
        """Return the models that the setting's value names.

        Raises ValueError if it is malformed. The text follows the setting's name and never quotes the value.
        """
        if not re.search("[=;]", value):
            check_characters(value)
            return cls(value)
        models: dict[str, str] = {}
        for number, entry in enumerate(filter(None, map(str.strip, value.split(";"))), 1):
            name, _, model_id = (part.strip() for part in entry.partition("="))
            if not (locales.well_formed(name) and model_id):
                raise ValueError(f"has an entry {number} that is not a locale and an id. {_EXAMPLE}")
            check_characters(model_id)
            locale = (locales.canonical(name) or name).casefold()
            if locale in models:
                raise ValueError(f"has a second model for the locale of entry {number}. Remove one of them.")
            models[locale] = model_id
        if not models:
            raise ValueError(f"names no model. {_EXAMPLE}")
        return cls(None, tuple(models.items()))

    def id_for(self, language: str) -> str | None:
        """Return the id of the model for this locale, or None for the service's usual one."""
        return dict(self.by_locale).get(language.casefold(), self.everywhere)

    @property
    def ids(self) -> tuple[str, ...]:
        """Return the ids of all models."""
        return (*filter(None, [self.everywhere]), *(model_id for _, model_id in self.by_locale))
