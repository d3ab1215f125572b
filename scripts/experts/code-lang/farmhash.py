"""Fingerprint64 of FarmHash (Geoff Pike, Google) for strings of 1 to 7 bytes: what TensorFlow's hash buckets use."""

MASK = (1 << 64) - 1
K0 = 0xC3A5C85C97CB3127
K2 = 0x9AE16A3B2F90404F


def _shift_mix(value: int) -> int:
    return value ^ (value >> 47)


def _len_16(u: int, v: int, mul: int) -> int:
    a = _shift_mix((u ^ v) * mul & MASK)
    b = _shift_mix((v ^ a) * mul & MASK)
    return b * mul & MASK


def fingerprint64(text: bytes) -> int:
    """`hashLen0to16` of farmhashna; ValueError for a length that it treats in another way."""
    size = len(text)
    if 4 <= size <= 7:
        first = int.from_bytes(text[:4], "little")
        last = int.from_bytes(text[-4:], "little")
        return _len_16(size + (first << 3), last, (K2 + 2 * size) & MASK)
    if 1 <= size <= 3:
        y = text[0] + (text[size // 2] << 8)
        z = size + (text[-1] << 2)
        return _shift_mix(y * K2 & MASK ^ z * K0 & MASK) * K2 & MASK
    raise ValueError(f"a string of {size} bytes; 1 to 7 are hashed here")
