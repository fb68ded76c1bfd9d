"""From descriptors to product codes: codebooks, codes, look-up tables, and which codewords are used."""

from retrieval_lib.quantization.assignment import (
    intra_normalize,
    mixture,
    part_distances,
    soft_assignment,
    straight_through,
)
from retrieval_lib.quantization.codes import check_codes
from retrieval_lib.quantization.fitting import fit_opq, fit_pq
from retrieval_lib.quantization.product_quantizer import ProductQuantizer
from retrieval_lib.quantization.usage import codeword_usage, dead_codewords, perplexity

__all__ = [
    "ProductQuantizer",
    "check_codes",
    "codeword_usage",
    "dead_codewords",
    "fit_opq",
    "fit_pq",
    "intra_normalize",
    "mixture",
    "part_distances",
    "perplexity",
    "soft_assignment",
    "straight_through",
]
