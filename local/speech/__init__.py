"""The local stand-in of Azure's "Speech to text REST API for short audio"."""

from local.speech.endpoint import SpeechEndpoint
from local.speech.faults import Fault
from local.speech.recognizer import PocketSphinx, RecognitionFailed, Recognizer, Script, Word
from local.speech.wire import Received

__all__ = ["Fault", "PocketSphinx", "Received", "RecognitionFailed", "Recognizer", "Script", "SpeechEndpoint", "Word"]
