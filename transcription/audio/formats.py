"""The formats that are decoded: pairs of container and codec that recorders and editors really write.

FFmpeg knows many more. Some open other files or addresses, some hardly anyone tests, and in a container that nobody
uses for it, even a simple codec can be told to make hours of sound of one packet.

Other fields of a header, such as the block size or the samples per packet, are not checked. The limits of the decoder
process bound what they can do (`child.py`, `decoders.py`). Its CPU time also bounds pairs of the values below: it does
not suffice for 16 channels at 384 kHz.
"""

MIN_RATE = 4_000  # Hz; old voice recorders
MAX_RATE = 384_000  # Hz; studio converters
MAX_CHANNELS = 16  # a conference room's microphones, or third-order ambisonics
MAX_PACKET_BYTES = 2 << 20  # a quarter of a second of 16 studio channels

_MPEG = "mp1 mp1float mp2 mp2float mp3 mp3float"
_LAW = "pcm_alaw pcm_mulaw"
_BIG = "pcm_s8 pcm_s16be pcm_s24be pcm_s32be pcm_f32be pcm_f64be"
_LITTLE = "pcm_u8 pcm_s16le pcm_s24le pcm_s32le pcm_f32le pcm_f64le"
_RIFF = f"{_LITTLE} {_LAW} {_MPEG} adpcm_ms adpcm_ima_wav adpcm_yamaha aac ac3"

# FFmpeg's name of the demuxer → its names of the decoders.
_PAIRS = {
    "aac": "aac",
    "aiff": f"{_BIG} {_LITTLE} {_LAW} adpcm_ima_qt",
    "amr": "amrnb amrwb",
    "asf": f"wmav1 wmav2 wmapro wmalossless wmavoice {_MPEG} pcm_s16le",
    "au": f"{_BIG} {_LAW} g722 g726",
    "avi": f"{_RIFF} wmav2",
    "caf": f"{_BIG} {_LITTLE} {_LAW} alac aac libopus opus flac adpcm_ima_qt amrnb {_MPEG} ac3 eac3",
    "dss": "dss_sp g723_1",
    "flac": "flac",
    "flv": f"aac {_MPEG} nellymoser speex pcm_u8 pcm_s16le {_LAW} adpcm_swf",
    "matroska": f"aac ac3 alac eac3 flac libopus opus vorbis {_MPEG} {_LITTLE} pcm_s16be pcm_s24be",
    "mov": f"aac ac3 alac eac3 flac libopus opus {_MPEG} {_BIG} {_LITTLE} {_LAW} amrnb amrwb qcelp"
    " adpcm_ima_qt adpcm_ima_wav adpcm_ms",
    "mp3": _MPEG,
    "mpeg": f"{_MPEG} ac3 pcm_dvd",
    "mpegts": f"aac aac_latm ac3 eac3 libopus opus {_MPEG} pcm_bluray",
    "ogg": "flac libopus opus speex vorbis",
    "voc": f"pcm_u8 pcm_s16le {_LAW}",
    "w64": _RIFF,
    "wav": f"{_RIFF} g722 g723_1 g726 g729 gsm gsm_ms truespeech wmav2",
}
CODECS = {container: frozenset(names.split()) for container, names in _PAIRS.items()}
