"""What methods with binary codes share: a code is the signs of its descriptor, a search compares by Hamming distance."""

from torch import Tensor

from retrieval_lib.evaluation import Hamming
from retrieval_lib.hashing import sign_bits
from retrieval_lib.methods.base import Method


class BinaryMethod(Method):
    """A method whose descriptors are relaxed codes (B, bits), made by `self.head` from those of `self.backbone`."""

    def descriptors(self, images: Tensor) -> Tensor:
        """Relaxed codes h: (B, C, H, W) to (B, bits), between -1 and 1."""
        return self.head(self.backbone(images))

    def encode(self, descriptors: Tensor) -> Tensor:
        """(N, bits) relaxed codes to bool codes."""
        return sign_bits(descriptors)

    def distances(self, query: Tensor, database_codes: Tensor) -> Hamming:
        """Both sides are hashed."""
        return Hamming(self.encode(query), database_codes)
