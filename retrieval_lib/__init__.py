"""Deep image retrieval: images to descriptors, descriptors to codes, codes to search."""

__version__ = "0.1.0"
