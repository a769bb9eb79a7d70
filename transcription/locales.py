"""The locales that speech to text and pronunciation assessment support, and whether they put spaces between words.

Source: "Language and voice support for the Speech service", table "Speech to text", as of April 2026. `SPEECH_LANGUAGE`
may be a locale that is newer than this list: only its form is checked.
"""

import re

_LISTED = """
af-ZA am-ET ar-AE ar-BH ar-DZ ar-EG ar-IL ar-IQ ar-JO ar-KW ar-LB ar-LY ar-MA ar-OM ar-PS ar-QA ar-SA ar-SY
ar-TN ar-YE as-IN az-AZ bg-BG bn-IN bs-BA ca-ES cs-CZ cy-GB da-DK de-AT de-CH de-DE el-GR en-AU en-CA en-GB
en-GH en-HK en-IE en-IN en-KE en-NG en-NZ en-PH en-SG en-TZ en-US en-ZA es-AR es-BO es-CL es-CO es-CR es-CU
es-DO es-EC es-ES es-GQ es-GT es-HN es-MX es-NI es-PA es-PE es-PR es-PY es-SV es-US es-UY es-VE et-EE eu-ES
fa-IR fi-FI fil-PH fr-BE fr-CA fr-CH fr-FR ga-IE gl-ES gu-IN he-IL hi-IN hr-HR hu-HU hy-AM id-ID is-IS it-CH
it-IT ja-JP jv-ID ka-GE kk-KZ km-KH kn-IN ko-KR lo-LA lt-LT lv-LV mk-MK ml-IN mn-MN mr-IN ms-MY mt-MT my-MM
nb-NO ne-NP nl-BE nl-NL or-IN pa-IN pl-PL ps-AF pt-BR pt-PT ro-RO ru-RU si-LK sk-SK sl-SI so-SO sq-AL sr-RS
sv-SE sw-KE sw-TZ ta-IN te-IN th-TH tr-TR uk-UA ur-IN uz-UZ vi-VN wuu-CN yue-CN zh-CN zh-CN-shandong
zh-CN-sichuan zh-HK zh-TW zu-ZA
"""
LISTED = tuple(_LISTED.split())

# From the same page, table "Pronunciation assessment".
_ASSESSED = """
ar-EG ar-SA ca-ES da-DK de-DE en-AU en-CA en-GB en-IN en-US es-ES es-MX fi-FI fr-CA fr-FR hi-IN it-IT ja-JP ko-KR
ms-MY nb-NO nl-NL pl-PL pt-BR pt-PT ru-RU sv-SE ta-IN th-TH vi-VN zh-CN zh-HK zh-TW
"""
ASSESSED = tuple(_ASSESSED.split())
_BY_FOLDED_NAME = {locale.casefold(): locale for locale in LISTED}

_LOCALE_FORM = re.compile(r"[a-z]{2,3}(-[a-z]{4})?-[a-z]{2}(-[a-z]+)?", re.IGNORECASE)

# Languages written without spaces between words. Their phrases are joined without a space.
_WITHOUT_SPACES = frozenset({"zh", "wuu", "yue", "ja", "th", "lo", "km", "my"})


def canonical(name: str) -> str | None:
    """Return the locale as the service spells it (`fr-fr`, `fr_FR` → `fr-FR`), or None if it is not listed."""
    return _BY_FOLDED_NAME.get(name.casefold().replace("_", "-"))


def well_formed(name: str) -> bool:
    """Tell whether `name` has the form of a locale: language, optional script, region, optional variety."""
    return _LOCALE_FORM.fullmatch(name) is not None


def word_separator(locale: str) -> str:
    """Return what separates two phrases of a transcript: a space, or nothing."""
    return "" if locale.partition("-")[0].casefold() in _WITHOUT_SPACES else " "
