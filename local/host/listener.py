"""A queue's messages, delivered: several at once, tried again at once, and given up to the poison queue."""

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

#: How often an idle queue is asked; the real host backs off to a minute.
POLL_SECONDS = 0.5

#: A message belongs to us for that long, renewed in time while its function runs; after a crash it is delivered again.
HOLD_SECONDS = 30
RENEW_SECONDS = 10.0

#: Starts the work for a message's text; nothing where there is nothing to do.
Deliver = Callable[[str, QueueMessage], Future[str | None] | None]


class Listener:
    """Takes messages from one queue. A failed one is visible again after `pause` seconds, as the real host has it."""

    def __init__(
        self,
        queue: QueueClient,
        poison: Callable[[QueueMessage], QueueClient],
        deliver: Deliver,
        *,
        parallel: int,
        tries: int,
        pause: int = 0,
    ) -> None:
        """`poison`: the queue for a message that failed `tries` times."""
        self._queue = queue
        self._poison = poison
        self._deliver = deliver
        self._parallel = parallel
        self._tries = tries
        self._pause = pause
        self._wake = threading.Event()

    def wake(self) -> None:
        """There may be something new; ask now."""
        self._wake.set()

    def run(self, stop: threading.Event) -> None:
        """Until `stop`; whoever sets it also calls `wake`. Returns when nothing is in flight any more."""
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
            log.error("A message of %s was not settled, it will come again: %s", self._queue.queue_name, error)

    def _receive(self) -> QueueMessage | None:
        try:
            return self._queue.receive_message(visibility_timeout=HOLD_SECONDS)
        except AzureError as error:
            log.error("Cannot read the queue %s: %s", self._queue.queue_name, error)
            return None

    def _handle(self, message: QueueMessage) -> None:
        held = Held(self._queue, message)
        tries = message.dequeue_count or 1
        try:
            # More than allowed: the host died under the last try.
            if tries > self._tries:
                raise InvocationFailed("the host ended under the last try")
            self._invoke(held)
        except WorkerStopped:
            held.put_back(0)
            return
        except InvocationFailed as failure:
            log.warning("Try %d of %d failed: %s", tries, self._tries, failure)
            if tries < self._tries:
                held.put_back(self._pause)
                return
            give_up(self._poison(message), message.content)
        held.settle()

    def _invoke(self, held: "Held") -> None:
        """Waits for the function, keeping hold of the message."""
        answer = self._deliver(text_of(held.message), held.message)
        if answer is None:
            return
        while not wait([answer], RENEW_SECONDS).done:
            held.renew()
        if error := answer.result():
            raise InvocationFailed(error)


class Held:
    """A message in our hands. Its pop receipt changes with every renewal, and only the last one settles it."""

    def __init__(self, queue: QueueClient, message: QueueMessage) -> None:
        self._queue = queue
        self.message = message

    def renew(self) -> None:
        """Ours for another while."""
        self.message = self._queue.update_message(self.message, visibility_timeout=HOLD_SECONDS)

    def put_back(self, seconds: int) -> None:
        """To be delivered again in so many seconds."""
        self._queue.update_message(self.message, visibility_timeout=seconds)

    def settle(self) -> None:
        """Never to be delivered again."""
        self._queue.delete_message(self.message)


def text_of(message: QueueMessage) -> str:
    """Messages are base64 of UTF-8, as the host's own and the default of queue triggers. Else `InvocationFailed`."""
    try:
        return base64.b64decode(message.content, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise InvocationFailed(f"the message is not base64 of UTF-8: {error}") from error


def encode(text: str) -> str:
    """A text as a message."""
    return base64.b64encode(text.encode()).decode()


def give_up(poison: QueueClient, content: str) -> None:
    """The same message on the poison queue, which is made when it is first needed."""
    try:
        poison.send_message(content)
    except ResourceNotFoundError:
        create(poison)
        poison.send_message(content)


def create(queue: QueueClient) -> None:
    """The queue, unless it is there."""
    with contextlib.suppress(ResourceExistsError):
        queue.create_queue()
