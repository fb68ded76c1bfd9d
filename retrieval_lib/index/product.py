"""Search of product codes by look-up tables (ADC), over faiss: exact, or a fast scan that is refined."""

import faiss
import torch
from torch import Tensor

from retrieval_lib.index.base import check_k
from retrieval_lib.index.faiss_codes import faiss_floats, packed_codes, set_codebooks
from retrieval_lib.quantization import ProductQuantizer

METRICS = {"squared Euclidean": faiss.METRIC_L2, "inner product": faiss.METRIC_INNER_PRODUCT}
FAST_CODEWORDS = 16  # whose table of 16 entries fits into a register of the processor


class PQIndex:
    """Product codes, searched with queries that are not quantized.

    faiss holds our codebooks and our codes. It never assigns a codeword itself: its `add(x)` takes the nearest by
    Euclidean distance whatever the metric, which is wrong for codebooks learned with another.

    Args:
        quantizer: its codebooks, and its rotation if it has one; K is a power of two.
        metric: `squared Euclidean`, or `inner product`, whose negative is then the distance.
        fast: scan with tables of 8-bit entries held in registers (André, Kermarrec and Le Scouarnec, PVLDB 2015), then
            compute the distances of the best `refine` · k exactly. Needs 16 codewords. It may miss some images;
            those that it returns have their exact distances.
        refine: how many times more candidates the fast scan keeps, at least 1.

    Raises:
        ValueError: unknown metric; K no power of two, or below 8 where d is 2; a fast scan without 16 codewords;
            refine below 1.
    """

    def __init__(
        self, quantizer: ProductQuantizer, metric: str = "squared Euclidean", fast: bool = False, refine: int = 4
    ):
        _, words, length = quantizer.codebooks.shape
        if metric not in METRICS:
            raise ValueError(f"There is no metric {metric!r}; choose one of {', '.join(METRICS)}.")
        if words & (words - 1) or not 2 <= words <= 65_536:
            raise ValueError(
                f"faiss needs a power of two of codewords, from 2 to 65,536; these codebooks have {words}."
            )
        if length == 2 and words < 8:  # its vectorised tables for d = 2 come in eights
            raise ValueError(
                f"faiss cannot search parts of 2 numbers with fewer than 8 codewords; these codebooks have {words}. "
                "Take longer parts or more codewords."
            )
        if fast and words != FAST_CODEWORDS:
            raise ValueError(f"The fast scan needs {FAST_CODEWORDS} codewords; these codebooks have {words}.")
        if refine < 1:
            raise ValueError(f"refine={refine}: give at least 1, which refines as many images as are asked for.")
        self.quantizer, self.metric, self.fast, self.refine = quantizer, metric, fast, refine
        self.bits = quantizer.bits
        self._exact = self._empty()
        self.faiss_index = self._wrapped()

    @property
    def settings(self) -> dict:
        """What the faiss file does not say."""
        return {"fast": self.fast, "refine": self.refine}

    def __len__(self) -> int:
        return self._exact.ntotal

    def add(self, codes: Tensor) -> None:
        """Append (n, M) codes, integers from 0 to K - 1.

        Raises:
            ValueError: the codes have another shape or type, or name a codeword that is not there.
        """
        self._append(codes)
        self.faiss_index = self._wrapped()

    def search(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Distances (Q, k) float32, rising, and ids (Q, k) int64.

        Args:
            queries: (Q, D) float, not rotated: the index does that.
            k: from 1 to the number of codes.

        Raises:
            ValueError: the queries have another length, or hold NaN or infinite values; or the index holds fewer than
                k codes.
        """
        check_k(k, len(self))
        if queries.ndim != 2 or queries.shape[1] != self.quantizer.dimension:
            raise ValueError(
                f"queries have shape {tuple(queries.shape)}; this index takes (Q, {self.quantizer.dimension})."
            )
        if not torch.isfinite(queries).all():
            raise ValueError("A query holds NaN or an infinite value; it is at no distance from anything.")
        found, ids = self.faiss_index.search(faiss_floats(queries), k)
        short = (ids < 0).any(1)
        if self.fast and short.any():  # the scan drops images at its greatest distance, and faiss fills up with id -1
            turned = self.quantizer.parts(queries[torch.from_numpy(short)].to(self.quantizer.codebooks)).flatten(1)
            found[short], ids[short] = self._exact.search(faiss_floats(turned), k)
        distances = -found if self.metric == "inner product" else found
        return torch.from_numpy(distances), torch.from_numpy(ids)

    def _empty(self):
        """The exact index, with our codebooks and without codes."""
        books, words, _ = self.quantizer.codebooks.shape
        index = faiss.IndexPQ(self.quantizer.dimension, books, words.bit_length() - 1, METRICS[self.metric])
        set_codebooks(index, self.quantizer)
        return index

    def _append(self, codes: Tensor) -> None:
        self._exact.add_sa_codes(packed_codes(codes, self.quantizer))

    def _wrapped(self):
        """The exact index, with what the settings put around it."""
        inner = self._exact
        if self.fast:
            self._scan = faiss.IndexPQFastScan(self._exact)
            inner = faiss.IndexRefine(self._scan, self._exact)
            inner.k_factor = self.refine
        if self.quantizer.rotation is None:
            return inner
        dimension = self.quantizer.dimension
        self._turn = faiss.LinearTransform(dimension, dimension, False)
        faiss.copy_array_to_vector(faiss_floats(self.quantizer.rotation.T).ravel(), self._turn.A)
        self._turn.is_trained = True
        self._inner = inner  # faiss keeps no reference that Python would see
        return faiss.IndexPreTransform(self._turn, inner)
