"""Holds the structure of the code: sizes, imports, the places of tests, the form of docstrings and comments.

Each rule is one test. Its message names the file and line of everything that breaks the rule.
"""

import ast
import re
import tokenize
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
PRODUCT = ("transcription", "local", "infra", "bench", "function_app.py")

LONGEST_FILE = 250  # lines
LONGEST_FUNCTION = 40  # lines, including the docstring
MOST_ENTRIES = 16  # at the top of the package; more are hard to take in at a glance
QUESTION_WORD = re.compile(r"(What|Where|Whether|How|Who)\b")

# Each folder or module of `transcription`, and those it may import. A row names only rows below it, so imports run
# downwards and never in a circle.
MAY_IMPORT = {
    "job": "attempt recovery transcriber audio storage speech settings clock errors",
    "attempt": "recovery transcriber options storage speech transcript audio clips clock errors",
    "transcriber": "recognition speech clips transcript audio settings clock errors",
    "recognition": "speech clips transcript audio errors",
    "recovery": "storage transcript settings clock errors",
    "options": "storage speech settings errors locales",
    "storage": "transcript settings clock errors",
    "speech": "transcript audio settings clock errors locales",
    "clips": "audio errors",
    "transcript": "audio errors locales",
    "audio": "errors",
    "settings": "errors locales",
    "clock": "errors",
    "errors": "",
    "locales": "",
}
WITHOUT_NETWORK = ("transcription/audio", "transcription/clips")
NETWORK = ("azure", "requests", "urllib3", "http", "socket")
ABOVE_THE_PACKAGE = ("azure.functions", "azurefunctions", "function_app", "local", "infra", "tests", "bench")

# Exceptions, each with its reason.
WITH_AZURE_FUNCTIONS = {
    "function_app.py": "the edge",
    "local/worker/plain.py": "stands in for Microsoft's worker, which calls the functions",
}
WITHOUT_TESTS = {
    "transcription/audio/pcm.py": "constants only",
    "local/host/errors.py": "exception classes only",
    "local/__main__.py": "the command line; tests/local/test_demo.py and test_stack.py run it",
    "local/worker/__main__.py": "the main loop of a process; the tests of local/host run it",
}
WITH_SOCKETS = {
    "transcription/audio/decoders.py": "sets a time limit on the connection to a decoder",
}
PRIVATE_BY_NEED = {
    "sys._base_executable": "Python has no public name for the interpreter behind a virtual environment",
}


def python_files(*places: str) -> list[Path]:
    """Return the Python files in these folders; a place may also be a single file."""
    roots = [PROJECT / place for place in places]
    return [file for root in roots for file in ([root] if root.is_file() else sorted(root.rglob("*.py")))]


@cache
def parse(file: Path) -> ast.Module:
    return ast.parse(file.read_text(), str(file))


def at(file: Path, line: int = 1) -> str:
    return f"{file.relative_to(PROJECT)}:{line}"


def fail_on(problems: Sequence[str]) -> None:
    if problems:
        pytest.fail("\n".join([f"{len(problems)} to fix:", *problems]), pytrace=False)


def imports(file: Path) -> Iterator[tuple[str, int]]:
    """Yield the full name of everything the file imports, at its top or in a function, and the line."""
    for node in ast.walk(parse(file)):
        if isinstance(node, ast.Import):
            yield from ((name.name, node.lineno) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from ((f"{module}.{name.name}", node.lineno) for name in node.names)


def imports_of(packages: Sequence[str], *places: str) -> list[str]:
    """Return one line for each import of these packages in these places."""
    return [
        f"{at(file, line)}: {name}"
        for file in python_files(*places)
        for name, line in imports(file)
        if any(name == package or name.startswith(f"{package}.") for package in packages)
    ]


def strings_as_comments(module: ast.Module) -> Iterator[int]:
    """Yield the lines of strings that are statements but no docstrings."""
    for node in ast.walk(module):
        body = getattr(node, "body", None)
        for statement in body[1:] if isinstance(body, list) else []:
            value = statement.value if isinstance(statement, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield statement.lineno


def private_uses(module: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield private attributes that are read from other objects or patched by name, and the lines."""
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            if not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")):
                yield ast.unparse(node), node.lineno
        elif isinstance(node, ast.Call) and node.args and re.search(r"(attr|patch|\.object)$", ast.unparse(node.func)):
            target, *rest = node.args
            for name in (argument.value for argument in node.args if isinstance(argument, ast.Constant)):
                if isinstance(name, str) and is_private(name):
                    yield (f"{ast.unparse(target)}.{name}" if rest else name), node.lineno


def is_private(name: str) -> bool:
    last = name.rpartition(".")[2]
    return last.startswith("_") and not last.startswith("__")


def test_no_docstring_opens_with_a_question_word() -> None:
    problems = []
    for file in python_files(*PRODUCT, "tests"):
        for node in ast.walk(parse(file)):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                docstring = ast.get_docstring(node)
                if docstring and QUESTION_WORD.match(docstring):
                    problems.append(f"{at(file, node.body[0].lineno)}: {docstring.splitlines()[0]:.70}")
    fail_on(problems)


def test_no_comment_on_a_constant_opens_with_a_colon() -> None:
    problems = []
    for file in python_files(*PRODUCT, "tests"):
        with file.open("rb") as source:
            for token in tokenize.tokenize(source.readline):
                if token.type == tokenize.COMMENT and token.string.startswith("#:"):
                    problems.append(f"{at(file, token.start[0])}: {token.string:.70}")
    fail_on(problems)


def test_no_string_is_used_as_a_comment() -> None:
    files = python_files(*PRODUCT, "tests")
    fail_on([f"{at(file, line)}: a string" for file in files for line in strings_as_comments(parse(file))])


def test_every_init_file_of_the_package_is_empty() -> None:
    """Every cold start runs them."""
    files = [file for file in python_files("transcription") if file.name == "__init__.py"]
    fail_on([at(file) for file in files if file.read_text()])


def test_the_top_of_the_package_has_few_entries() -> None:
    entries = sorted(entry.name for entry in (PROJECT / "transcription").iterdir() if entry.name != "__pycache__")
    fail_on([f"transcription/ has {len(entries)} entries: {', '.join(entries)}"] * (len(entries) > MOST_ENTRIES))


def test_no_file_is_long() -> None:
    lines = {file: len(file.read_text().splitlines()) for file in python_files(*PRODUCT)}
    fail_on([f"{at(file, number)}: {number} lines" for file, number in lines.items() if number > LONGEST_FILE])


def test_no_function_is_long() -> None:
    problems = []
    for file in python_files(*PRODUCT):
        for node in ast.walk(parse(file)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > LONGEST_FUNCTION:
                    problems.append(f"{at(file, node.lineno)}: {node.name} has {lines} lines")
    fail_on(problems)


def test_the_table_of_imports_has_no_circle() -> None:
    rows = list(MAY_IMPORT)
    for number, (row, names) in enumerate(MAY_IMPORT.items()):
        not_below = set(names.split()) - set(rows[number + 1 :])
        assert not not_below, f"MAY_IMPORT allows {row} import {not_below}, which are not below it"


def test_imports_run_downwards() -> None:
    package = PROJECT / "transcription"
    problems = []
    for file in python_files("transcription"):
        importer = Path(file.relative_to(package).parts[0]).stem  # a folder, or a module at the top
        allowed = {importer, *MAY_IMPORT.get(importer, "").split()}
        for name, line in imports(file):
            top, _, imported = name.partition(".")
            if top == "":
                problems.append(f"{at(file, line)}: a relative import")
            elif top == "transcription" and imported.partition(".")[0] not in allowed:
                problems.append(f"{at(file, line)}: {importer} imports {name}")
    fail_on(problems)


def test_audio_and_clips_use_no_network() -> None:
    problems = imports_of(NETWORK, *WITHOUT_NETWORK)
    fail_on([problem for problem in problems if problem.partition(":")[0] not in WITH_SOCKETS])


def test_the_package_imports_neither_the_host_nor_what_is_never_deployed() -> None:
    fail_on(imports_of(ABOVE_THE_PACKAGE, "transcription"))


def test_only_the_edge_imports_azure_functions() -> None:
    problems = imports_of(["azure.functions"], *PRODUCT)
    fail_on([problem for problem in problems if problem.partition(":")[0] not in WITH_AZURE_FUNCTIONS])


def test_every_module_has_a_test_file_at_the_mirrored_place() -> None:
    problems = []
    for file in python_files("transcription", "local"):
        path = file.relative_to(PROJECT)
        parts = path.parts[1:] if path.parts[0] == "transcription" else path.parts
        mirror = PROJECT.joinpath("tests", *parts).with_name(f"test_{file.name}")
        if file.name == "__init__.py":
            continue
        if not mirror.exists() and str(path) not in WITHOUT_TESTS:
            problems.append(f"{at(file)}: {mirror.relative_to(PROJECT)} is missing")
        elif mirror.exists() and str(path) in WITHOUT_TESTS:
            problems.append(f"{at(file)}: it has tests, so WITHOUT_TESTS must not name it")
    missing = [path for path in WITHOUT_TESTS if not (PROJECT / path).exists()]
    fail_on([*problems, *(f"{path}: WITHOUT_TESTS names it, but it does not exist" for path in missing)])


def test_no_module_imports_a_test_module() -> None:
    """Helpers that several tests share are in `tests/support`."""
    fail_on(
        [
            f"{at(file, line)}: {name}"
            for file in python_files(*PRODUCT, "tests")
            for name, line in imports(file)
            if name.startswith("tests.") and any(part.startswith("test_") for part in name.split("."))
        ]
    )


def test_tests_use_no_private_names_of_others() -> None:
    """They neither read, patch nor import names that begin with an underscore."""
    problems = []
    for file in python_files("tests", "bench"):
        imported = [(name, line) for name, line in imports(file) if is_private(name)]
        used = [(name, line) for name, line in private_uses(parse(file)) if name not in PRIVATE_BY_NEED]
        problems += [f"{at(file, line)}: {name}" for name, line in imported + used]
    fail_on(problems)
