"""Codes into faiss: one small interface for Hamming and product-quantized search, and files that plain faiss opens."""

from retrieval_lib.index.base import Index
from retrieval_lib.index.faiss_codes import from_faiss
from retrieval_lib.index.hamming import HammingIndex
from retrieval_lib.index.inverted import IVFPQIndex
from retrieval_lib.index.product import METRICS, PQIndex
from retrieval_lib.index.storage import load_index, save_index

__all__ = [
    "METRICS",
    "HammingIndex",
    "IVFPQIndex",
    "Index",
    "PQIndex",
    "from_faiss",
    "load_index",
    "save_index",
]
