"""Binary codes made visible: the bits of single images, and how all bits are balanced and correlated."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from torch import Tensor

from retrieval_lib.hashing import check_bits
from retrieval_lib.plots.grid import to_pixels
from retrieval_lib.plots.style import BLACK, BLUE, QUIET, SHADES, SMALLEST, WIDTH, finish, set_titles


def code_strips(images: Tensor, codes: Tensor, names: Sequence[str] = ()) -> Figure:
    """A row for each image: the image, and its code as a strip of cells, dark where the bit is 1.

    Args:
        images: (n, C, H, W) uint8, or floating-point in [0, 1].
        codes: (n, bits) bool.
        names: written beside the strips; none to write nothing.

    Raises:
        ValueError: the codes have another type or shape, or the three do not belong together.
    """
    check_bits(codes)
    if len(images) != len(codes) or len(names) not in (0, len(codes)):
        raise ValueError(
            f"{len(images)} images, {len(codes)} codes and {len(names)} names do not belong together; expected as many "
            "codes as images, and as many names or none."
        )
    rows, bits = codes.shape
    figure, axes = plt.subplots(
        rows, 2, figsize=(WIDTH, 0.62 * rows + 0.5), squeeze=False, layout="constrained",
        gridspec_kw={"width_ratios": [1, 9]},
    )  # fmt: skip
    for row in range(rows):
        picture, strip = axes[row]
        picture.imshow(to_pixels(images[row]), cmap="gray", vmin=0, vmax=1 if images.is_floating_point() else 255)
        strip.pcolormesh(codes[row : row + 1].float().numpy(), cmap="Greys", vmin=0, vmax=1.15, edgecolors=QUIET)
        strip.set_xlim(0, bits)
        for axis in (picture, strip):
            axis.set(xticks=[], yticks=[])
            axis.grid(False)
        if names:
            strip.set_ylabel(names[row], rotation=0, ha="left", va="center", fontsize=SMALLEST)
            strip.yaxis.set_label_coords(1.01, 0.5)
    last = axes[-1, 1]
    last.set_xticks([0.5, bits - 0.5], ["1", str(bits)])
    last.set_xlabel("bit (dark: 1)")
    return finish(figure)


def bit_statistics(codes: Tensor, title: str = "") -> Figure:
    """Two panels: the share of ones of each bit, and the correlation of each pair of bits, its sign left out.

    A good code has bits that are 1 for half of the images, and that say different things.

    Args:
        codes: (N, bits) bool, N at least 2.
        title: above the figure.

    Raises:
        ValueError: the codes have another type or shape, or there are fewer than two.
    """
    share, correlation = bit_balance(codes), bit_correlation(codes)
    bits = codes.shape[1]
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 3.3), layout="constrained")
    left.bar(range(1, bits + 1), share.numpy(), width=1, color=BLUE, edgecolor="white", linewidth=0.3)
    left.axhline(0.5, color=BLACK, linestyle="--", linewidth=1.2)
    left.set(ylim=(0, 1), xlim=(0.5, bits + 0.5))
    left.grid(axis="x", visible=False)
    set_titles(left, "bit", "share of ones", "balance (dashed: one half)")
    drawn = correlation.abs().fill_diagonal_(torch.nan)
    mesh = right.imshow(drawn.numpy(), cmap=SHADES, vmin=0, vmax=1, extent=(0.5, bits + 0.5, bits + 0.5, 0.5))
    right.grid(False)
    set_titles(right, "bit", "bit", "correlation, sign left out")
    figure.colorbar(mesh, ax=right, shrink=0.85)
    if title:
        figure.suptitle(title, x=0.01, ha="left")
    return finish(figure)


def bit_balance(codes: Tensor) -> Tensor:
    """The share of ones of each bit: (N, bits) bool to (bits,) float32.

    Raises:
        ValueError: the codes have another type or shape, or there are fewer than two.
    """
    _check(codes)
    return codes.float().mean(0)


def bit_correlation(codes: Tensor) -> Tensor:
    """Pearson's correlation of each pair of bits: (N, bits) bool to (bits, bits) float32; 0 for a bit that never changes.

    Raises:
        ValueError: the codes have another type or shape, or there are fewer than two.
    """
    _check(codes)
    centred = codes.double() - codes.double().mean(0)
    spread = centred.norm(dim=0)
    products = centred.T @ centred / (spread[:, None] * spread).clamp(min=1e-12)
    return products.clamp(-1, 1).float()


def _check(codes: Tensor) -> None:
    check_bits(codes)
    if len(codes) < 2:
        raise ValueError(f"There is {len(codes)} code; the statistics of bits need at least 2.")
