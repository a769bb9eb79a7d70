"""The one sound format inside the app: 16 kHz mono PCM with signed 16-bit little-endian samples ("s16le")."""

SAMPLE_RATE = 16_000  # Hz; the Speech service works at this rate
SAMPLE_BYTES = 2  # per sample of one channel
BYTES_PER_SECOND = SAMPLE_RATE * SAMPLE_BYTES
