"""The report shows rows as a table."""

from bench.report import COLUMNS, table
from bench.results import Row

FAST = Row("a fast job", "the least", "2 ms", "1 ms", [1.5, 2.0, 2.5, 3.0], "×", 4.0)
PLAIN = Row("a job without a target", "–", "5 USD", "", [5.0], "USD")


def test_the_table_has_a_header_and_a_line_for_each_row() -> None:
    header, rule, fast, plain = table([FAST, PLAIN]).splitlines()
    assert header.split("  ")[0] == "what"
    assert set(rule) == {"─"}
    assert [cell.strip() for cell in fast.split("  ") if cell.strip()] == [
        *("a fast job", "the least", "2 ms", "1 ms", "2.25 ×", "2 to 2.5", "≤ 4", "ok")
    ]
    assert plain.endswith("one run")


def test_long_texts_continue_on_the_next_line() -> None:
    long = Row("word " * 20, "–", "", "", [1.0], "")
    lines = table([long]).splitlines()[2:]
    assert len(lines) == 2
    assert all(len(line) <= COLUMNS["what"] + sum(COLUMNS.values()) for line in lines)
    assert " ".join(lines).count("word") == 20
