"""What the methods with product codes have in common: how codebooks begin, and the verbs that they serve."""

import torch
from torch import Tensor, nn

from retrieval_lib.evaluation import ADC
from retrieval_lib.methods.base import Method
from retrieval_lib.quantization import ProductQuantizer


class ProductCodeMethod(Method):
    """A method whose codes are numbers of codewords, searched by look-up tables (ADC).

    A subclass defines `quantizer`, and sets `metric`.

    Attributes:
        metric: by which a query is compared with codewords, one of `part_distances`.
    """

    metric: str

    def quantizer(self) -> ProductQuantizer:
        """The codebooks as they are now, on the CPU."""
        raise NotImplementedError(f"{type(self).__name__} must define quantizer().")

    def encode(self, descriptors: Tensor) -> Tensor:
        """(N, M · d) descriptors to codes (N, M) int64: of each part the number of its codeword."""
        return self.quantizer().encode(descriptors, self.metric)

    def distances(self, query: Tensor, database_codes: Tensor) -> ADC:
        """The query is not quantized: one table for each codebook, and its entries summed."""
        return ADC(self.quantizer().look_up_tables(query, self.metric), database_codes)


def books_of(bits: int, codewords: int) -> int:
    """How many codebooks a code of `bits` has: M = bits / log2 K.

    Raises:
        ValueError: K is no power of two, or the bits are no multiple of log2 K.

    >>> books_of(32, 16), books_of(32, 256)
    (8, 4)
    """
    if codewords < 2 or codewords & (codewords - 1):
        raise ValueError(f"codewords={codewords}: give a power of two, so that each fills whole bits.")
    each = codewords.bit_length() - 1
    if bits < each or bits % each:
        raise ValueError(f"bits={bits}: the number of one of {codewords} codewords has {each} bits; give a multiple.")
    return bits // each


def xavier_parts(rows: int, books: int, dimension: int, generator: torch.Generator) -> nn.Parameter:
    """A (rows, M · d) matrix drawn as Glorot and Bengio have it (AISTATS 2010), cut into (M, rows, d)."""
    whole = torch.empty(rows, books * dimension)
    nn.init.xavier_uniform_(whole, generator=generator)
    return nn.Parameter(whole.view(rows, books, dimension).transpose(0, 1).contiguous())
