"""One look for every figure of the book: colour-blind safe, on a light ground of its own, legible on a phone."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib.figure import Figure

# Okabe and Ito's palette. The first four stand out from the ground by at least 3 to 1; the other two are lighter, so
# every marker has a dark edge.
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#1a1a1a",
)  # fmt: skip
PALETTE = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))
GROUND = "#ffffff"
QUIET = "#5f5f5f"  # for what is only said beside: references, frames
RIGHT, WRONG = BLUE, VERMILION
SHADES = "cividis"  # for maps of one quantity: even steps of lightness, the same to all eyes

WIDTH = 6.4  # inches; a figure of this width is shown at 704 pixels
DPI = 110
SMALLEST = 11  # points: 8 pixels where a figure of full width is shrunk to a phone's 343


def use_style() -> None:
    """Set the style for all figures drawn after this call."""
    sns.set_theme(style="whitegrid", palette=PALETTE)
    mpl.rcParams.update(
        {
            "figure.dpi": DPI,
            "savefig.dpi": DPI,
            "figure.figsize": (WIDTH, 3.8),
            "figure.facecolor": GROUND,
            "savefig.facecolor": GROUND,
            "axes.facecolor": GROUND,
            "text.color": BLACK,
            "axes.labelcolor": BLACK,
            "xtick.color": BLACK,
            "ytick.color": BLACK,
            "axes.edgecolor": QUIET,
            "grid.color": "#dddddd",
            "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib: the same page on every machine
            "font.size": 12,
            "axes.titlesize": 12,
            "axes.labelsize": 12,
            "figure.titlesize": 13,
            "xtick.labelsize": SMALLEST,
            "ytick.labelsize": SMALLEST,
            "legend.fontsize": SMALLEST,
            "legend.title_fontsize": SMALLEST,
            "legend.framealpha": 0.9,
            "lines.linewidth": 2,
            "lines.markersize": 6.5,
            "figure.max_open_warning": 0,
        }
    )


def line_style(number: int) -> dict:
    """Colour, marker and dashes of the n-th line: any one of the three tells it apart from its neighbours."""
    return {**marker_style(number), "linestyle": DASHES[number % len(DASHES)]}


def marker_style(number: int) -> dict:
    """Colour and marker of the n-th group of points; the pair comes back after 70 groups."""
    return {
        "color": PALETTE[number % len(PALETTE)],
        "marker": MARKERS[number % len(MARKERS)],
        "markeredgecolor": BLACK,
        "markeredgewidth": 0.7,
    }


def finish(figure: Figure) -> Figure:
    """The figure itself, taken from pyplot's hands: the caller shows it, and a notebook does not show it twice."""
    plt.close(figure)
    return figure


def set_titles(axis, xlabel: str = "", ylabel: str = "", title: str = "") -> None:
    """Name the axes; a title stands at the left, where reading begins."""
    axis.set_xlabel(xlabel)
    axis.set_ylabel(ylabel)
    axis.set_title(title, loc="left")
