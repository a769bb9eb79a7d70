"""What can go wrong in the host."""


class HostError(Exception):
    """The host cannot run this app; the message says why and what to do."""


class InvocationFailed(Exception):
    """The function raised; the message is its traceback."""


class WorkerDied(InvocationFailed):
    """The worker process ended under an invocation: a failed try, as under the real host."""


class WorkerStopped(Exception):
    """The host is stopping: no failed try, the message goes back to its queue."""
