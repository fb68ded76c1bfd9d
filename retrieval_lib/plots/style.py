"""One look for every figure of the book: colour-blind safe, on a light ground of its own, legible when small."""

import matplotlib as mpl
import seaborn as sns

# Okabe and Ito's palette, in an order in which neighbours differ in lightness as well.
BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION, BLACK = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#1a1a1a",
)  # fmt: skip
PALETTE = (BLUE, ORANGE, GREEN, VERMILION, SKY, PURPLE, BLACK)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))
GROUND = "#ffffff"
RIGHT, WRONG = BLUE, VERMILION


def use_style() -> None:
    """Set the style for all figures drawn after this call."""
    sns.set_theme(style="whitegrid", palette=PALETTE, font_scale=1.0)
    mpl.rcParams.update(
        {
            "figure.dpi": 100,
            "savefig.dpi": 100,
            "figure.facecolor": GROUND,
            "savefig.facecolor": GROUND,
            "axes.facecolor": GROUND,
            "text.color": BLACK,
            "axes.labelcolor": BLACK,
            "xtick.color": BLACK,
            "ytick.color": BLACK,
            "axes.edgecolor": "#555555",
            "grid.color": "#dddddd",
            "font.size": 11,
            "axes.titlesize": 12,
            "legend.framealpha": 0.9,
            "figure.max_open_warning": 0,
            "svg.hashsalt": "retrieval",
        }
    )


def line_style(number: int) -> dict:
    """Colour, marker and dashes of the n-th line: any one of the three tells it apart."""
    return {
        "color": PALETTE[number % len(PALETTE)],
        "marker": MARKERS[number % len(MARKERS)],
        "linestyle": DASHES[number % len(DASHES)],
    }
