"""Delivers a queue's messages, several at the same time. Those that keep failing go to the poison queue."""

import base64
import binascii
import contextlib
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.storage.queue import QueueClient, QueueMessage

from local.host.errors import InvocationFailed, WorkerStopped

log = logging.getLogger("local.host")

POLL_SECONDS = 0.5  # between two polls of an idle queue; the real host backs off to a minute
VISIBILITY_TIMEOUT = 30  # seconds; if this process crashes, the message is delivered again after that time
RENEW_SECONDS = 10.0  # between renewals of the visibility timeout while the function runs

# Starts the work for a message's text. Returns None if there is nothing to do.
Deliver = Callable[[str, QueueMessage], Future[str | None] | None]


class Listener:
    """Delivers the messages of one queue. Like the real host, it retries a failed message after `retry_delay` s."""

    def __init__(
        self,
        queue: QueueClient,
        poison: Callable[[QueueMessage], QueueClient],
        deliver: Deliver,
        *,
        parallel: int,
        tries: int,
        retry_delay: int = 0,
    ) -> None:
        """Prepare the listener. `poison` returns the queue for a message that failed `tries` times."""
        self._queue = queue
        self._poison = poison
        self._deliver = deliver
        self._parallel = parallel
        self._tries = tries
        self._retry_delay = retry_delay
        self._wake = threading.Event()

    def wake(self) -> None:
        """Poll the queue now instead of at the next interval."""
        self._wake.set()

    def run(self, stop: threading.Event) -> None:
        """Deliver messages until `stop` is set, then wait for those in flight. Call `wake` after setting `stop`."""
        slots = threading.Semaphore(self._parallel)
        with ThreadPoolExecutor(self._parallel) as pool:
            while not stop.is_set():
                if not slots.acquire(timeout=POLL_SECONDS):
                    continue
                if message := self._receive():
                    pool.submit(self._handle, message).add_done_callback(lambda done: self._free(slots, done))
                else:
                    slots.release()
                    self._wake.wait(POLL_SECONDS)
                    self._wake.clear()

    def _free(self, slots: threading.Semaphore, done: Future[None]) -> None:
        slots.release()
        self._wake.set()
        if error := done.exception():
            name = self._queue.queue_name
            log.error("Could not finish a message of %s, so it will be delivered again: %s", name, error)

    def _receive(self) -> QueueMessage | None:
        try:
            return self._queue.receive_message(visibility_timeout=VISIBILITY_TIMEOUT)
        except AzureError as error:
            log.error("Cannot read the queue %s: %s", self._queue.queue_name, error)
            return None

    def _handle(self, message: QueueMessage) -> None:
        received = ReceivedMessage(self._queue, message)
        tries = message.dequeue_count or 1
        try:
            if tries > self._tries:  # the host died during the last try
                raise InvocationFailed("the host ended during the last try")
            self._invoke(received)
        except WorkerStopped:
            received.put_back(0)
            return
        except InvocationFailed as failure:
            log.warning("Try %d of %d failed: %s", tries, self._tries, failure)
            if tries < self._tries:
                received.put_back(self._retry_delay)
                return
            send_to_poison_queue(self._poison(message), message.content)
        received.delete()

    def _invoke(self, received: "ReceivedMessage") -> None:
        """Wait for the function, and renew the visibility timeout meanwhile."""
        answer = self._deliver(decode(received.message), received.message)
        if answer is None:
            return
        while not wait([answer], RENEW_SECONDS).done:
            received.renew()
        if error := answer.result():
            raise InvocationFailed(error)


class ReceivedMessage:
    """A message that others do not see for now. Each renewal changes its pop receipt; only the last one is valid."""

    def __init__(self, queue: QueueClient, message: QueueMessage) -> None:
        self._queue = queue
        self.message = message

    def renew(self) -> None:
        """Hide the message from others for another visibility timeout."""
        self.message = self._queue.update_message(self.message, visibility_timeout=VISIBILITY_TIMEOUT)

    def put_back(self, seconds: int) -> None:
        """Have the message delivered again in `seconds`."""
        self._queue.update_message(self.message, visibility_timeout=seconds)

    def delete(self) -> None:
        """Remove the message, so that it is never delivered again."""
        self._queue.delete_message(self.message)


def encode(text: str) -> str:
    """Return a text as the content of a message: base64 of UTF-8."""
    return base64.b64encode(text.encode()).decode()


def decode(message: QueueMessage) -> str:
    """Return a message's text. The host and queue triggers write base64 of UTF-8.

    Raises InvocationFailed if it is anything else.
    """
    try:
        return base64.b64decode(message.content, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise InvocationFailed(f"the message is not base64 of UTF-8: {error}") from error


def send_to_poison_queue(poison: QueueClient, content: str) -> None:
    """Send the message to the poison queue. Creates the queue when it is first needed."""
    try:
        poison.send_message(content)
    except ResourceNotFoundError:
        create_queue(poison)
        poison.send_message(content)


def create_queue(queue: QueueClient) -> None:
    """Create the queue, unless it exists."""
    with contextlib.suppress(ResourceExistsError):
        queue.create_queue()
