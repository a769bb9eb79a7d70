"""The upload as a seekable file: the right bytes in any order, in few reads, and never of other content."""

import io
import random

import pytest

from tests.support.app import App
from transcription.errors import UploadChanged, UploadReplaced
from transcription.settings.app import StorageSettings
from transcription.storage.account import BLOCK_BYTES
from transcription.storage.uploads import UploadProperties, Uploads

CONTENT = random.Random(1).randbytes(2 * BLOCK_BYTES + 12_345)


@pytest.fixture
def uploads(app: App) -> Uploads:
    return Uploads(app.service, StorageSettings.read(app.environ))


@pytest.fixture
def upload(app: App, uploads: Uploads) -> UploadProperties:
    app.upload("blob", CONTENT)
    return uploads.find("blob")


def test_it_reads_like_a_file(uploads: Uploads, upload: UploadProperties) -> None:
    with uploads.open(upload) as file:
        assert file.read() == CONTENT
        assert file.read(1) == b""


def test_it_seeks_like_a_file(uploads: Uploads, upload: UploadProperties) -> None:
    dice, model = random.Random(2), io.BytesIO(CONTENT)
    with uploads.open(upload) as file:
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
    uploads: Uploads, upload: UploadProperties, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []
    read = uploads.read

    def counted(upload: UploadProperties, offset: int, length: int) -> bytes:
        reads.append(offset)
        return read(upload, offset, length)

    monkeypatch.setattr(uploads, "read", counted)
    with uploads.open(upload) as file:
        for _ in range(20):
            file.seek(2 * BLOCK_BYTES)
            file.read(100)
            file.seek(100)
            file.read(100)
    assert reads == [2 * BLOCK_BYTES, 0]


def test_replaced_content_is_never_mixed_with_the_old(app: App, uploads: Uploads, upload: UploadProperties) -> None:
    with uploads.open(upload) as file:
        file.read(10)
        app.upload("blob", CONTENT[::-1])
        file.seek(BLOCK_BYTES)
        with pytest.raises(UploadReplaced):
            file.read(10)


def test_a_read_of_deleted_content_says_so(app: App, uploads: Uploads, upload: UploadProperties) -> None:
    app.audio.delete_blob("blob")
    with uploads.open(upload) as file, pytest.raises(UploadChanged):
        file.read(10)
