"""An answer with a pronunciation assessment, in both shapes of the service, and its scores in the document's shape."""

from typing import Any

FLAT = {
    "RecognitionStatus": "Success",
    "Offset": "400000",
    "Duration": "11000000",
    "NBest": [
        {
            "Confidence": "0.87",
            "Lexical": "good morning",
            "ITN": "good morning",
            "MaskedITN": "good morning",
            "Display": "Good morning.",
            "PronScore": 84.4,
            "AccuracyScore": 100.0,
            "FluencyScore": "74",
            "CompletenessScore": 100,
            "ProsodyScore": 77.5,
            "Words": [
                {"Word": "Good", "AccuracyScore": 100.0, "ErrorType": "None", "Offset": 500000, "Duration": 2700000},
                {"Word": "very", "ErrorType": "Omission"},
                {
                    "Word": "morning",
                    "AccuracyScore": 61.0,
                    "ErrorType": "Mispronunciation",
                    "Offset": 5300000,
                    "Duration": 900000,
                    "Syllables": [
                        {"Syllable": "mɔr", "Grapheme": "mor", "AccuracyScore": 60, "Offset": 5300000, "Duration": 1},
                        {"AccuracyScore": 62.0, "Offset": 5300001, "Duration": 2},
                    ],
                    "Phonemes": [
                        {
                            "Phoneme": "m",
                            "AccuracyScore": 98.0,
                            "NBestPhonemes": [{"Phoneme": "m", "Score": 100.0}, {"Phoneme": "n", "Score": 3}],
                            "Offset": 5300000,
                            "Duration": 100000,
                        }
                    ],
                },
            ],
        }
    ],
}
SCORES = {
    "pronScore": 84.4,
    "accuracyScore": 100.0,
    "fluencyScore": 74.0,
    "completenessScore": 100.0,
    "prosodyScore": 77.5,
    "words": [
        {"word": "Good", "accuracyScore": 100.0, "errorType": "None", "offsetSeconds": 0.05, "durationSeconds": 0.27},
        {"word": "very", "errorType": "Omission"},
        {
            "word": "morning",
            "accuracyScore": 61.0,
            "errorType": "Mispronunciation",
            "offsetSeconds": 0.53,
            "durationSeconds": 0.09,
            "syllables": [
                {
                    "syllable": "mɔr",
                    "grapheme": "mor",
                    "accuracyScore": 60.0,
                    "offsetSeconds": 0.53,
                    "durationSeconds": 1e-7,
                },
                {"accuracyScore": 62.0, "offsetSeconds": 0.5300001, "durationSeconds": 2e-7},
            ],
            "phonemes": [
                {
                    "phoneme": "m",
                    "accuracyScore": 98.0,
                    "offsetSeconds": 0.53,
                    "durationSeconds": 0.01,
                    "nBestPhonemes": [{"phoneme": "m", "score": 100.0}, {"phoneme": "n", "score": 3.0}],
                }
            ],
        },
    ],
}


def nested(item: Any) -> Any:
    """Return the answer in the Speech SDK's shape, with scores in objects of their own."""
    if isinstance(item, list):
        return [nested(part) for part in item]
    if not isinstance(item, dict):
        return item
    scores = {name for name in item if name.endswith("Score") or name in ("ErrorType", "NBestPhonemes")}
    others = {name: nested(part) for name, part in item.items() if name not in scores}
    return {**others, "PronunciationAssessment": {name: item[name] for name in scores}} if scores else others
