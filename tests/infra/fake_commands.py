"""Fake commands `az` and `func` for the tests of deploy.sh. They record each call and answer from a table.

Run as a program; the first argument is the name of the command. The folder `$FAKE_COMMANDS` contains `answers.json`:
[[pattern, [answer, …]], …]. The first pattern that matches the call counts. Its answers are given in order, and the
last one is repeated. An answer is {"json": …, "text": …, "error": …, "code": …, "file": …, "signal": …}.

`--query` and `--output tsv` are applied to the JSON with jmespath, as the Azure CLI does. So the script's
queries really run, on answers of Azure's shape. This file imports little, because it is started some thousand times.
"""

import json
import os
import signal
import sys
from typing import Any

RECORDED = ("RESTORE_SPEECH", "RECOVER_VAULT", "EXISTING_SPEECH_KEY")


def main() -> int:
    folder = os.environ["FAKE_COMMANDS"]
    call = " ".join(sys.argv[1:])
    environment = {name: os.environ[name] for name in RECORDED if name in os.environ}
    with open(f"{folder}/calls.jsonl", "a") as calls:  # noqa: PTH123
        calls.write(json.dumps({"call": call, "environment": environment, "files": files(sys.argv[1])}) + "\n")
    answer = choose(folder, call)
    if "signal" in answer:
        interrupt(answer["signal"])
    sys.stderr.write(answer.get("error", ""))
    if "file" in answer:
        with open(option("--file"), "w") as file:  # noqa: PTH123
            file.write(answer["file"])
    if "json" in answer:
        sys.stdout.write(formatted(answer["json"]))
    sys.stdout.write(answer.get("text", ""))
    return answer.get("code", 0)


def choose(folder: str, call: str) -> Any:
    with open(f"{folder}/answers.json") as file:  # noqa: PTH123
        table = json.load(file)
    for number, (pattern, answers) in enumerate(table):
        if matches(call, pattern):
            with open(f"{folder}/calls-of-{number}", "a") as count:  # noqa: PTH123
                count.write(".")
                earlier = count.tell() - 1
            return answers[min(earlier, len(answers) - 1)]
    return {"error": f"the test has no answer to: {call}", "code": 2}


def matches(call: str, pattern: str) -> bool:
    """Tell whether the call matches. `*` stands for any text."""
    first, *parts = pattern.split("*")
    position = len(first) if call.startswith(first) else -1
    for part in parts:
        position = call.find(part, position) if position >= 0 else -1
    return position >= 0 and (bool(parts) or call == pattern)


def files(program: str) -> list[str]:
    """Return the files that func would publish: those in the folder where it is started."""
    if program != "func":
        return []
    return sorted(f"{folder}/{name}".removeprefix("./") for folder, _, names in os.walk(".") for name in names)


def interrupt(number: int) -> None:
    """Send the signal to the whole process group, as Ctrl-C does. Ignore it here: az only fails on Ctrl-C."""
    signal.signal(number, signal.SIG_IGN)
    os.killpg(os.getpgrp(), number)


def option(name: str) -> str:
    return sys.argv[sys.argv.index(name) + 1]


def formatted(value: object) -> str:
    if "--query" in sys.argv:
        sys.path.append(os.environ["SITE_PACKAGES"])
        import jmespath

        value = jmespath.search(option("--query"), value)
    if "--output" not in sys.argv:
        return json.dumps(value)
    if option("--output") == "none" or value is None:
        return ""
    return "".join(f"{row}\n" for row in (value if isinstance(value, list) else [value]))


if __name__ == "__main__":
    sys.exit(main())
