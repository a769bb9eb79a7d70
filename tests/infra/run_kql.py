"""Runs Kusto queries on rows, with DuckDB. It needs the Python of `tools.kql()`, and nothing of this project.

Reads a JSON object {"tables": {name: "(Column:type,…)"}, "cases": [{"query": text, "rows": {table: [row, …]}}, …]} from
its input. `TimeGenerated` of a row is its age in minutes; other columns may be absent. Prints a list with the rows of
each query.
"""

import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb_kql

TYPES = {
    "string": "VARCHAR",
    "datetime": "TIMESTAMP",
    "dynamic": "JSON",
    "int": "INTEGER",
    "bool": "BOOLEAN",
    "real": "DOUBLE",
}


def result(tables: dict[str, str], query: str, rows: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    connection = duckdb_kql.connect()
    now = datetime.now(UTC).replace(tzinfo=None)  # the interpreter's times have no zone
    for table, schema in tables.items():
        columns = dict(column.strip().split(":") for column in schema.strip("()").split(","))
        definition = ", ".join(f'"{name}" {TYPES[kind]}' for name, kind in columns.items())
        connection.execute(f'CREATE TABLE "{table}" ({definition})')
        for row in rows.get(table, []):
            unknown = set(row) - set(columns)
            if unknown:
                raise ValueError(f"{table} has no {unknown}")
            row = row | {"TimeGenerated": now - timedelta(minutes=row["TimeGenerated"])}
            places = ", ".join("?" for _ in columns)
            connection.execute(f'INSERT INTO "{table}" VALUES ({places})', [row.get(name) for name in columns])
    answer = duckdb_kql.query(connection, query)
    return [dict(zip(answer.columns, values, strict=True)) for values in answer.fetchall()]


if __name__ == "__main__":
    given = json.load(sys.stdin)
    results = [result(given["tables"], case["query"], case["rows"]) for case in given["cases"]]
    json.dump(results, sys.stdout, default=str)
