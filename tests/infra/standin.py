"""Stands in for `az` and `func` in rehearsals of deploy.sh: records each call, and answers from a table.

Run as a program whose first argument is the name it stands in for. `$REHEARSAL` is a folder with `answers.json`,
[[pattern, [answer, …]], …]: the first pattern that matches the call decides, the first answer goes to the first such
call, and the last one stays. An answer is {"json": …, "text": …, "error": …, "code": …, "file": …, "signal": …}.
`--query` and `--output tsv` are applied to the JSON with jmespath, as the Azure CLI does, so that the script's queries
are really run, on answers of Azure's shape. It imports little, because it is started some thousand times.
"""

import json
import os
import signal
import sys
from typing import Any

RECORDED = ("LEAST_INSTANCES", "RESTORE_SPEECH", "RECOVER_VAULT", "EXISTING_SPEECH_KEY")


def main() -> int:
    folder = os.environ["REHEARSAL"]
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
        sys.stdout.write(shown(answer["json"]))
    sys.stdout.write(answer.get("text", ""))
    return answer.get("code", 0)


def choose(folder: str, call: str) -> Any:
    with open(f"{folder}/answers.json") as file:  # noqa: PTH123
        table = json.load(file)
    for number, (pattern, answers) in enumerate(table):
        if matches(call, pattern):
            with open(f"{folder}/asked-{number}", "a") as asked:  # noqa: PTH123
                asked.write(".")
                before = asked.tell() - 1
            return answers[min(before, len(answers) - 1)]
    return {"error": f"the rehearsal has no answer to: {call}", "code": 2}


def matches(call: str, pattern: str) -> bool:
    """`*` stands for anything."""
    first, *parts = pattern.split("*")
    position = len(first) if call.startswith(first) else -1
    for part in parts:
        position = call.find(part, position) if position >= 0 else -1
    return position >= 0 and (bool(parts) or call == pattern)


def files(program: str) -> list[str]:
    """What lies where func is started, which is what it would publish."""
    if program != "func":
        return []
    return sorted(f"{folder}/{name}".removeprefix("./") for folder, _, names in os.walk(".") for name in names)


def interrupt(number: int) -> None:
    """Ctrl-C reaches every process at the terminal. This one takes it as az does: it ends as if it had failed."""
    signal.signal(number, signal.SIG_IGN)
    os.killpg(os.getpgrp(), number)


def option(name: str) -> str:
    return sys.argv[sys.argv.index(name) + 1]


def shown(value: object) -> str:
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
