"""Fingerprints of sets of objects: equal sets have equal ones, whatever the order and however they are split."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

from braze_platform.currents.bucket import BucketObject

#: Enough that a change goes unseen once in 10^12, and few enough that the sensor's cursor stays small.
BYTES = 5
_MODULUS = 1 << (8 * BYTES)


def fingerprint(objects: Iterable[BucketObject]) -> int:
    """The fingerprint of a set of objects by key and generation; 0 for none."""
    total = 0
    for found in objects:
        digest = blake2b(f"{found.key}\0{found.generation}".encode(), digest_size=BYTES).digest()
        total += int.from_bytes(digest, "big")
    return total % _MODULUS


def combined(fingerprints: Iterable[int]) -> int:
    """The fingerprint of the union of disjoint sets."""
    return sum(fingerprints) % _MODULUS
