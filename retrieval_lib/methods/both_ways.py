"""A trained method that also looks at the mirror image."""

from torch import Tensor

from retrieval_lib.evaluation import Distances
from retrieval_lib.methods.base import Method
from retrieval_lib.quantization import ProductQuantizer


class BothWays(Method):
    """A trained method whose descriptor is the mean of those of an image and of its mirror image.

    The fastest trainers of CIFAR-10 judge their networks by several crops and mirror images of an image (K. Jordan, arXiv
    2404.00498, 2024). This is the plainest form of it. Nothing is trained; describing an image takes twice as long.

    Args:
        method: trained, with all but its losses.
    """

    def __init__(self, method: Method):
        super().__init__()
        self.method, self.bits = method, method.bits
        self.train(method.training)  # a new module would begin in training mode, and leave the method there

    def descriptors(self, images: Tensor) -> Tensor:
        """(B, C, H, W) float between 0 and 1 to (B, D)."""
        return (self.method.descriptors(images) + self.method.descriptors(images.flip(-1))) / 2

    def encode(self, descriptors: Tensor) -> Tensor:
        """As the trained method does."""
        return self.method.encode(descriptors)

    def distances(self, query: Tensor, database_codes: Tensor) -> Distances:
        """As the trained method does."""
        return self.method.distances(query, database_codes)

    def quantizer(self) -> ProductQuantizer | None:
        """As the trained method does."""
        return self.method.quantizer()
