"""The child process in which `function_app.py` runs, so that a crash of its code is a crash of the child and no more.

Started as `python -m local.worker runtime|plain <app folder>`. It speaks one JSON object per line on its standard input
and output (see `local.worker.__main__`), and imports nothing but the standard library and what the app itself needs.
"""
