"""The local stand-in for Azure's "Speech to text REST API for short audio"."""

from local.speech.access import Entra
from local.speech.behaviour import ASSUMED, SDK_SEGMENTATION, Behaviour
from local.speech.endpoint import SpeechEndpoint
from local.speech.faults import Fault
from local.speech.recognizer import HelloWorld, PocketSphinx, RecognitionFailed, Recognizer, Script, Word
from local.speech.wire import Received

__all__ = [
    "ASSUMED",
    "SDK_SEGMENTATION",
    "Behaviour",
    "Entra",
    "Fault",
    "HelloWorld",
    "PocketSphinx",
    "Received",
    "RecognitionFailed",
    "Recognizer",
    "Script",
    "SpeechEndpoint",
    "Word",
]
