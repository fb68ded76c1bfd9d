"""Lines, histograms and maps: the values that are drawn are the values that were given."""

import numpy as np
import pandas as pd
import pytest
import torch
from figure_checks import points_under_legends, smallest_text_on_a_phone, texts

from retrieval_lib.plots import (
    by_bits,
    by_number,
    distance_histograms,
    embedding_map,
    fit_map,
    precision_recall,
    trade_off,
)

ROWS = [
    {"method": m, "bits": b, "mean": i + b / 100, "low": i, "high": i + 1}
    for i, m in enumerate(("LSH", "ITQ"))
    for b in (64, 16, 32)
]


def test_by_bits_draws_means_intervals_and_references():
    figure = by_bits(pd.DataFrame(ROWS), "mAP@1000", {"exact": 1.5})
    axis = figure.axes[0]
    lines = {line.get_label(): line for line in axis.lines}
    assert list(lines["ITQ"].get_xdata()) == [16, 32, 64]
    assert list(lines["ITQ"].get_ydata()) == pytest.approx([1.16, 1.32, 1.64])
    assert any(list(line.get_ydata()) == [1.5, 1.5] for line in axis.lines)
    assert len(axis.collections) == 2 and {"exact", "16", "32", "64"} <= set(texts(figure))
    assert smallest_text_on_a_phone(figure) >= 8
    with pytest.raises(ValueError, match="lacks the columns"):
        by_bits(pd.DataFrame(ROWS).drop(columns="low"), "mAP")


def test_by_number_names_its_axis_and_writes_large_numbers_out():
    rows = [{"method": "GPQ", "labels": n, "mean": 0.4, "low": 0.3, "high": 0.5} for n in (250, 5000)]
    figure = by_number(pd.DataFrame(rows), "labels", "labelled images", "mAP")
    assert {"250", "5,000", "labelled images", "mAP", "GPQ"} <= set(texts(figure))
    with pytest.raises(ValueError, match=r"lacks the columns \['bits'\]"):
        by_number(pd.DataFrame(rows), "bits", "bits", "mAP")


def test_no_point_is_hidden_under_a_legend_however_the_lines_run():
    rows = [
        {"method": m, "bits": b, "mean": i + n / 10, "low": i, "high": i + 1}
        for i, m in enumerate(("LSH", "PCAH", "ITQ", "PQ", "PQ, 256 codewords", "OPQ"))
        for n, b in enumerate((16, 32, 64, 128))
    ]
    figure = by_bits(pd.DataFrame(rows), "mAP@1000", {"exact: angle": 5.3, "exact: Euclidean": 5.25})
    assert points_under_legends(figure) == 0
    assert len({line.get_linestyle() for line in figure.axes[0].lines if len(set(line.get_ydata())) == 1}) == 2
    costs = [{"method": r["method"], "quality": r["mean"], "bytes": r["bits"], "milliseconds": r["bits"]} for r in rows]
    assert points_under_legends(trade_off(costs, "mAP@1000")) == 0


def test_precision_recall_draws_its_curves():
    recall, precision = torch.tensor([0.1, 0.5, 1.0]), torch.tensor([1.0, 0.6, 0.2])
    axis = precision_recall({"LSH": (recall, precision)}, chance=0.1).axes[0]
    assert axis.lines[0].get_xdata().tolist() == recall.tolist()
    assert axis.lines[0].get_ydata().tolist() == precision.tolist()
    with pytest.raises(ValueError, match="at least one curve"):
        precision_recall({"LSH": (recall, precision[:2])})


def test_trade_off_shows_quality_against_both_costs():
    rows = [{"method": m, "quality": q, "bytes": 2**q, "milliseconds": 10.0**-q} for m in ("PQ", "LSH") for q in (3, 1)]
    figure = trade_off(rows, "mAP@1000")
    memory, time = figure.axes
    assert memory.lines[0].get_xdata().tolist() == [2, 8] and memory.lines[0].get_ydata().tolist() == [1, 3]
    assert time.lines[0].get_xdata().tolist() == pytest.approx([0.1, 0.001])
    assert smallest_text_on_a_phone(figure) >= 8
    assert not any(axis.collections for axis in figure.axes), "no interval was given"
    bars = trade_off([row | {"low": row["quality"] - 0.5, "high": row["quality"] + 1} for row in rows], "mAP@1000")
    drawn = [segment.tolist() for c in bars.axes[0].collections for segment in c.get_segments()]
    assert [[2.0, 0.5], [2.0, 2.0]] in drawn and [[8.0, 2.5], [8.0, 4.0]] in drawn
    with pytest.raises(ValueError, match="Each row needs"):
        trade_off([{"method": "PQ"}], "mAP")


def test_histograms_hold_all_pairs_whole_distances_in_whole_bins():
    same, different = torch.tensor([1.0, 2.0, 2.0]), torch.tensor([2.0, 4.0])
    figure = distance_histograms({"codes": (same, different), "pixels": (same + 0.5, different + 0.25)})
    for axis in figure.axes:
        for patch in axis.patches:
            corners = patch.get_xy()
            area = 0.5 * abs(
                np.dot(corners[:, 0], np.roll(corners[:, 1], 1)) - np.dot(corners[:, 1], np.roll(corners[:, 0], 1))
            )
            assert area == pytest.approx(1, abs=1e-6) or not patch.get_fill()
    edges = sorted(set(figure.axes[0].patches[0].get_xy()[:, 0].round(6)))
    assert all(edge % 1 == 0.5 for edge in edges), "a whole distance lies in the middle of its bin"
    with pytest.raises(ValueError, match="at least one panel"):
        distance_histograms({"codes": (same, different[:0])})


@pytest.fixture(scope="module")
def clusters():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(3).repeat_interleave(20)
    return torch.randn(60, 8, generator=generator) + 12 * torch.randn(3, 8, generator=generator)[labels], labels


@pytest.mark.parametrize("how", ["PCA", "UMAP"])
def test_maps_keep_clusters_apart_and_are_repeatable(clusters, how, capfd):
    x, labels = clusters
    first, again = (torch.from_numpy(fit_map(x, how, seed=1).transform(x.numpy())) for _ in range(2))
    assert first.shape == (60, 2) and torch.equal(first, again)
    nearest = torch.cdist(first, first).fill_diagonal_(torch.inf).argmin(1)
    assert (labels[nearest] == labels).float().mean() > 0.95
    assert torch.get_num_threads() == 1, "a map leaves torch's threads alone"
    assert capfd.readouterr().err == ""


def test_embedding_map_shows_every_point_and_names_every_class(clusters):
    points, labels = clusters[0][:, :2], clusters[1]
    figure = embedding_map(points, labels, ["cat", "dog", "ship"], codewords=torch.zeros(4, 2))
    counts = [len(collection.get_offsets()) for collection in figure.axes[0].collections]
    assert counts == [20, 20, 20, 4] and {"cat", "dog", "ship"} <= set(texts(figure))
    assert smallest_text_on_a_phone(figure) >= 8


def test_unknown_maps_and_wrong_sizes_are_named(clusters):
    with pytest.raises(ValueError, match="no map 't-SNE'; choose UMAP or PCA"):
        fit_map(clusters[0], "t-SNE")
    with pytest.raises(ValueError, match="9 descriptors: give 10 to"):
        fit_map(clusters[0][:9])
    with pytest.raises(ValueError, match=r"60 labels need \(60, 2\)"):
        embedding_map(clusters[0], clusters[1], ["a", "b", "c"])
