"""The errors of the host."""


class HostError(Exception):
    """The host cannot run this app. The message says why and what to do."""


class InvocationFailed(Exception):
    """The function raised an exception. The message is its traceback."""


class WorkerDied(InvocationFailed):
    """The worker process ended during an invocation. As under the real host, that counts as a failed try."""


class WorkerStopped(Exception):
    """The host is stopping. This is not a failed try: the message goes back to its queue."""
