"""Measures reliability: the bars of `docs/reliability.md`, each run many times against real storage.

`python -m tests.soak` (or `make soak`) runs all of it, `--quick` a small share of each bar. Nothing here needs pytest.
"""
