"""From descriptors to binary codes, and the Hamming distance between them."""

from retrieval_lib.hashing.bits import (
    check_bits,
    hamming_distance,
    pack_bits,
    packed_hamming_distance,
    sign_bits,
    unpack_bits,
)
from retrieval_lib.hashing.linear import ITQ, LinearHash, fit_itq, fit_lsh, fit_pca

__all__ = [
    "ITQ",
    "LinearHash",
    "check_bits",
    "fit_itq",
    "fit_lsh",
    "fit_pca",
    "hamming_distance",
    "pack_bits",
    "packed_hamming_distance",
    "sign_bits",
    "unpack_bits",
]
