# %% [markdown]
# # SPQ in numbers: trainings that were recorded
#
# The [chapter on SPQ](spq_self_supervised.ipynb) trains for a few minutes. How far does it go, given hours? What holds it back?
# Which parts of the loss and of the views count? And what is such a network worth, if a few labels come later?
#
# This page answers with trainings that ran before. It reads what they left behind.
#
# **What you will learn**
#
# - to read a long training without labels: loss, score, and the use of the codewords, step by step;
# - to ask by experiment what limits a method: size, time, or the views;
# - which variants of the loss make a difference that seeds do not hide;
# - whether codebooks collapse, and whether their use tells it before the score does;
# - what *unsupervised* means when the features were learned from a million labels.
#
# **What you should know**: the [chapter on SPQ](spq_self_supervised.ipynb).
#
# **How long it takes**: less than a minute. Each section names the command that records its trainings again.

# %%
#| tags: set-up
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from retrieval_lib import notebook
from retrieval_lib.evaluation import mean_interval
from retrieval_lib.experiments import over_seeds, read_results
from retrieval_lib.experiments.paired import (
    differences,
    spelled,
    told,
    verdict,
)
from retrieval_lib.plots import by_bits, finish, line_style
from retrieval_lib.plots.intervals import interval_rows
from retrieval_lib.plots.style import WIDTH, set_titles

profile = notebook.set_up(seed=0)
RULE = (
    "search == 'test' and divisor == 'retrieved' and ties == 'expected' "
    "and k == 1000"
)


def recorded(name):
    return read_results(name, dataset="cifar10")


def scores(name):
    """mAP@1000 of the codes of the test queries, a row each training."""
    return recorded(name).query(f"metric == 'mAP' and {RULE}")


# %%
# NBVAL_CHECK_OUTPUT
GRIDS = {
    "long run": "spq-long",
    "sizes": "spq-sizes",
    "length of the code": "spq-bits",
    "variants": "spq-variants",
    "sharpness": "spq-temperature",
    "rates that rise": "spq-collapse",
    "views": "spq-views",
    "long run, gone on with": "spq-long-after",
}
for title, grid in GRIDS.items():
    made = recorded(grid).drop_duplicates(["variant", "bits", "seed"])
    plural = "s" if len(made) > 1 else ""
    print(f"{title}: {len(made)} training{plural}, {made.protocol.iloc[0]}")

# %%
#| tags: hide-input
longest = recorded("spq-long")
notebook.result(
    f"> **The images of this page: cifar10.** All records are of one source, {longest.source.iloc[0]}. All but those of the section on a "
    "few labels are of one protocol: the 10,000 test images search the 50,000 training images, of which 45,000 were trained on, without their labels, and 5,000 "
    "were held out to judge settings. The score is mAP@1000, ties by their expected value, divisor *retrieved*. Codes have 32 "
    "bits, where nothing else is said. The intervals hold 95 %: of so many, about one in twenty misses, and says *more* or *less* of "
    "what is alike. Trust those that are far from zero."
)

# %% [markdown]
# ## The long run
#
# This is one training of several hours, with one seed, on one core. Its views, temperature and weight decay are those of the best
# of six longer trials of a smaller network, which the validation part judged, by its labels. `python -m retrieval_lib record spq-long-trials` runs the trials again.

# %%
#| tags: hide-input
trials = recorded("spq-long-trials")
is_last = (trials.search == "validation") & (trials.metric == "mAP")
is_use = trials.metric == "perplexity, least codebook"
last_use = trials[is_use].groupby("variant").value.last()
tried = trials[is_last].sort_values("value", ascending=False)
notebook.table(
    [
        {
            "views": row["view"],
            "τ": f"{row['temperature']:g}",
            "weight decay": f"{row['weight_decay']:g}",
            "validation mAP@1000": f"{row['value']:.3f}",
            "least perplexity": f"{last_use[row['variant']]:.1f}",
            "minutes": f"{row['seconds'] / 60:.0f}",
        }
        for row in tried.to_dict("records")
    ]
)

# %%
#| tags: hide-input
usual = tried[tried.weight_decay == 1e-4]
by_temperature = [
    (
        name,
        part[part.temperature == 0.5].iloc[0],
        part[part.temperature == 0.2].iloc[0],
    )
    for name, part in usual.groupby("view", sort=False)
    if part.temperature.nunique() == 2
]
notebook.result(
    "These are all the trials, one seed each, of 2,000 steps. *Small images* are like SimCLR's views for CIFAR-10: no blur; crops "
    "keep at least a fifth, and brightness changes half as much; *mild* ones are those of the live run; *published* ones are the paper's. The last but one "
    "column is the perplexity of the codebook used least evenly, of 16 codewords, by the codes of 1,000 validation images. What does "
    "the temperature do, with the views and the weight decay alike? "
    + "; ".join(
        f"*{name}*, τ = 0.5 minus 0.2: score {hot['value'] - cold['value']:+.3f}, least perplexity "
        f"{last_use[hot['variant']] - last_use[cold['variant']]:+.1f}"
        for name, hot, cold in by_temperature
    )
    + ". One seed each."
)

# %% [markdown]
# `python -m retrieval_lib record spq-long` runs the long training again; stopped, it goes on.

# %%
#| name: fig-spq-long
#| caption: The long run from its history, recorded on CIFAR-10. Above, the contrast and the validation score; below, the
#|   perplexity of the codebooks, mean and least, and how many codewords of all codebooks stand for none of 250 validation images.
from retrieval_lib.paths import checkpoints_folder
from retrieval_lib.plots.story import story
from retrieval_lib.training import read_history
from retrieval_lib.training.checkpoints import read_tensors

kept = checkpoints_folder() / longest.checkpoint.iloc[0]
history, about = read_history(kept)
use = about["codeword_use"]
story(history, use)

# %%
#| tags: hide-input
AIM, HOURS, MEGABYTES = 0.50, 8, 5  # set before the first training
of_long = longest.query(RULE).set_index("metric").value
reached = of_long["mAP"]
effective = longest[longest.metric.str.startswith("perplexity")].set_index("metric").value  # fmt: skip
hours = history.seconds[-1] / 3600
epoch = 45_000 // 256
parameters = sum(
    tensor.numel() for tensor in read_tensors(kept, "checkpoint")[0].values()
)
notebook.result(
    f"{history.steps[-1]:,} steps, {history.steps[-1] / epoch:.0f} epochs of {epoch} steps, took {hours:.1f} hours of {longest.device.iloc[0]} "
    f"(allowed: {HOURS}); the file has {kept.stat().st_size / 1e6:.1f} MB (allowed: {MEGABYTES}). mAP@1000 of the 10,000 test queries: **{reached:.3f}**. The aim was {AIM}; it is "
    f"{'reached' if reached >= AIM else 'missed'}, with one seed. The validation score, which ranks another and smaller database, "
    f"ended with {history.scores[-1]:.3f}; half way it was {history.scores[len(history.scores) // 2]:.3f}."
)

# %%
#| tags: hide-input
PUBLISHED = 0.793
notebook.result(
    f"Beside it stands the published figure: {PUBLISHED} [6, issues 6, 7]. It is {PUBLISHED - reached:.3f} above. Between the two "
    f"lie 2,000 epochs instead of {history.steps[-1] / epoch:.0f}; a network of 11 million parameters instead of "
    f"{parameters / 1e6:.1f} million, whose first layer is not learned; a GPU instead of a core; other views, and another optimizer "
    "and schedule; 5,000 images that are held back; images from a JPEG copy; and squared distances in the place of plain ones. The "
    "temperature is the published one. What each of them is worth, a single run cannot tell; the next section asks it of trainings that can be afforded."
)

# %%
#| tags: hide-input
low = min(use[1:], key=lambda moment: min(moment["perplexity"]))
first, last = use[0], use[-1]
notebook.result(
    f"The use of the codewords: before the first step {first['unused']} of {16 * len(first['perplexity'])} stood for none of 250 "
    f"validation images, at the end {last['unused']}; so few images miss a rare codeword. The least perplexity began at "
    f"{min(first['perplexity']):.1f} of 16. After that it was lowest at step {low['step']:,}, with {min(low['perplexity']):.1f}. By the codes of the whole database the perplexity is now "
    f"{effective['perplexity, mean over codebooks']:.1f} on average and {effective['perplexity, least codebook']:.1f} in the least "
    "codebook. This is the published loss, which has no term for an even use."
)

# %%
#| tags: hide-input
BESIDE = {
    "mAP": "SPQ's codes",
    "mAP by plain distances": "plain distances",
    "mAP of PQ fitted afterwards": "PQ afterwards",
    "mAP of PQ fitted afterwards, of norm 1": "PQ afterwards, norm 1",
    "mAP without a code": "no code",
    "mAP without a code, of norm 1": "no code, norm 1",
}
notebook.table(
    [
        {
            "search with the long run's descriptors": way,
            "mAP@1000": f"{of_long[m]:.3f}",
        }
        for m, way in BESIDE.items()
    ]
)

# %% [markdown]
# The six rows share descriptors and queries; they are of one training. *SPQ's codes* are searched by squared distances, as in product
# quantization and in faiss; *plain distances* are what the authors' code adds up. *PQ afterwards* replaces the learned codebooks by k-means.
#
# ## What limits it: size, time, or the views?
#
# Three things can be turned: how wide the network is, how long it trains, and how much the views change an image. For each, look
# at trainings that differ in nothing else. All are judged by the validation score.
# `python -m retrieval_lib record spq-sizes` runs the other widths again, that of the long run among them; the others are the trials above.

# %%
#| name: fig-spq-limits
#| caption: Recorded on CIFAR-10: the validation score by step. Left, four widths of the network; right, three kinds of views, with the
#|   same temperature and weight decay. One seed each.
sizes = recorded("spq-sizes")


def by_step(table, metric="mAP"):
    """Steps and values of one training."""
    part = table[table.search.str.startswith("validation, step")]
    part = part[part.metric == metric]
    steps = part.search.str.extract(r"(\d+)$")[0].astype(int)
    return steps.tolist(), part.value.tolist()


alike = trials[(trials.temperature == 0.5) & (trials.weight_decay == 1e-4)]
own_width = sizes[sizes.variant == "as the long run"]
widths = {
    "16, 32, 64": sizes[sizes.variant == "narrow"],
    "32, 64, 128": alike[alike["view"] == "small images"],
    "48, 96, 192": own_width,
    "64, 128, 256": sizes[sizes.variant == "wide"],
}
views = {name: part for name, part in alike.groupby("view", sort=False)}
figure, axes = plt.subplots(
    1, 2, figsize=(WIDTH, 3.8), sharey=True, layout="constrained"
)
for axis, compared, title in (
    (axes[0], widths, "channels of the groups"),
    (axes[1], views, "views"),
):
    for number, (name, part) in enumerate(compared.items()):
        axis.plot(*by_step(part), label=name, **line_style(number))
    set_titles(axis, "step", "", title)
    axis.legend(loc="lower right")
axes[0].set_ylim(0, None)  # both: they share it
axes[0].set_ylabel("validation mAP@1000")
finish(figure)

# %%
#| tags: hide-input
ends = {name: by_step(part)[1][-1] for name, part in widths.items()}
by_views = {name: by_step(part)[1][-1] for name, part in views.items()}
steps_of, values_of = by_step(own_width)
half = history.scores[len(history.scores) // 2]
moved = {
    "the width": np.ptp(list(ends.values())),
    "the views": np.ptp(list(by_views.values())),
    "the temperature": max(
        abs(hot["value"] - cold["value"]) for _, hot, cold in by_temperature
    ),
    "the time": history.scores[-1] - values_of[-1],
}
most = max(moved, key=moved.get)
notebook.result(
    f"*Size*, after {steps_of[-1]:,} steps: "
    + ", ".join(f"channels {name} {value:.3f}" for name, value in ends.items())
    + f". *Time.* The long run's network has {values_of[-1]:.3f} after {steps_of[-1]:,} steps, and {history.scores[-1]:.3f} after "
    f"{history.steps[-1]:,}, each at the end of its own schedule: {history.scores[-1] - values_of[-1]:+.3f} for "
    f"{history.steps[-1] // steps_of[-1]} times the steps. *Views*, after {steps_of[-1]:,} steps: "
    + ", ".join(f"{name} {value:.3f}" for name, value in by_views.items())
    + f". What moves the score most, of all that was tried? {most.capitalize()}: "
    + ", ".join(f"{name} {by:.3f}" for name, by in moved.items())
    + ", from the worst to the best. The width was tried in short trainings only; a long one may make more use of it. One seed each: do not take "
    "differences of a hundredth for more than luck."
)

# %% [markdown]
# ## How long must a code be?
#
# Codes of 16, 32 and 64 bits: 4, 8 and 16 codebooks of sixteen codewords, each of sixteen numbers. So a longer code has a longer
# descriptor, too. At each length all searches share the trained descriptors. The setting is that of the live run: mild views, τ = 0.2.
# `python -m retrieval_lib record spq-bits` runs the trainings again.

# %%
#| name: fig-spq-bits
#| caption: Recorded on CIFAR-10: mAP@1000 by the length of the code, mean and 95 % interval over three seeds, after 400 steps.
bits_table = recorded("spq-bits").query(RULE)
lengths = bits_table.assign(method=bits_table.metric.map(BESIDE))
lengths = lengths.dropna(subset="method")
by_length = over_seeds(lengths, ["method", "bits"])
three = [BESIDE[m] for m in ("mAP", "mAP of PQ fitted afterwards", "mAP without a code")]  # fmt: skip
by_bits(by_length[by_length.method.isin(three)], "mAP@1000")

# %%
#| tags: hide-input
own_codes = by_length[by_length.method == BESIDE["mAP"]].set_index("bits")["mean"]  # fmt: skip
notebook.result(
    f"From 16 to 64 bits SPQ's codes go from {own_codes[16]:.3f} to {own_codes[64]:.3f}, in the mean over the seeds. The seeds move "
    "all searches together; so compare within each seed."
)

# %%
#| name: fig-spq-bits-gap
#| caption: The same as differences to SPQ's own codes with squared distances, paired by seed, with 95 % intervals.
OWN = BESIDE["mAP"]


def against_own(part):
    """Each other search minus SPQ's own, of one length."""
    found = differences(part.assign(variant=part.method), "variant", OWN)
    return found.rename(columns={"variant": "search"})


gaps = {
    f"{bits} bits": against_own(part) for bits, part in lengths.groupby("bits")
}
interval_rows(gaps, "search", "mAP@1000, minus that of SPQ's codes")

# %%
#| tags: hide-input
plain_gap, fitted_gap = (
    {t: g[g.search == BESIDE[m]].iloc[0] for t, g in gaps.items()}
    for m in ("mAP by plain distances", "mAP of PQ fitted afterwards")
)
notebook.result(
    "*Plain minus squared*: "
    + "; ".join(f"{t} {spelled(r)}, {verdict(r)}" for t, r in plain_gap.items())
    + ". *PQ fitted afterwards minus the learned codebooks*: "
    + "; ".join(
        f"{t} {spelled(r)}, {verdict(r)}" for t, r in fitted_gap.items()
    )
    + ". Not measurable does not mean equal. What joint training gave to the descriptors, the variants below ask."
)

# %% [markdown]
# ## Against codes that were only fitted
#
# How good is a code without any training of a network? Here are PQ and OPQ on pixels, and on the features of a network that was
# pretrained. `python -m retrieval_lib record shallow-large` fits them again.

# %%
#| tags: hide-input
shallow = scores("shallow-large").query("bits == 32")
shallow = shallow[shallow.method.isin(["PQ", "OPQ"])]
wanted = {(m, v) for m in ("PQ", "OPQ") for v in ("pixels", "pretrained")}
assert set(zip(shallow.method, shallow.variant, strict=True)) == wanted
live_like = scores("spq-bits").query("bits == 32")
rows = [
    {
        "code of 32 bits": f"{method} on {'pixels' if variant == 'pixels' else 'features of EfficientNet-lite0'}",
        "learned from": "no label"
        if variant == "pixels"
        else "a million labels of ImageNet",
        "mAP@1000": str(mean_interval(part.value.to_numpy())),
    }
    for (method, variant), part in shallow.groupby(
        ["method", "variant"], sort=False
    )
]
rows.append(
    {
        "code of 32 bits": "SPQ, 400 steps",
        "learned from": "no label",
        "mAP@1000": str(mean_interval(live_like.value.to_numpy())),
    }
)
rows.append(
    {
        "code of 32 bits": "SPQ, the long run",
        "learned from": "no label",
        "mAP@1000": f"{reached:.3f} (one seed)",
    }
)
notebook.table(rows)

# %% [markdown]
# Do not read this table as a contest. Papers call a method *unsupervised* that fits codes to the features of a network which
# classified ImageNet. The codes saw no label; the features saw a million, and many of those thousand classes are dogs, cats, birds,
# ships or trucks, as in CIFAR-10. Ask of each such number: no label where?
#
# ## Variants of the loss
#
# The reference is the published form of the loss, with the views and the temperature of the live run: *mild*, τ = 0.2. `python -m retrieval_lib record spq-variants` runs them again.
#
# - **hard, straight-through**: the nearest codeword in the place of the soft choice, with the soft choice's gradient;
# - **own view allowed**, **own view only**: a descriptor is compared with what its own view was quantized to, as well, or instead;
# - **plain contrast, PQ afterwards**: SimCLR on the descriptors, then k-means. No codebook learns. Two things change at once, the
#   loss and where the codebooks come from; so SPQ's descriptors are compared with k-means in the place of its codebooks, too;
# - **with balance**, **with more balance**: a term of our own that asks for an even use of the codewords, weights 0.1 and 1.

# %%
#| name: fig-spq-variants
#| caption: Recorded on CIFAR-10: variants minus the published form of the loss, paired by seed, mean and 95 % interval over three seeds. Left, mAP@1000;
#|   right, the perplexity of the codebook used least evenly.
least = "metric == 'perplexity, least codebook' and search == 'test'"
variants, variants_use = (
    scores("spq-variants"),
    recorded("spq-variants").query(least),
)
panels = {
    "mAP@1000": differences(variants, "variant", "SPQ"),
    "least perplexity": differences(variants_use, "variant", "SPQ"),
}
figure, axes = plt.subplots(
    1, 2, figsize=(WIDTH, 4.4), sharey=True, layout="constrained"
)
for number, (axis, (title, table)) in enumerate(
    zip(axes, panels.items(), strict=True)
):
    places = range(len(table))[::-1]
    style = line_style(number)
    axis.axvline(0, color="0.4", linestyle="--", linewidth=1.6)
    axis.hlines(places, table["low"], table["high"], color=style["color"])
    axis.plot(table["mean"], places, **style | {"linestyle": ""})
    axis.set_yticks(places, table["variant"])
    set_titles(axis, "difference", "", title)
finish(figure)

# %%
#| tags: hide-input
base = mean_interval(variants[variants.variant == "SPQ"].value.to_numpy())
base_use = mean_interval(
    variants_use[variants_use.variant == "SPQ"].value.to_numpy()
)
refitted = lengths[
    (lengths.bits == 32) & (lengths.metric == "mAP of PQ fitted afterwards")
].assign(variant="SPQ, PQ afterwards")
PLAIN = "plain contrast, PQ afterwards"
joint = differences(
    pd.concat([refitted, variants[variants.variant == PLAIN]]),
    "variant",
    PLAIN,
)
notebook.result(
    f"The reference has {base} here, and {base_use} of 16 codewords in effect in its least codebook. mAP@1000 against it: "
    f"{told(panels['mAP@1000'], 'variant')}. (The perplexity of *plain contrast* is that of k-means.) Does joint learning pay for "
    f"the *descriptors*? With k-means for both, SPQ's minus those of plain contrast: {spelled(joint.iloc[0])}, "
    f"{verdict(joint.iloc[0])}. Recorded on CIFAR-10, {variants.source.iloc[0]}, 400 steps."
)

# %% [markdown]
# ## How hard should a choice be? Trained with $\tau_q$ from 0.2 to 20
#
# The chapter changed $\tau_q$ after the training. Here each value trains a network of its own, under the published temperature of
# the contrast, $\tau = 0.5$, with mild views. The printed division by 5 is a multiplication by 0.2: the first value. `python -m retrieval_lib record spq-temperature` runs them again.

# %%
#| name: fig-spq-sharpness
#| caption: Recorded on CIFAR-10, by τ_q: mAP@1000 of the test queries, and the perplexity of the codebook used least evenly in the
#|   database; mean and 95 % interval over three seeds.
sharp, sharp_use = (
    scores("spq-temperature"),
    recorded("spq-temperature").query(least),
)
figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.4), layout="constrained")
for number, (axis, table, title) in enumerate(
    (
        (axes[0], sharp, "mAP@1000"),
        (axes[1], sharp_use, "least perplexity, at most 16"),
    )
):
    curve = over_seeds(table, ["sharpness"]).sort_values("sharpness")
    style = line_style(number)
    axis.fill_between(
        curve.sharpness, curve.low, curve.high, alpha=0.2, color=style["color"]
    )
    axis.plot(curve.sharpness, curve["mean"], **style)
    axis.set_xscale("log")
    axis.set_xticks([0.2, 1, 5, 20], ["0.2", "1", "5", "20"])
    axis.minorticks_off()
    axis.set_ylim(0, None)
    set_titles(axis, r"$\tau_q$", "", title)
finish(figure)

# %%
#| tags: hide-input
best = over_seeds(sharp, ["sharpness"]).set_index("sharpness")["mean"]
used = over_seeds(sharp_use, ["sharpness"]).set_index("sharpness")["mean"]
gap = differences(
    sharp.assign(variant=sharp.sharpness.map("τ_q {:g}".format)),
    "variant",
    "τ_q 5",
)
whole = recorded("spq-temperature")
during = whole[whole.search.str.startswith("validation, step")]
uses = during[during.metric == "perplexity, least codebook"]
trained = uses[~uses.search.str.endswith("step 0")]
worst = trained.loc[trained.value.idxmin()]
COLLAPSED = 2  # codewords in effect, of 16
notebook.result(
    f"Against the published τ_q = 5, paired by seed: {told(gap, 'variant')}. The best mean is that of τ_q = {best.idxmax():g} with "
    f"{best.max():.3f}, where the least codebook has a perplexity of {used[best.idxmax()]:.1f}; the highest use is that of τ_q = "
    f"{used.idxmax():g} with {used.max():.1f}. Does a codebook collapse, to fewer than {COLLAPSED} codewords in effect? The lowest "
    f"perplexity of any codebook at any evaluation after the start was {worst['value']:.1f}, with τ_q = {worst['sharpness']:g}: "
    + (
        "none does. So τ_q alone does not make them collapse in so short a training."
        if worst["value"] >= COLLAPSED
        else "yes."
    )
)

# %% [markdown]
# ## Collapse, provoked: does use tell it before the score does?
#
# What makes codebooks collapse is steps that are too large. So let the learning rate rise over 120 steps, from near nothing to
# its highest value at the end, until something breaks. Three trainings: the usual highest rate, one four times as high, and one ten
# times as high; three seeds each. `python -m retrieval_lib record spq-collapse` runs them again.

# %%
#| name: fig-spq-collapse
#| caption: Recorded on CIFAR-10: trainings whose learning rate rises to its highest value at the last step. The validation score,
#|   and the perplexity, mean over the codebooks, by step; means over three seeds.
rising = recorded("spq-collapse")
MEAN_USE = "perplexity, mean over codebooks"


def courses(variant, metric):
    """Steps, and the values of each seed (seeds, steps)."""
    part = rising[rising.variant == variant]
    runs = [by_step(run, metric) for _, run in part.groupby("seed")]
    return np.array(runs[0][0]), np.array([run[1] for run in runs])


figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.8), layout="constrained")
for axis, metric, title in (
    (axes[0], "mAP", "validation mAP@1000"),
    (axes[1], MEAN_USE, "mean perplexity, at most 16"),
):
    for number, variant in enumerate(rising.variant.unique()):
        at, values = courses(variant, metric)
        axis.plot(at, values.mean(0), label=f"rate {variant}", **line_style(number))  # fmt: skip
    axis.set_ylim(0, None)
    set_titles(axis, "step", "", title)
handles, names = axes[0].get_legend_handles_labels()
figure.legend(handles, names, loc="outside lower center", ncols=3)
finish(figure)


# %%
#| tags: hide-input
def left_its_best(at, values):
    """The step from which a series stays a fifth below its best; None if it does not."""
    near = np.flatnonzero(values >= 0.8 * values.max())
    return None if near[-1] == len(at) - 1 else int(at[near[-1] + 1])


told_of = []
tally = {"use first": 0, "together": 0, "the score first": 0, "use alone": 0}
for variant in rising.variant.unique():
    for by_score, by_use in zip(
        *(courses(variant, m)[1] for m in ("mAP", MEAN_USE)), strict=True
    ):
        at = courses(variant, "mAP")[0]
        use_left, score_left = (
            left_its_best(at, series) for series in (by_use, by_score)
        )
        told_of.append((variant, use_left, score_left))
        if use_left is None:
            continue
        if score_left is None:
            tally["use alone"] += 1
        elif use_left == score_left:
            tally["together"] += 1
        else:
            tally["use first" if use_left < score_left else "the score first"] += 1  # fmt: skip
notebook.table(
    [
        {
            "highest rate": variant.removeprefix("up to "),
            "use stays a fifth below its best from step": "never" if use_left is None else use_left,
            "the score does from step": "never" if score_left is None else score_left,
        }
        for variant, use_left, score_left in told_of
    ]
)  # fmt: skip

# %%
#| tags: hide-input
broken = sum(tally.values())
notebook.result(
    f"Of {len(told_of)} trainings {broken} lose a fifth of their mean perplexity, or more, and do not win it back. Of these, use left "
    f"first in {tally['use first']}, in {tally['use alone']} the score had not followed when the training ended, both left together in "
    f"{tally['together']}, and the score first in {tally['the score first']}. "
    + (
        "So use gave warning: watch it beside the score, and stop when it falls. "
        if tally["use first"] + tally["use alone"] > broken / 2
        else "So use gave no warning here that the score did not give, too. "
    )
    + "A fifth is a margin that we set; both series are taken every five steps, on the validation part."
)

# %% [markdown]
# ## The views, one change at a time
#
# The views are the only teacher. Take them apart: each row leaves one change out of the published views. The contrast's
# temperature is 0.2, as in the live run.
# `python -m retrieval_lib record spq-views` runs them again.

# %%
#| name: fig-spq-views
#| caption: Recorded on CIFAR-10: other views minus the published ones, mAP@1000 paired by seed, mean and 95 % interval over three seeds.
of_views = scores("spq-views").assign(variant=lambda t: t["view"])
by_view = differences(of_views, "variant", "published")
interval_rows({"": by_view}, "variant", "mAP@1000, minus the published views'")

# %%
#| tags: hide-input
base = mean_interval(of_views[of_views.variant == "published"].value.to_numpy())
courses_of = {name: by_step(views[name]) for name in ("published", "mild")}
at, hard_views = courses_of["published"]
later = [
    (at[i], hard_views[i] - courses_of["mild"][1][i]) for i in (1, len(at) - 1)
]
notebook.result(
    f"The published views have {base} after 400 steps. Against them: {told(by_view, 'variant')}"
    + ". *None* changes nothing: both views are the image itself. So short a training has little time to learn from hard views. Do "
    "longer ones rank them otherwise? In the trials of the long run, with τ = 0.5, published minus mild views: "
    + ", ".join(f"{gap:+.3f} after {step:,} steps" for step, gap in later)
    + ", one seed."
)

# %% [markdown]
# ## What decides how many codewords are used?
#
# The published loss does not ask for an even use. Two things can change it: the temperature of the contrast, as the trials at the
# top of this page show, and a term of our own that asks for an even use. The term is tried twice: in short trainings, above, and
# here. Take the weights of the long run and go on for a thousand steps, with a learning rate that rises and falls anew: once with
# the loss as before, and twice with the term.
# `python -m retrieval_lib record spq-long-after` runs them again.

# %%
#| tags: hide-input
after = recorded("spq-long-after")
after_rows = [
    (
        "the long run itself",
        reached,
        effective["perplexity, mean over codebooks"],
        effective["perplexity, least codebook"],
    )
]
for variant, part in after.groupby("variant", sort=False):
    value = part.query(f"metric == 'mAP' and {RULE}").value.iloc[0]
    mean_use, least_use = (
        part.query(f"metric == '{m}' and search == 'test'").value.iloc[0]
        for m in (
            "perplexity, mean over codebooks",
            "perplexity, least codebook",
        )
    )
    after_rows.append((variant, value, mean_use, least_use))
notebook.table(
    [
        {
            "from the long run's weights": variant,
            "mAP@1000": f"{value:.3f}",
            "perplexity, mean": f"{mean_use:.1f}",
            "perplexity, least": f"{least_use:.1f}",
        }
        for variant, value, mean_use, least_use in after_rows
    ]
)

# %%
#| tags: hide-input
EVEN = 12  # of 16, the aim for the best variant
by_name = {row[0]: row for row in after_rows}
plain = by_name["as before"]
evenest = max(after_rows[1:], key=lambda row: row[3])
cool = usual[usual.temperature == 0.2].variant.tolist()
cooler = ", ".join(f"{last_use[name]:.1f}" for name in cool)
notebook.result(
    f"The aim was {EVEN} of 16 in the least codebook of the best variant, by the codes of the database. *{evenest[0]}* has {evenest[3]:.1f}: {'reached' if evenest[3] >= EVEN else 'missed'}. "
    + (
        f"Its score is {evenest[1] - plain[1]:+.3f} against the loss as before; one seed each cannot tell a small difference from luck. "
        if evenest is not plain
        else ""
    )
    + f"No new term is needed for it: with the published form of the loss and τ = 0.2 the trials ended with {cooler}, by validation "
    "images. But their scores were lower than with τ = 0.5. An even use is not what a search needs most."
)

# %% [markdown]
# ## A few labels, after none
#
# Suppose that labels come later. Take the network of the long run, and train [GPQ](gpq_semi_supervised.ipynb) on it, with 500 or
# 5,000 labels; and, beside it, the same network from scratch. *Labels alone* is GPQ without its entropy term: no unlabelled images,
# and twice the steps. The learning rates of both starts were chosen by as many trials each, with 5,000 labels, among held-out
# images; 500 labels take the same. `python -m retrieval_lib record from-spq-trials` and `… record from-spq` run them again.
# The protocol is GPQ's: 1,000 queries search 54,000 images, over the whole ranking. Some of the 54,000 are queries of SPQ's
# protocol, and others were trained on there, without labels. SPQ's settings were chosen with the labels of its validation part,
# which are more than 500. And all three seeds start from one SPQ network: the intervals do not tell how much its seed counts.

# %%
#| name: fig-spq-start
#| caption: Recorded on CIFAR-10: mAP over the whole ranking by the number of labels, mean and 95 % interval over three seeds.
from retrieval_lib.plots import by_number

whole_ranking = "metric == 'mAP' and search == 'test' and ties == 'expected'"
started = recorded("from-spq").query(whole_ranking)
by_start = over_seeds(
    started.assign(method=started.variant), ["method", "labels"]
)
by_number(by_start, "labels", "labelled images", "mAP")


# %%
#| tags: hide-input
def start_gain(part, kind):
    """The start from SPQ minus the start from scratch, of one kind."""
    pair = part[part.variant.isin([f"from SPQ{kind}", f"from scratch{kind}"])]
    return differences(pair, "variant", f"from scratch{kind}")


notebook.result(
    "Paired by seed, SPQ's network minus from scratch. "
    + " ".join(
        f"With {labels:,} labels: {told(start_gain(part, ''), 'variant')}; {told(start_gain(part, ', labels alone'), 'variant')}."
        for labels, part in started.groupby("labels")
    )
    + f" Recorded on CIFAR-10, {started.source.iloc[0]}: 500 steps, and 1,000 for labels alone, which see as many images."
)

# %% [markdown]
# And with more time? Twelve times as many steps, 5,000 labels, the view and the weight decay of GPQ's long run; one seed.
# `python -m retrieval_lib record from-spq-longer` runs it again.

# %%
#| tags: hide-input
START_AIM = 0.75
longer = recorded("from-spq-longer").query(whole_ranking).set_index("variant")
value = longer.value
notebook.result(
    f"From SPQ's network: **{value['from SPQ']:.3f}**; from scratch: {value['from scratch']:.3f}. The aim for the start from "
    f"self-supervised weights was {START_AIM}; it is "
    + (
        "reached. "
        if value["from SPQ"] >= START_AIM
        else f"missed by {START_AIM - value['from SPQ']:.3f}. "
    )
    + f"The training took {longer.seconds['from SPQ'] / 60:.0f} minutes; SPQ's {hours:.1f} hours before it are not counted."
)

# %% [markdown]
# ## Limits and common mistakes
#
# - **One seed** of the long run, of what goes on from it, and of the longer start.
# - **Short trainings rank settings for short trainings.** Most comparisons here have 400 steps, and most take τ = 0.2, which is the
#   better one only there.
# - **Common mistake: usage as a score.** A codebook that is used evenly may still cut across classes.
# - **Common mistake: "unsupervised" with supervised features.** See the table above.
#
# ## Summary
#
# - Ask by experiment what limits a method: size, time, or the views.
# - Fit codebooks afterwards as a control, to learn what joint training is worth.
# - Usage and score are two things. Watch both: a collapse may show in the use first.
# - A start without labels needs a start from scratch beside it.
#
# ## Exercises
#
# Try each before you open its solution.

# %% [markdown]
# **1. Bits in effect.** Codebook $m$ has the perplexity $p_m$. How many bits does a code of eight codebooks spend in effect, at most?

# %%
#| tags: hide-cell
import math

spent = [math.log2(value) for value in last["perplexity"]]
notebook.result(
    f"The sum of the codebooks' entropies, $\\sum_m \\log_2 p_m$: for the long run {sum(spent):.1f} bits of the 32 that are stored. It is an upper bound: where codebooks depend "
    "on each other, the code as a whole has less."
)

# %% [markdown]
# **2. Extrapolate.** By how much did the second half of the long run raise the score? If each further doubling of the steps brought
# as much, how many doublings would be missing to the published figure?

# %%
#| tags: hide-cell
grown = history.scores[-1] - half
lack = PUBLISHED - reached
notebook.result(
    f"The second half brought {grown:+.3f} on the validation part, and {lack:.3f} lack on the test queries"
    + (
        f": {lack / grown:.0f} doublings, if nothing saturates and the two scores grow alike. But part of the growth is the learning "
        "rate's fall, which comes once. Such a line is a guess; only an experiment can tell."
        if grown > 0
        else ": more steps alone would not bring them."
    )
)

# %% [markdown]
# **3. A fair interval.** Pair *with balance* and *SPQ* by seed, and then do not. Which interval is wider?

# %%
#| tags: hide-cell
# NBVAL_CHECK_OUTPUT
one = variants[variants.variant == "SPQ"].sort_values("seed").value.to_numpy()
two = variants[variants.variant == "with balance"]
two = two.sort_values("seed").value.to_numpy()
paired = mean_interval(two - one)
width = paired.high - paired.low
apart = (one.var(ddof=1) + two.var(ddof=1)) ** 0.5 / 3**0.5
print("seeds:", len(one), len(two))
print(f"paired, half the width: {width / 2:.3f}")
print(
    f"unpaired, by Student's t with 4 degrees of freedom: {2.776 * apart:.3f}"
)

# %% [markdown]
# ## References
#
# - [6] Y. K. Jang, N. I. Cho. Self-supervised product quantization for deep unsupervised image retrieval. ICCV 2021. The
#   published score is from threads of the authors' repository.
# - [14] H. Jégou, M. Douze, C. Schmid. Product quantization for nearest neighbor search. IEEE TPAMI 33(1), 2011.
# - [15] T. Ge, K. He, Q. Ke, J. Sun. Optimized product quantization for approximate nearest neighbor search. CVPR 2013.
# - [17] A. Krizhevsky. Learning multiple layers of features from tiny images. Technical report, 2009.
# - [29] T. Chen, S. Kornblith, M. Norouzi, G. Hinton. A simple framework for contrastive learning of visual
#   representations. ICML 2020.
