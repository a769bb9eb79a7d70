"""How reliable it is, in numbers: the bars of `docs/reliability.md`, each run many times against real storage.

`python -m tests.soak` (or `make soak`) runs the full numbers, `--quick` a share of each. Nothing here needs pytest.
"""
