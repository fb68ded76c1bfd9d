"""Codebooks and codes into faiss's product quantizers, number by number, and out of them again."""

import faiss
import numpy as np
import torch
from torch import Tensor

from retrieval_lib.quantization import ProductQuantizer, check_codes


def faiss_floats(values: Tensor) -> np.ndarray:
    """Floats as faiss reads them: float32, in one piece, and without the gradient that learned ones have."""
    return np.ascontiguousarray(values.detach().float().numpy())


def set_codebooks(target, quantizer: ProductQuantizer) -> None:
    """Give a faiss index that has a `pq` our codebooks, (M, K, d), as if it had trained them."""
    faiss.copy_array_to_vector(faiss_floats(quantizer.codebooks).ravel(), target.pq.centroids)
    target.is_trained = True


def packed_codes(codes: Tensor, quantizer: ProductQuantizer) -> np.ndarray:
    """(n, M) integers to (n, bytes) uint8, as faiss keeps them: log2 K bits each, the lowest bits first.

    Raises:
        ValueError: the codes have another shape or type, or name a codeword that is not there.
    """
    books, words, _ = quantizer.codebooks.shape
    check_codes(codes, words, books)
    return faiss.pack_bitstrings(np.ascontiguousarray(codes.numpy(), np.int32), words.bit_length() - 1)


def from_faiss(index) -> tuple[ProductQuantizer, Tensor]:
    """Codebooks, rotation and codes of a faiss index, also of one that faiss trained and filled itself.

    Args:
        index: an `IndexPQ` or an `IndexIVFPQ` (without residuals), alone, refined, or behind a linear transform.

    Returns:
        The product quantizer, and the codes (N, M) int64 in the order of their ids.

    Raises:
        ValueError: it is another kind of index, codes residuals, has ids that are not 0 to N - 1, or a transform that
            is no rotation.
    """
    rotation, inner = None, faiss.downcast_index(index)
    if isinstance(inner, faiss.IndexPreTransform):
        rotation, inner = _rotation(inner), faiss.downcast_index(inner.index)
    if isinstance(inner, faiss.IndexRefine):
        inner = faiss.downcast_index(inner.refine_index)
    if not isinstance(inner, faiss.IndexPQ | faiss.IndexIVFPQ):
        raise ValueError(f"{type(inner).__name__} holds no product codes; give an IndexPQ or an IndexIVFPQ.")
    if isinstance(inner, faiss.IndexIVFPQ):
        if inner.by_residual:
            raise ValueError("The index codes residuals, which are no codes of the images; set by_residual = False.")
        packed = _in_order_of_ids(inner)
    else:
        packed = faiss.vector_to_array(inner.codes).reshape(inner.ntotal, inner.code_size)
    pq = inner.pq
    codebooks = faiss.vector_to_array(pq.centroids).reshape(pq.M, pq.ksub, pq.dsub)
    codes = faiss.unpack_bitstrings(packed, pq.M, pq.nbits)
    quantizer = ProductQuantizer(torch.from_numpy(codebooks.copy()), rotation)
    return quantizer, torch.from_numpy(codes.astype("int64"))


def _rotation(index) -> Tensor:
    """(D, D), multiplied to the right of a descriptor; faiss multiplies its transpose to the left."""
    turn = faiss.downcast_VectorTransform(index.chain.at(0))
    if index.chain.size() != 1 or not isinstance(turn, faiss.LinearTransform) or turn.d_in != turn.d_out:
        raise ValueError("Before the codes stands more than one square linear transform, which no rotation replaces.")
    if turn.have_bias and faiss.vector_to_array(turn.b).any():
        raise ValueError("The linear transform before the codes also shifts, which a rotation does not.")
    matrix = faiss.vector_to_array(turn.A).reshape(turn.d_out, turn.d_in)
    return torch.from_numpy(matrix.T.copy())


def _in_order_of_ids(index) -> np.ndarray:
    """Packed codes (N, bytes) of an inverted file."""
    lists, size = index.invlists, index.code_size
    ids, packed = [], []
    for number in range(index.nlist):
        count = lists.list_size(number)
        if count:
            ids.append(faiss.rev_swig_ptr(lists.get_ids(number), count).copy())
            packed.append(faiss.rev_swig_ptr(lists.get_codes(number), count * size).reshape(count, size).copy())
    if not ids:
        return np.empty((0, size), np.uint8)
    order = np.argsort(np.concatenate(ids))
    if not np.array_equal(np.concatenate(ids)[order], np.arange(index.ntotal)):
        raise ValueError("The index's ids are not 0 to N - 1; number the images by their place.")
    return np.concatenate(packed)[order]
