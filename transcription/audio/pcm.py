"""The form that sound has inside: 16 kHz, mono, signed 16-bit little-endian samples ("s16le")."""

SAMPLE_RATE = 16_000  # Hz; what the Speech service takes
SAMPLE_BYTES = 2  # a sample of one channel
BYTES_PER_SECOND = SAMPLE_RATE * SAMPLE_BYTES
