"""The child process that runs `function_app.py`. If the app crashes, only this process does.

It is started as `python -m local.worker FOLDER`, and speaks one JSON object per line on standard input and output; see
`local/worker/__main__.py`. It imports only the standard library and what the app itself needs.
"""
