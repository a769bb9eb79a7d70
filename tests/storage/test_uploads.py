"""The upload as a seekable file: the right bytes in any order, in few reads, and never of other content."""

import gzip
import io
import os
import random
import subprocess
import sys

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import ContentSettings

from local.tools import PROJECT
from tests.support.app import App
from tests.support.recordings import encode_as
from tests.support.refusing_storage import refusing_storage, shared_key
from tests.support.settings import app_settings
from tests.support.sound import murmur, wav
from transcription.errors import UploadChanged, UploadReplaced, UploadUnreadable
from transcription.settings.app import StorageSettings
from transcription.storage.account import BLOCK_BYTES, connect
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


@pytest.mark.parametrize("blocks", [0, 1])
def test_an_upload_of_whole_blocks_ends_after_the_last_one(app: App, uploads: Uploads, blocks: int) -> None:
    content = CONTENT[: blocks * BLOCK_BYTES]
    app.upload("blob", content)
    with uploads.open(uploads.find("blob")) as file:
        assert file.read() == content


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


def test_an_archived_upload_cannot_be_read_and_the_error_says_what_to_do(app: App, uploads: Uploads) -> None:
    app.upload("blob", CONTENT)
    app.audio.get_blob_client("blob").set_standard_blob_tier("Archive")
    with pytest.raises(UploadUnreadable, match="archive tier"):
        uploads.read(uploads.find("blob"), 0, 9)


def test_an_upload_that_storage_refuses_to_show_was_not_replaced() -> None:
    code = "LeaseNotPresentWithBlobOperation"
    with refusing_storage({"HEAD": (412, code), "GET": (412, code)}) as url:
        settings = StorageSettings.read(app_settings(AudioStorage=shared_key(url)))
        uploads = Uploads(connect(settings), settings)
        for request in (
            lambda: uploads.find("a.wav"),
            lambda: uploads.read(UploadProperties("a.wav", "0x1", 9, {}), 0, 9),
        ):
            with pytest.raises(HttpResponseError, match=code):
                request()


RUN = """
import sys
from transcription.job import for_this_process
for_this_process().run(*sys.argv[1:])
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
MOST_MEGABYTES = 250  # of the process; 90 without an upload
UNPACKED = gzip.compress(bytes(1 << 20)) * 1500  # 1.5 MB that unpack to 1.5 GB, as 1,500 members


def upload_labelled(app: App, name: str, content: bytes, encoding: str = "gzip") -> None:
    app.audio.upload_blob(name, content, content_settings=ContentSettings(content_encoding=encoding))


@pytest.mark.parametrize(
    ("content", "encoding"),
    [(UNPACKED, "gzip"), (gzip.compress(UNPACKED), "gzip, gzip")],
    ids=["packed once", "packed twice"],
)
def test_an_upload_that_unpacks_to_gigabytes_is_refused_in_little_memory(
    app: App, content: bytes, encoding: str
) -> None:
    upload_labelled(app, "bomb.wav", content, encoding)
    command = [sys.executable, "-c", RUN, app.audio.container_name, "bomb.wav"]
    environ = {**os.environ, **app.environ}
    done = subprocess.run(command, cwd=PROJECT, env=environ, capture_output=True, check=True, timeout=120)
    assert int(done.stdout) / 1024 < MOST_MEGABYTES
    assert app.document("bomb.wav")["error"]["code"] == "UnsupportedAudio"
    assert app.requests == 0


def test_a_gzipped_recording_is_refused_with_the_remedy(app: App) -> None:
    upload_labelled(app, "a.wav", gzip.compress(wav(murmur(2.0))))
    app.run("a.wav")
    error = app.document("a.wav")["error"]
    assert error["code"] == "UnsupportedAudio"
    assert error["message"] == "The file is compressed with gzip. Upload the recording uncompressed."
    assert app.requests == 0


@pytest.mark.parametrize("encoding", ["gzip", "gzip, gzip", "deflate", "br", "zstd"])
@pytest.mark.parametrize("name", ["plain.wav", "index at the end.m4a"])
def test_a_wrong_label_of_compression_is_ignored(app: App, name: str, encoding: str) -> None:
    content = wav(murmur(2.0)) if name == "plain.wav" else encode_as("m4a") + bytes(8)
    upload_labelled(app, name, content, encoding)
    app.run(name)
    document = app.document(name)
    assert (document["status"], document["text"]) == ("Succeeded", "Hello world.")
