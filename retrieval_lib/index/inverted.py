"""Product codes in lists (an inverted file), over faiss: a query reads only the lists that are nearest to it."""

import faiss
import numpy as np
import torch
from torch import Tensor

from retrieval_lib.index.faiss_codes import faiss_floats, packed_codes, set_codebooks
from retrieval_lib.index.product import METRICS, PQIndex
from retrieval_lib.quantization import ProductQuantizer


class IVFPQIndex(PQIndex):
    """Product codes, each in the list of the centre that is nearest to what the code stands for.

    The codes are those of the images themselves, not of their residuals: they are the same as in a `PQIndex`, and
    with all lists read the search is exact.

    Args:
        quantizer: its codebooks, and its rotation if it has one; K is a power of two.
        centres: (lists, D) float, one for each list, as descriptors; for instance those of a k-means,
            `fit_pq(descriptors, codebooks=1, codewords=lists).codebooks[0]`.
        metric: as for a `PQIndex`; the nearest centre is that by the same metric.
        probes: how many lists a query reads; None for all.
        turned: whether the centres are rotated already, as faiss keeps them: turned back and again they would not be
            the same to the last digit, and a query at the border of two lists might read the other.

    Attributes:
        centres: (lists, D), as faiss keeps them: rotated, where the quantizer has a rotation.

    Raises:
        ValueError: as `PQIndex`; or the centres have another shape or hold NaN or infinity, or cannot be probed so often.
    """

    def __init__(
        self,
        quantizer: ProductQuantizer,
        centres: Tensor,
        metric: str = "squared Euclidean",
        probes: int | None = None,
        *,
        turned: bool = False,
    ):
        if centres.ndim != 2 or not len(centres) or centres.shape[1] != quantizer.dimension:
            raise ValueError(
                f"centres have shape {tuple(centres.shape)}; these codebooks need (lists, {quantizer.dimension})."
            )
        if not torch.isfinite(centres).all():
            raise ValueError("The centres hold NaN or infinite values; look for them where they are made.")
        if quantizer.rotation is not None and not turned:
            centres = centres.to(quantizer.rotation) @ quantizer.rotation
        self.centres, self.probes = centres, len(centres) if probes is None else probes
        if not 1 <= self.probes <= len(centres):
            raise ValueError(f"probes={probes}: there are {len(centres)} lists; give 1 to that many.")
        super().__init__(quantizer, metric)

    @property
    def settings(self) -> dict:
        """What the faiss file does not say."""
        return {"probes": self.probes}

    def search(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """As in a `PQIndex`; where the lists that are read hold fewer than k codes, the rest are id -1 at infinity."""
        distances, ids = super().search(queries, k)
        return distances.masked_fill(ids < 0, torch.inf), ids

    def _empty(self):
        dimension, (books, words, _) = self.quantizer.dimension, self.quantizer.codebooks.shape
        self._coarse = faiss.IndexFlat(dimension, METRICS[self.metric])
        self._coarse.add(faiss_floats(self.centres))
        index = faiss.IndexIVFPQ(
            self._coarse, dimension, len(self.centres), books, words.bit_length() - 1, METRICS[self.metric]
        )
        index.by_residual = False
        index.nprobe = self.probes
        set_codebooks(index, self.quantizer)
        return index

    def _append(self, codes: Tensor) -> None:
        packed = packed_codes(codes, self.quantizer)
        stands_for = ProductQuantizer(self.quantizer.codebooks).decode(codes)  # (n, D), not turned back
        _, lists = self._coarse.search(faiss_floats(stands_for), 1)  # (n, 1)
        number = lists.astype("<i8").view(np.uint8)[:, : self._exact.coarse_code_size()]  # lowest byte first
        self._exact.add_sa_codes(np.concatenate([number, packed], axis=1))
