"""One uploaded blob: its limits, the options its metadata and name carry, and its bytes behind a seekable reader."""

import io
from typing import BinaryIO

from transcription import locales, pronunciation
from transcription.errors import EmptyUpload, InvalidOption, TooLarge, UnknownLanguage
from transcription.settings import MEGABYTE, PROFANITY, Limits, SpeechSettings
from transcription.speech import Options
from transcription.storage import Storage, UploadProperties
from transcription.storage_account import BLOCK_BYTES


def is_folder_marker(upload: UploadProperties) -> bool:
    """Accounts with a hierarchical namespace keep folders as empty blobs; nobody uploaded those."""
    return upload.metadata.get("hdi_isfolder", "").casefold() == "true"


def check_size(upload: UploadProperties, limits: Limits) -> None:
    """EmptyUpload, TooLarge: decided before a byte is read."""
    if upload.size == 0:
        raise EmptyUpload("The upload has no bytes. Upload the recording again.")
    if upload.size > limits.upload_bytes:
        size, limit = (f"{count / MEGABYTE:.1f} MB" for count in (upload.size, limits.upload_bytes))
        raise TooLarge(f"The upload has {size}, the limit is {limit} (MAX_AUDIO_MEGABYTES). Upload it in parts.")


def options(upload: UploadProperties, defaults: SpeechSettings) -> Options:
    """What this recording asks for. UnknownLanguage, InvalidOption: its metadata asks for what there is not."""
    return Options(
        _language(upload, defaults.language),
        _profanity(upload, defaults.profanity),
        pronunciation.asked(upload.metadata),
    )


def _language(upload: UploadProperties, default: str) -> str:
    """Metadata, else the first folder where that is a locale, else the default."""
    folder, slash, _ = upload.name.partition("/")
    named = upload.metadata.get("language", "").strip()
    if not named:
        return (locales.known(folder) if slash else None) or default
    if named.casefold() == default.casefold():
        return default  # which may be newer than our list
    if locale := locales.known(named):
        return locale
    raise UnknownLanguage(
        f"The metadata asks for language {named!r:.40}, which is no locale of the service, such as en-US."
    )


def _profanity(upload: UploadProperties, default: str) -> str:
    asked = upload.metadata.get("profanity", "").strip().casefold() or default
    if asked not in PROFANITY:
        raise InvalidOption(f"The metadata asks for profanity {asked!r:.40}: it may be {', '.join(PROFANITY)}.")
    return asked


def open_upload(storage: Storage, upload: UploadProperties) -> BinaryIO:
    """The upload as a seekable file that is read in blocks, never whole. UploadReplaced, UploadGone: from any read."""
    return io.BufferedReader(_BlockReader(storage, upload))


class _BlockReader(io.RawIOBase):
    """Blocks of some MiB, each read under the upload's ETag.

    It keeps the two blocks used last, since formats with an index at their end go back and forth between that and the
    audio.
    """

    KEPT_BLOCKS = 2

    def __init__(self, storage: Storage, upload: UploadProperties) -> None:
        super().__init__()
        self._storage = storage
        self._upload = upload
        self._position = 0
        self._blocks: dict[int, bytes] = {}

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._upload.size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed wants any buffer
        """Fills `buffer` up to the end of the block at hand; 0 at the end of the upload."""
        number, skipped = divmod(self._position, BLOCK_BYTES)
        piece = self._block(number)[skipped : skipped + len(buffer)]
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)

    def _block(self, number: int) -> bytes:
        block = self._blocks.pop(number, None)
        if block is None:
            start = number * BLOCK_BYTES
            length = min(BLOCK_BYTES, self._upload.size - start)
            block = self._storage.read(self._upload, start, length) if length > 0 else b""
        self._blocks[number] = block  # the dict's order is the order of last use
        while len(self._blocks) > self.KEPT_BLOCKS:
            del self._blocks[next(iter(self._blocks))]
        return block
