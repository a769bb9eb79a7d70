"""Compare the real Speech service with what this project assumes about it.

    AZURE_SPEECH_KEY=… AZURE_SPEECH_REGION=westeurope python infra/check_speech.py

It reads the app's own settings from the environment, says what it will cost, asks, and sends some 30 short clips. Each
line of the result says what is assumed, what the service did, and which setting to change if that differs. If there is
no answer at all, it says why: key, region, network, clock, proxy or quota.

Without a key and without AZURE_SPEECH_AUTH=identity, it runs against the local stand-in, which costs nothing.

Exit status: 0 if the app would work with these settings, 1 if it would not, 2 if the arguments or settings are wrong.
"""

import argparse
import io
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a file, Python only searches this folder

from infra.speech_check import report
from infra.speech_check.asking import Asking
from infra.speech_check.clips import SAMPLE, Clips
from infra.speech_check.doctor import clock_skew, diagnosis
from infra.speech_check.exchanges import Sender
from infra.speech_check.findings import Check, Row
from infra.speech_check.listening import Listening
from transcription.clock import SystemClock
from transcription.errors import Misconfigured
from transcription.settings.models import Models
from transcription.settings.speech import SpeechSettings

LOCAL_KEY = "local-key"


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the script and return its exit status."""
    options = parser().parse_args(arguments)
    try:
        with connected(environ) as settings:
            return run(settings, options, is_local=not has_credential(environ))
    except Misconfigured as error:
        say(str(error))
        return 2
    except ImportError as error:
        say(f"The stand-in needs the package {error.name}: pip install -r local/requirements.txt. Or set a key.")
        return 2
    except KeyboardInterrupt:
        say("Stopped.")
        return 1


def parser() -> argparse.ArgumentParser:
    paragraphs = str(__doc__).split("\n\n")
    parser = argparse.ArgumentParser(description=f"{paragraphs[0]} {paragraphs[2]}", epilog=paragraphs[4])
    parser.add_argument("--yes", action="store_true", help="do not ask before sending")
    parser.add_argument("--save", type=Path, default=Path("speech-check.json"), help="default: %(default)s")
    return parser


def has_credential(environ: Mapping[str, str]) -> bool:
    is_identity = environ.get("AZURE_SPEECH_AUTH", "").strip().casefold() == "identity"
    return is_identity or bool(environ.get("AZURE_SPEECH_KEY", "").strip())


@contextmanager
def connected(environ: Mapping[str, str]) -> Iterator[SpeechSettings]:
    """Yield the settings for the real service, or for a local stand-in if there is no credential.

    Raises Misconfigured if settings are missing or wrong.
    """
    if has_credential(environ):
        yield SpeechSettings.read(environ)
        return
    from local.speech import SpeechEndpoint  # never deployed, and it has requirements of its own
    from local.speech.loudness import Loudness

    say("There is no AZURE_SPEECH_KEY, so this runs against the local stand-in. It says nothing about the service.")
    with SpeechEndpoint(Loudness(), key=LOCAL_KEY, models=()) as endpoint:
        yield SpeechSettings.read({"AZURE_SPEECH_ENDPOINT": endpoint.url, "AZURE_SPEECH_KEY": LOCAL_KEY})


def run(settings: SpeechSettings, options: argparse.Namespace, *, is_local: bool) -> int:
    """Ask, send, print and save. Return the exit status."""
    clips = Clips.read()
    plain = replace(settings, models=Models(), detailed=True, word_times=False)
    asking = Asking(clips, settings, plain, SAMPLE.with_suffix(".txt").read_text().strip())
    first = asking.own_settings()
    checks = [*Listening(clips, plain).checks(), *asking.checks()]
    say(f"Endpoint: {settings.endpoint.base}")
    if not is_local:
        say(f"This sends {report.cost([first, *checks])}.")
        if not (options.yes or agreed()):
            say("Nothing was sent.")
            return 2
    sender = Sender(settings, SystemClock())
    rows = [judged(sender, first)]
    if not rows[0].finding.works:
        say(diagnosis(sender.exchanges[0], settings))
    else:
        if skew := clock_skew(sender.exchanges[0]):
            say(skew)
        rows += [judged(sender, check) for check in checks]
    report.save(options.save, settings.endpoint.base, rows, sender.exchanges, is_local=is_local)
    say(f"The exchanges, without the key: {options.save}")
    say(report.conclusion(rows))
    return 0 if all(row.finding.works for row in rows) else 1


def agreed() -> bool:
    """Ask on the terminal. Without one, the answer is no."""
    if not sys.stdin.isatty():
        say("Use --yes to send without a question.")
        return False
    return input("Send? [y/N] ").strip().casefold() in ("y", "yes")


def judged(sender: Sender, check: Check) -> Row:
    """Send the requests of one check, and print its line."""
    exchanges = (
        sender.send_at_once(check.requests) if check.at_once else [sender.send(request) for request in check.requests]
    )
    row = Row(check, check.judge(exchanges))
    say(str(row))
    return row


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # the terminal may lack characters of an answer
    sys.exit(main(sys.argv[1:], os.environ))
