"""The upload as a seekable file: the same bytes in any order, in few reads, and only of the content we started with."""

import io
import random
from collections.abc import Iterator

import pytest

from tests.support import Stage
from transcription.errors import UploadChanged, UploadReplaced
from transcription.settings import StorageSettings
from transcription.storage import Storage, UploadProperties
from transcription.storage_account import BLOCK_BYTES
from transcription.upload import open_upload

CONTENT = random.Random(1).randbytes(2 * BLOCK_BYTES + 12_345)


@pytest.fixture
def storage(stage: Stage) -> Iterator[Storage]:
    storage = Storage.connect(StorageSettings.read(stage.environ))
    yield storage
    storage.close()


@pytest.fixture
def upload(stage: Stage, storage: Storage) -> UploadProperties:
    stage.upload("blob", CONTENT)
    return storage.upload("blob")


def test_it_reads_the_same_bytes_as_a_file(storage: Storage, upload: UploadProperties) -> None:
    with open_upload(storage, upload) as file:
        assert file.read() == CONTENT
        assert file.read(1) == b""


def test_it_seeks_as_a_file_does(storage: Storage, upload: UploadProperties) -> None:
    dice, model = random.Random(2), io.BytesIO(CONTENT)
    with open_upload(storage, upload) as file:
        for _ in range(300):
            step = (dice.randrange(len(CONTENT) + 100), dice.choice([io.SEEK_SET, io.SEEK_END]))
            step = (
                (-step[0] % len(CONTENT), step[1]) if step[1] == io.SEEK_SET else (-(step[0] % len(CONTENT)), step[1])
            )
            length = dice.choice([1, 7, 4096, 100_000])
            assert file.seek(*step) == model.seek(*step)
            assert file.read(length) == model.read(length)
            assert file.tell() == model.tell()


def test_going_back_and_forth_between_index_and_audio_reads_each_block_once(
    storage: Storage, upload: UploadProperties, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []
    read = storage.read

    def counted(upload: UploadProperties, offset: int, length: int) -> bytes:
        reads.append(offset)
        return read(upload, offset, length)

    monkeypatch.setattr(storage, "read", counted)
    with open_upload(storage, upload) as file:
        for _ in range(20):
            file.seek(2 * BLOCK_BYTES)
            file.read(100)
            file.seek(100)
            file.read(100)
    assert reads == [2 * BLOCK_BYTES, 0]


def test_replaced_content_is_never_mixed_with_the_old(stage: Stage, storage: Storage, upload: UploadProperties) -> None:
    with open_upload(storage, upload) as file:
        file.read(10)
        stage.upload("blob", CONTENT[::-1])
        file.seek(BLOCK_BYTES)
        with pytest.raises(UploadReplaced):
            file.read(10)


def test_deleted_content_is_not_there_any_more(stage: Stage, storage: Storage, upload: UploadProperties) -> None:
    stage.audio.delete_blob("blob")
    with open_upload(storage, upload) as file, pytest.raises(UploadChanged):
        file.read(10)
