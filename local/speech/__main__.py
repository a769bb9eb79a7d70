"""A stand-in in a process of its own, for measuring its clients: `python -m local.speech`.

It recognises "hello world" in every clip and keeps no audio. It prints its port. A line on standard input asks for all
requests so far, which it prints as one line of JSON. It ends when its input ends.
"""

import argparse
import json
import ssl
import sys

from local.speech.endpoint import SpeechEndpoint
from local.speech.recognizer import HelloWorld


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m local.speech", description=__doc__)
    parser.add_argument("--key", default="local-key", help="the subscription key that it accepts")
    parser.add_argument("--fixed", type=float, default=0.0, help="seconds that each answer takes")
    parser.add_argument("--share", type=float, default=0.0, help="further seconds that it takes per second of audio")
    parser.add_argument("--quota", type=int, help="recognitions at once; more are refused with 429")
    parser.add_argument("--retry-after", type=int, help="seconds that such a refusal asks to wait")
    parser.add_argument("--certificate", help="PEM file with key and certificate; turns on TLS")
    options = parser.parse_args()
    tls = None
    if options.certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(options.certificate)

    def latency(seconds: float) -> float:
        return float(options.fixed + options.share * seconds)

    with SpeechEndpoint(
        HelloWorld(),
        key=options.key,
        tls=tls,
        latency=latency,
        keep_audio=False,
        quota=options.quota,
        quota_retry_after=options.retry_after,
    ) as endpoint:
        print(endpoint.port, flush=True)
        for _ in sys.stdin:
            print(json.dumps([request.as_json() for request in endpoint.received]), flush=True)


if __name__ == "__main__":
    main()
