# %% [markdown]
# # Hashing basics: from pixels to codes
#
# You have one photograph and fifty thousand others.
# Which of the others show the same kind of thing?
# And can you find them before the person who asked loses patience?
#
# **What you will learn**
#
# - what content-based image retrieval is, and how an image becomes one vector, its *descriptor*;
# - why comparing the query with every descriptor is exact, simple, and too slow for a billion images;
# - how a ranking is judged: precision, recall, mAP@k with its three divisors, and what ties do to all of them;
# - how a descriptor becomes a short binary code, how codes are compared, and what this costs.
#
# **What you should know**: Python, the basics of PyTorch (tensors, broadcasting), and what a dot product is.
#
# **How long it takes**: about a minute on two CPU cores. A GPU is not needed.
#
# Terms are explained in the [glossary](glossary.md), with their Korean counterparts;
# symbols stand in the [notation](notation.md).

# %%
#| tags: set-up
import matplotlib.pyplot as plt
import torch

from retrieval_lib import notebook
from retrieval_lib.data import choose, make_split, protocol_for

profile = notebook.set_up(seed=0)
choice = choose("general")
images = choice.images
split = make_split(images, protocol_for(images, "supervised", profile))
notebook.banner(choice, split)

# %% [markdown]
# ## The question: search by content
#
# Most image search works on words: a file name, a caption, a tag.
# Somebody has to write them, and they say little about what an image looks like.
# *Content-based image retrieval* uses the image itself [1].
# You hand in an image, the *query*.
# The system ranks the images of its *database*, the best match first.
#
# What is a good match?
# This book uses the rule of its field: an image is *relevant* if it has the query's label.
# Labels are only used to judge here, never to search.
#
# The simplest search compares pixels.
# Write all pixel values of an image one after the other: this is a vector, and two vectors have a distance.
# Below, a short function ranks a database for a batch of queries.


# %%
def nearest(query, database, k):
    """Squared distances (Q, k) and positions (Q, k) of the k nearest rows."""
    products = query @ database.T  # (Q, N)
    distances = (
        (query**2).sum(1, keepdim=True) - 2 * products + (database**2).sum(1)
    )  # (Q, N)
    return distances.topk(k, largest=False)


def pixels(indices):
    """Images as rows of pixel values between 0 and 1."""
    return images.images[indices].flatten(1).float() / 255  # (B, C*H*W)


search = split.searches["test"]
query_pixels, database_pixels = pixels(search.query), pixels(search.database)
query_labels, database_labels = (
    images.labels[search.query],
    images.labels[search.database],
)
print(
    f"queries {tuple(query_pixels.shape)}, database {tuple(database_pixels.shape)}"
)

# %% [markdown]
# **Shape check.** Each row is one image. The columns are its pixel values, so both tables have the same width.
#
# **The library's twin.** This book writes each method twice: from scratch on the page, to be read, and in the tested library
# `retrieval_lib`, to be used. A cell like the next one checks that the two agree, on inputs for which a known mistake gives another
# result. (Its first line tells our tests to compare what it prints; you can ignore it.)
#
# Here the twin is `Euclidean`, which computes the distances block by block. The known mistake is to leave out the lengths of the
# database vectors: what is left ranks by the inner product, and long vectors come first. The check uses whole numbers, for which both
# are exact.

# %%
# NBVAL_CHECK_OUTPUT
from retrieval_lib.evaluation import Euclidean

generator = torch.Generator().manual_seed(0)
few, many = (
    torch.randint(-3, 4, (60, 5), generator=generator).float().split([10, 50])
)
distances, places = nearest(few, many, 50)
twin = Euclidean(few, many).block(0, 10)
print("sorted distances agree:", torch.equal(distances, twin.sort(1).values))
print(
    "and belong to their images:",
    torch.equal(distances, twin.gather(1, places)),
)
slip = (-2 * few @ many.T).argmin(1, keepdim=True)
print(
    "without lengths the nearest differ:",
    not torch.equal(twin.gather(1, slip), distances[:, :1]),
)

# %% [markdown]
# Before you look at the next picture, predict: for a query of each kind, what will a comparison of pixels find?

# %%
#| name: fig-pixel-search
#| caption: Exact search on pixels. Each row starts with a query; its nearest database images follow.
#| alt: Rows of small images. The first image of each row is the query, the others are its nearest neighbours by
#|   pixel distance. Ticks mark images with the label of the query, crosses the others.
from retrieval_lib.plots import retrieval_grid

shown = torch.stack(
    [(query_labels == c).nonzero()[0, 0] for c in query_labels.unique()[:5]]
)  # one query a class
_, found = nearest(query_pixels[shown], database_pixels, 9)
retrieval_grid(
    images.images[search.query[shown]],
    images.images[search.database[found]],
    query_labels[shown].unsqueeze(1) == database_labels[found],
    query_names=[images.class_names[c] for c in query_labels[shown]],
)

# %% [markdown]
# Pixel search finds images with the same colours at the same places: a dark shape on a bright ground, the same green below.
# Sometimes this is the same kind of thing, and sometimes it is not.
# Shift an image by a few pixels, and you would hardly notice. Is it still its own nearest image?

# %%
#| tags: hide-input
some = slice(0, 200)
moved = (
    images.images[search.query[some]].roll((2, 2), (2, 3)).flatten(1).float()
    / 255
)
from_itself = (moved - query_pixels[some]).square().sum(1)
from_others = nearest(query_pixels[some], database_pixels, 1)[0][:, 0]
farther = float((from_itself > from_others).float().mean())
notebook.result(
    f"Moved by two pixels down and to the right, {farther:.0%} of {len(moved)} queries are farther from themselves than from "
    "the nearest other image of the database."
)

# %% [markdown]
# ## From pixels to one descriptor
#
# We want a vector that changes little when the picture changes without meaning, and much when the meaning changes.
# Such a vector is called a *descriptor*. A convolutional network gives one in two steps.
#
# 1. The network turns the image into a *feature map* `F` with `C` channels on a small grid of `h × w` positions.
#    Each channel answers to some pattern, each position to some part of the image.
# 2. *Pooling* turns the feature map into one vector of length `C`. It decides what is kept of the positions.
#
# Four ways of pooling are in wide use. With $F_{cp}$ the value of channel $c$ at position $p$, and $P = h w$:
#
# | pooling | descriptor | idea |
# |---|---|---|
# | average | $x_c = \frac{1}{P} \sum_p F_{cp}$ | everything counts the same |
# | maximum (MAC) [9] | $x_c = \max_p F_{cp}$ | only the strongest answer counts |
# | generalized mean (GeM) [10] | $x_c = \left( \frac{1}{P} \sum_p F_{cp}^{\,\gamma} \right)^{1/\gamma}$ | between the two; $\gamma$ can be learned |
# | regional (after R-MAC [9]) | $x = N\left( \sum_r N(\max_{p \in r} F_{\cdot p}) \right)$ | pool each region, then add the regions |
#
# Here $N(v) = v / \lVert v \rVert$. (R-MAC also whitens the regions by PCA; that is left out here.) Aggregating over regions keeps an object that fills only part of the image from
# being drowned by the rest; [2] builds a descriptor from regional deep features in this spirit.


# %%
def average_pool(features):  # features: (B, C, h, w)
    return features.mean((2, 3))  # (B, C)


def max_pool(features):
    return features.amax((2, 3))  # (B, C)


def gem_pool(features, gamma=3.0, smallest=1e-6):
    return (
        features.clamp(min=smallest).pow(gamma).mean((2, 3)).pow(1 / gamma)
    )  # (B, C)


def regional_pool(features, sizes=(2,)):
    """The maximum over each square of these sizes, brought to length one, then the sum of all."""
    total = 0
    for size in sizes:
        regions = features.unfold(2, size, 1).unfold(
            3, size, 1
        )  # (B, C, rows, columns, size, size)
        regions = regions.amax((4, 5)).flatten(2)  # (B, C, R)
        total = total + torch.nn.functional.normalize(regions, dim=1).sum(2)
    return torch.nn.functional.normalize(total, dim=1)  # (B, C)


# %% [markdown]
# **Shape check**, with two limits that GeM must have: it is the average at $\gamma = 1$, and close to the maximum for
# a large $\gamma$.

# %%
# NBVAL_CHECK_OUTPUT
features = torch.rand(
    2, 5, 3, 3, generator=torch.Generator().manual_seed(0)
).double()
for pool in (average_pool, max_pool, gem_pool, regional_pool):
    print(
        f"{pool.__name__:14} {tuple(features.shape)} -> {tuple(pool(features).shape)}"
    )
print(
    "gamma = 1 is the average:",
    torch.allclose(gem_pool(features, 1.0), average_pool(features)),
)
print(
    "gamma = 400 is near the maximum:",
    torch.allclose(gem_pool(features, 400.0), max_pool(features), rtol=0.01),
)

# %% [markdown]
# **The library's twin.** `retrieval_lib.backbones` pools the same way; its regions come in three sizes, as in [9].
# The inputs are chosen so that known mistakes show. The feature map below has negative values, for which a root
# has no answer (GeM without its lower bound fails), and its regions have different lengths (adding them without
# bringing each to length one fails).

# %%
# NBVAL_CHECK_OUTPUT
from retrieval_lib import backbones

signed = features - 0.3
for ours, twin, settings in (
    (average_pool, backbones.average_pool, {}),
    (max_pool, backbones.max_pool, {}),
    (gem_pool, backbones.gem_pool, {}),
    (regional_pool, backbones.regional_pool, {"sizes": (3, 2, 1)}),
):
    same = torch.allclose(ours(signed, **settings), twin(signed))
    print(f"{ours.__name__:14} agrees with its twin: {same}")
unbounded = signed.pow(2.5).mean((2, 3)).pow(1 / 2.5)
print("GeM without its bound has no value:", unbounded.isnan().any().item())
not_one = sum(
    signed.unfold(2, s, 1).unfold(3, s, 1).amax((4, 5)).sum((2, 3))
    for s in (3, 2, 1)
)
not_one = torch.nn.functional.normalize(not_one, dim=1)
print(
    "regions that keep their length differ:",
    not torch.allclose(not_one, backbones.regional_pool(signed)),
)

# %% [markdown]
# **Which pooling retrieves best?** We take a small network that was trained to name the objects of ImageNet
# (EfficientNet-lite0 [11]), remove its last layer, and pool its last feature map.
# Keep in mind that its weights have seen labels, though not the labels of our images. Airplanes, cars, birds, cats, dogs,
# frogs, ships and trucks are among the objects of ImageNet. So what follows is not free of labels, as a search by pixels is.
# The mean of the database is subtracted, then every descriptor is brought to length one, so that only its direction
# counts.
#
# The score is mAP over the whole ranking, between 0 and 1; the next section but one says exactly what it is.
# The two numbers behind it are its 95 % interval: they say how far the mean could move if other queries were drawn. The last column
# compares each pooling with the average, query by query. We call a difference *beyond chance* if its interval does not hold zero.

# %%
from retrieval_lib.backbones import load_backbone
from retrieval_lib.evaluation import (
    Euclidean,
    Relevance,
    evaluate,
    mean_interval,
    paired_difference,
)
from retrieval_lib.progress import progress

counts = {"quick": (50, 200), "book": (300, 1500), "full": (1000, 20000)}[
    profile
]
few_query, few_database = (
    search.query[: counts[0]],
    search.database[: counts[1]],
)
few_relevance = Relevance(images.labels[few_query], images.labels[few_database])

backbone = load_backbone(
    "efficientnet-lite0", channels=images.images.shape[1], size=96
).eval()
pools = {
    "average": average_pool,
    "maximum": max_pool,
    "GeM": gem_pool,
    "regional": regional_pool,
}


@torch.inference_mode()
def pooled(indices):
    """Descriptors (n, C) of the images, by each way of pooling."""
    parts = {name: [] for name in pools}
    for batch in progress(indices.split(32), "Feature maps"):
        features = backbone.feature_map(
            images.images[batch].float() / 255
        )  # (b, C, h, w)
        for name, pool in pools.items():
            parts[name].append(pool(features))
    return {name: torch.cat(part) for name, part in parts.items()}


def centred_unit(x, mean):
    return torch.nn.functional.normalize(x - mean, dim=1)


pooled_query, pooled_database = pooled(few_query), pooled(few_database)
tables = {name: (pooled_query[name], pooled_database[name]) for name in pools}
tables["pixels"] = pixels(few_query), pixels(few_database)
precisions = {}
for name, (q, d) in tables.items():
    distances = Euclidean(
        centred_unit(q, d.mean(0)), centred_unit(d, d.mean(0))
    )
    precisions[name] = evaluate(
        distances, few_relevance, k=None
    ).average_precision
rows = []
for name, values in precisions.items():
    interval, gain = (
        mean_interval(values),
        paired_difference(values, precisions["average"]),
    )
    rows.append(
        {
            "descriptor": name,
            "numbers": tables[name][0].shape[1],
            "mAP": f"{interval.mean:.3f} ({interval.low:.3f} to {interval.high:.3f})",
            "minus average": "–"
            if name == "average"
            else f"{gain.mean:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})",
        }
    )
notebook.table(rows)

# %%
#| tags: hide-input
pixel_gain = paired_difference(precisions["average"], precisions["pixels"])
others = {
    name: paired_difference(precisions[name], precisions["average"])
    for name in pools
    if name != "average"
}
better = [name for name, gain in others.items() if gain.low > 0]
worse = [name for name, gain in others.items() if gain.high < 0]
if not pixel_gain.excludes_zero:
    verdict = "cannot be told from pixels beyond chance"
else:
    verdict = "beats pixels" if pixel_gain.mean > 0 else "loses to pixels"
notebook.result(
    f"The network's descriptor, pooled by the average, {verdict}: the difference in mAP is {pixel_gain} "
    f"(95 % interval, {len(few_query)} queries, {len(few_database):,} database images). "
    f"Against the average, better beyond chance: {', '.join(better) or 'none'}; worse: {', '.join(worse) or 'none'}. "
    "These are small images, enlarged to 96 pixels, so that the feature map has few positions and *regional* means four "
    "windows that overlap. Each window's vector is brought to length one before they are added, which the others are not; "
    "whether it is this that helps, or the windows, is not measured here."
)

# %% [markdown]
# All four poolings are fixed rules on top of a network that was trained for another task, to name objects.
# A *learned* global descriptor is trained for retrieval itself. In [3] the whole chain, with its regional pooling, learns
# from triplets: a query, an image of the same thing, and an image of something else. The loss is zero once the first two
# lie closer together than the query and the third, by a margin.
# The later chapters also train the whole chain, and they learn the code at the same time.

# %% [markdown]
# ## Exact search, and why it does not scale
#
# Comparing a query with every database descriptor gives the truly nearest descriptors. What does it cost?
#
# - **Memory**: a descriptor of $D$ numbers in single precision takes $4D$ bytes, and all of them must be at hand.
# - **Time**: a query costs $D$ multiplications for each database image. Twice the images, twice the time.
#
# We measure on this machine, one query at a time, with databases of growing size.
# Then we continue the straight line to a billion images.

# %%
import time

dimension = 512
sizes = {
    "quick": [2_000, 4_000, 8_000],
    "book": [25_000, 50_000, 100_000, 200_000],
    "full": [50_000, 100_000, 200_000, 400_000],
}[profile]
generator = torch.Generator().manual_seed(0)
stand_in = torch.randn(
    sizes[-1], dimension, generator=generator
)  # only the size matters for the time
one_query = torch.randn(dimension, generator=generator)


def seconds_of(run, repeats=7):
    """The shortest of several runs: the least disturbed one."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


measured = {
    n: seconds_of(lambda n=n: (stand_in[:n] @ one_query).topk(100))
    for n in sizes
}
per_image = sum(measured.values()) / sum(measured)

points_to = 1_000_000_000
print(
    f"{points_to:,} images: {per_image * points_to:.0f} s a query, {4 * dimension * points_to / 1e12:.1f} TB of memory"
)

# %%
#| name: fig-scale
#| tags: hide-input
#| caption: Time of one exact query against the size of the database, measured and continued to a billion images.
#| alt: A line plot on logarithmic axes. Measured points for thousands of images lie on a straight line that is
#|   continued, dashed, to a billion images. Horizontal lines mark a tenth of a second, a second and a minute.
figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
reach = torch.logspace(3, 9, 50)
ax.plot(
    reach,
    per_image * reach,
    linestyle="--",
    color="black",
    label="continued in proportion",
)
ax.plot(
    list(measured),
    list(measured.values()),
    "o",
    markersize=7,
    label="measured here",
)
for seconds, name in (
    (0.1, "a tenth of a second"),
    (1, "a second"),
    (60, "a minute"),
):
    ax.axhline(seconds, color="grey", linewidth=0.8)
    ax.text(1.2e3, seconds * 1.15, name)
ax.set(
    xscale="log",
    yscale="log",
    xlabel="images in the database",
    ylabel="seconds for one query",
)
ax.legend(loc="lower right")
plt.close(figure)
figure

# %%
#| tags: hide-input
notebook.result(
    f"On this machine one query of {dimension} numbers costs about {per_image * 1e9:.0f} nanoseconds for each database "
    f"image. For a billion images that is **{per_image * 1e9:.0f} seconds a query**, and the descriptors fill "
    f"**{4 * dimension / 1e3:.1f} terabytes** of memory. The first number is an extrapolation: it assumes that a machine "
    "with so much memory reads it as fast as this one reads a few hundred megabytes."
)

# %% [markdown]
# A user waits a fraction of a second at most, and a service has thousands of users at a time.
# So exact search is for small databases. For large ones we look for *approximate nearest neighbours*: answers that are
# nearly as good, from far fewer bytes and far fewer operations. That is what codes are for.

# %% [markdown]
# ## How a ranking is judged
#
# A ranking is good if the relevant images come early. Three measures say so in different ways.
# Let $\mathrm{rel}_i$ be 1 if the image at rank $i$ is relevant and 0 if not, and $R$ the number of relevant images in
# the whole database.
#
# - **precision@k**, $P_k = \frac{1}{k}\sum_{i \le k} \mathrm{rel}_i$: of the first $k$ images, how many are relevant?
# - **recall@k**, $\frac{1}{R}\sum_{i \le k} \mathrm{rel}_i$: of the relevant images, how many are among the first $k$?
# - **average precision**, $\mathrm{AP}@k = \frac{1}{Z}\sum_{i \le k} \mathrm{rel}_i \, P_i$: the precision at each rank
#   where something relevant stands, added up and divided by $Z$.
#
# The mean of AP@k over the queries is *mAP@k*, the number in most tables of the field.
# Papers rarely say what $Z$ is. Three readings are in use:
#
# | divisor | value of $Z$ | what it rewards |
# |---|---|---|
# | retrieved | relevant images among the first $k$ | order only: one hit at rank 1 and none after it scores a full mark |
# | min(k, R) | the most that could have been found | order and completeness |
# | all relevant | $R$ | cannot reach 1 when $k < R$, however good the ranking |
#
# The published code of DHD, GPQ and SPQ uses the first. We do the same, and name it wherever it is used.


# %%
def average_precision(relevant, k, divisor):
    """AP@k of one ranking; relevant is a bool vector (N,) in ranked order."""
    top = relevant[:k].double()
    precision = top.cumsum(0) / torch.arange(1, len(top) + 1)
    z = {
        "retrieved": top.sum(),
        "min(k, R)": min(k, int(relevant.sum())),
        "all relevant": relevant.sum(),
    }[divisor]
    return float((precision * top).sum() / z) if z > 0 else 0.0


# %% [markdown]
# Predict before you run: two rankings of ten images, three of them relevant, are cut at $k = 5$.
# The first finds one relevant image, at rank 1. The second finds all three, at ranks 2, 3 and 4.
# Which divisor prefers which?

# %%
# NBVAL_CHECK_OUTPUT
one_early = torch.tensor([1, 0, 0, 0, 0, 0, 1, 0, 0, 1]).bool()
three_later = torch.tensor([0, 1, 1, 1, 0, 0, 0, 0, 0, 0]).bool()
for divisor in ("retrieved", "min(k, R)", "all relevant"):
    scores = [
        average_precision(ranking, 5, divisor)
        for ranking in (one_early, three_later)
    ]
    print(
        f"{divisor:13} one early {scores[0]:.3f}   three later {scores[1]:.3f}"
    )

# %% [markdown]
# The first divisor gives full marks to the ranking that finds a third of what is there. The other two agree here,
# because $R$ is smaller than $k$. Where $R$ is larger, they part: a perfect ranking scores 1 by the second, and only
# $k / R$ by the third.
# So a table whose divisor is not named cannot be compared with another one.
#
# **The library's twin** is `evaluate`, for all queries at once. The check runs it on the same two rankings: database images
# at growing distances from the query. A known slip is to divide by $k$.

# %%
# NBVAL_CHECK_OUTPUT
ladder = Euclidean(torch.zeros(1, 1), torch.arange(1.0, 11.0).unsqueeze(1))
for divisor in ("retrieved", "min(k, R)", "all relevant"):
    agree = True
    for ranking in (one_early, three_later):
        relevance = Relevance(torch.ones(1).long(), ranking.long())
        twin = evaluate(ladder, relevance, k=5, divisor=divisor)
        ours = average_precision(ranking, 5, divisor)
        agree = agree and abs(twin.mean_average_precision - ours) < 1e-9
    print(f"{divisor:13} agrees with its twin: {agree}")
top = one_early[:5].double()
by_k = float((top.cumsum(0) / torch.arange(1, 6) * top).sum() / 5)
print(
    "divided by k differs:",
    by_k != average_precision(one_early, 5, "retrieved"),
)

# %% [markdown]
# ### Ties: shuffle the database, and watch the score move
#
# Codes of 16 bits have only 17 possible distances, so many database images stand at the same one: they are *tied*.
# A sort must put tied images into some order. A stable sort takes the order in which they happen to be stored; an unstable
# one, the default of many libraries, an order that nobody chose.
# So the score depends on something that has nothing to do with the search.
#
# The cell below gives the images 16 random bits (the next section says how), and judges one and the same search with
# the database stored in different orders: shuffled thirty times, and sorted by label, as data sets often arrive.


# %%
from retrieval_lib.evaluation import Hamming

random_planes = torch.randn(
    database_pixels.shape[1], 16, generator=torch.Generator().manual_seed(0)
)
centre = database_pixels.mean(0)
few = slice(
    0, {"quick": 50, "book": 200, "full": 1000}[profile]
)  # queries judged here
short_query = (query_pixels[few] - centre) @ random_planes >= 0  # (Q, 16)
short_database = (database_pixels - centre) @ random_planes >= 0  # (N, 16)
short_distances = Hamming(short_query, short_database).block(
    0, len(short_query)
)  # (Q, N)
relevant = query_labels[few].unsqueeze(1) == database_labels  # (Q, N)


def score_in_order(order, k=100):
    """mAP@k with the database stored in this order and a stable sort."""
    ranking = order[
        short_distances[:, order].argsort(dim=1, stable=True)
    ]  # (Q, N)
    ranked = relevant.gather(1, ranking)
    return sum(average_precision(row, k, "retrieved") for row in ranked) / len(
        ranked
    )


generator = torch.Generator().manual_seed(0)
shuffled = [
    score_in_order(torch.randperm(len(database_labels), generator=generator))
    for _ in range(30)
]
by_label = score_in_order(database_labels.argsort(stable=True))
by_label_backwards = score_in_order(
    database_labels.argsort(stable=True, descending=True)
)
at_the_cut = short_distances.kthvalue(100, dim=1, keepdim=True)[0]  # (Q, 1)
tied = (short_distances == at_the_cut).sum(1).float().mean()

# %%
#| name: fig-ties
#| tags: hide-input
#| caption: One and the same search, scored with the database stored in different orders.
#| alt: A strip of points, one for each shuffling of the database, spread over a range of scores; far from them two
#|   triangles for a database sorted by label; a vertical line marks the tie-aware expected score amid the points.
short = Hamming(short_query, short_database)
expected = evaluate(
    short, Relevance(query_labels[few], database_labels), k=100
).mean_average_precision
figure, ax = plt.subplots(figsize=(7, 2.6), layout="constrained")
ax.axvline(expected, color="black", label="expected over all orders")
ax.scatter(
    shuffled, torch.linspace(-0.5, 0.5, len(shuffled)), s=28, label="shuffled"
)
ax.scatter(
    [by_label, by_label_backwards],
    [0, 0],
    marker="^",
    s=90,
    color="C3",
    label="sorted by label, both ways",
)
ax.set(
    ylim=(-0.8, 0.8),
    yticks=[],
    xlabel="mAP@100 (divisor: retrieved), codes of 16 bits",
)
figure.legend(loc="outside lower center", ncols=3)
plt.close(figure)
figure

# %%
#| tags: hide-input
notebook.result(
    f"The ranking is cut at place 100, and on average {tied:.0f} database images are tied at the distance of that place. "
    f"Chance decides which of them are judged. Shuffling moves the score between {min(shuffled):.4f} and {max(shuffled):.4f}; a database sorted by label gives {by_label:.4f} or, sorted the "
    f"other way, {by_label_backwards:.4f}. Nothing about the search has changed."
)

# %% [markdown]
# There are two honest ways out.
#
# - **A seeded order**: shuffle the images once, with a stated seed, and keep this order for good.
#   The score can then be repeated, but it is still one draw of many.
# - **The expected score**: average over *all* orders of the tied images. No order is left to choose.
#
# The second looks impossible, since the orders are too many to count. But the average has a closed form [16].
# Take one group of $n$ tied images, $r$ of them relevant, with $t$ images and $R_0$ relevant ones ranked before it.
# The image at place $j$ of the group is relevant with probability $r/n$. If it is, then among the $j - 1$ places
# before it in the group we expect $(j-1)\,\rho$ relevant ones, with $\rho = \frac{r-1}{n-1}$ (and 0 where $n = 1$). So the
# group adds
#
# $$ \sum_{j=1}^{n} \frac{r}{n} \cdot \frac{R_0 + 1 + (j-1)\,\rho}{t + j} $$
#
# to the numerator of AP. Where the ranking is cut at $k$, the sum stops at $j = k - t$. Sum over the groups and divide.
#
# For the divisor *retrieved* there is one more step, because the number of relevant images in the top $k$ is itself
# a matter of chance when the cut goes through a group: the library takes the expectation for each possible number of
# hits, weighted by its (hypergeometric) probability. The function below judges the whole ranking. Without a cut all relevant images
# are found, and the three divisors are the same. The library's `evaluate` has the cut as well.


# %%
def expected_average_precision(relevant, distances):
    """AP of one ranking, averaged over all orders of tied images. Inputs: (N,)"""
    total, t, before = 0.0, 0, 0
    for distance in distances.unique():  # rising
        group = relevant[distances == distance]
        n, r = len(group), int(group.sum())
        rho = (r - 1) / (n - 1) if n > 1 else 0.0
        for j in range(1, n + 1):
            total += r / n * (before + 1 + (j - 1) * rho) / (t + j)
        t, before = t + n, before + r
    return total / before if before else 0.0


# %% [markdown]
# Check it the slow way, with all orders of a database small enough to list them: seven images, two groups of ties.

# %%
# NBVAL_CHECK_OUTPUT
from itertools import permutations

small_distances = torch.tensor([1, 1, 1, 4, 4, 4, 4])
small_relevant = torch.tensor([1, 0, 0, 1, 1, 0, 0]).bool()
orders = torch.tensor(list(permutations(range(7))))
sorted_orders = [
    order[small_distances[order].argsort(stable=True)] for order in orders
]
every = [
    average_precision(small_relevant[order], 7, "retrieved")
    for order in sorted_orders
]
print(
    f"{len(orders)} orders give AP from {min(every):.4f} to {max(every):.4f}, on average {sum(every) / len(every):.4f}"
)
print(
    f"the formula gives {expected_average_precision(small_relevant, small_distances):.4f}"
)

# %% [markdown]
# **The library's twin.** `evaluate` computes the same from counts of tied images, in blocks that fit into memory, and
# in a closed form (a sum over $1/(t+j)$ is a difference of harmonic numbers). On the codes from above, the two agree to
# rounding, and the first shuffling that one happens to have does not:

# %%
# NBVAL_CHECK_OUTPUT
check = slice(0, 20)
ours = [
    expected_average_precision(relevant[i], short_distances[i])
    for i in range(20)
]
library = evaluate(
    Hamming(short_query[check], short_database),
    Relevance(query_labels[check], database_labels),
    k=None,
).average_precision
one_order = [
    average_precision(
        relevant[i][short_distances[i].argsort(stable=True)],
        len(database_labels),
        "retrieved",
    )
    for i in range(20)
]
print(
    "from scratch and library agree:",
    torch.allclose(
        torch.tensor(ours, dtype=torch.float64), library.double(), atol=1e-9
    ),
)
print(
    "one stable sort agrees with them:",
    torch.allclose(
        torch.tensor(one_order, dtype=torch.float64),
        library.double(),
        atol=1e-9,
    ),
)

# %% [markdown]
# This book reports the tie-aware score. The papers' code leaves tied images to the sort that it happens to use. Where a page shows
# such a score, too, it takes one seeded order instead.

# %% [markdown]
# ## From a descriptor to a binary code
#
# Exact search pays for $D$ numbers an image. Must it be so many, and must they be numbers?
# *Hashing* keeps a few bits an image. Similar images should get similar bits.
#
# The simplest idea needs no learning. Draw a random direction $w$ and ask on which side of the plane across it a
# descriptor lies: $b = 1$ if $w^\top x \ge 0$, else $b = 0$. One direction gives one bit; $B$ directions give a code of
# $B$ bits. This is *locality-sensitive hashing* (LSH) with random hyperplanes [12].
# Note the sign of zero: a value of exactly 0 counts as positive, here and in the whole book.
# A code that leaves it open gives different bits on different machines.
#
# Two codes are compared by their *Hamming distance*: the number of bits in which they differ.


# %%
def lsh_bits(descriptors, directions):
    """(N, D) descriptors, (D, B) directions to (N, B) bits; zero is positive."""
    return descriptors @ directions >= 0


def hamming(query_bits, database_bits):
    """(Q, B) and (N, B) bits to (Q, N) distances."""
    return (query_bits.unsqueeze(1) != database_bits.unsqueeze(0)).sum(2)


# %% [markdown]
# Why should this work? Two descriptors with the angle $\theta$ between them are separated by a random plane with
# probability $\theta / \pi$: the planes that separate them are those that fall into the angle. So
#
# $$ \mathbb{E}\left[\frac{\text{Hamming distance}}{B}\right] = \frac{\theta}{\pi}, \qquad
# \text{standard deviation} = \sqrt{\frac{\theta}{\pi}\left(1 - \frac{\theta}{\pi}\right) \Big/ B} . $$
#
# Hamming distance is an *estimate of the angle*, and its error shrinks with the square root of the number of bits.
# The figure checks both statements on pairs of real images.
#
# One thing must be done before. Pixel values are never negative, so all images lie in one corner of the space and the
# angles between them are small. Subtracting the mean of the database spreads them around the origin.

# %%
mean = database_pixels.mean(0)
centred_query, centred_database = query_pixels - mean, database_pixels - mean
generator = torch.Generator().manual_seed(0)
directions = torch.randn(
    centred_database.shape[1], 256, generator=generator
)  # (D, B)
query_bits, database_bits = (
    lsh_bits(centred_query, directions),
    lsh_bits(centred_database, directions),
)
print(
    f"codes: queries {tuple(query_bits.shape)}, database {tuple(database_bits.shape)}, {query_bits.dtype}"
)

# %%
#| name: fig-angle
#| tags: hide-input
#| caption: The share of differing bits estimates the angle between two descriptors. Each point is a pair of images.
#| alt: Two scatter plots of the share of differing bits against the angle of a pair of images, for 32 and 256 bits.
#|   The points lie around a straight line from zero; with 256 bits they lie much closer to it.
figure, axes = plt.subplots(
    1, 2, figsize=(8, 3.6), sharey=True, layout="constrained"
)
third = min(600, len(centred_database) // 3)
first, second, others = centred_database[: 3 * third].split(third)
neighbours = others[
    nearest(first, others, 1)[1][:, 0]
]  # near pairs as well as random ones
pairs = torch.cat([first, first]), torch.cat([second, neighbours])
cosine = torch.nn.functional.cosine_similarity(*pairs)
angle = cosine.clamp(-1, 1).arccos()
line = torch.linspace(0, torch.pi, 50)
inside = {}
for ax, bits in zip(axes, (32, 256), strict=True):
    codes = [lsh_bits(side, directions[:, :bits]) for side in pairs]
    share = (codes[0] != codes[1]).float().mean(1)
    deviation = ((line / torch.pi) * (1 - line / torch.pi) / bits).sqrt()
    expected_share = line / torch.pi
    ax.fill_between(
        line,
        expected_share - 2 * deviation,
        expected_share + 2 * deviation,
        alpha=0.25,
        label="± 2 deviations",
    )
    ax.plot(line, expected_share, color="black", label="expected: angle / π")
    ax.scatter(angle, share, s=7, alpha=0.6, label="pairs of images")
    ax.set(title=f"{bits} bits", xlabel="angle between descriptors (radians)")
    p = angle / torch.pi
    inside[bits] = (
        ((share - p).abs() <= 2 * (p * (1 - p) / bits).sqrt()).float().mean()
    )
axes[0].set_ylabel("share of differing bits")
axes[0].legend(loc="upper left")
plt.close(figure)
figure

# %%
#| tags: hide-input
notebook.result(
    f"With 32 bits, {inside[32]:.0%} of the pairs lie within two deviations of the line, with 256 bits {inside[256]:.0%}. "
    "Where the band is narrow, two pairs with different angles get different distances, and the ranking is kept. "
    "Where it is wide, chance decides. The pairs share one draw of directions, so they do not scatter independently."
)

# %% [markdown]
# **The library's twin.** `retrieval_lib.hashing` has the same two steps, with packed bits and in blocks.
# The inputs are chosen so that known mistakes show. The test contains exact zeros (a version with `> 0` or with
# `torch.sign` fails) and a code length above 127 (a version that counts in signed bytes fails).

# %%
# NBVAL_CHECK_OUTPUT
from retrieval_lib.hashing import (
    fit_lsh,
    hamming_distance,
    pack_bits,
    packed_hamming_distance,
    sign_bits,
)

awkward = torch.tensor([[0.0, -0.0, -1.0, 2.0]])
print(
    "zero is positive in both:",
    torch.equal(lsh_bits(awkward, torch.eye(4)), sign_bits(awkward)),
)
print(
    "a strict comparison differs:",
    not torch.equal(awkward > 0, sign_bits(awkward)),
)
ours = hamming(query_bits[:20], database_bits[:200])
print(
    "distances agree:",
    torch.equal(
        ours, hamming_distance(query_bits[:20], database_bits[:200]).long()
    ),
)
packed = packed_hamming_distance(
    pack_bits(query_bits[:20]), pack_bits(database_bits[:200])
)
print("packed codes agree:", torch.equal(ours, packed.long()))
opposite = torch.ones(1, 256, dtype=torch.bool)
print(
    "the greatest distance of 256 bits:",
    int(hamming_distance(opposite, ~opposite)),
)

# %% [markdown]
# ## How many bits?
#
# More bits estimate the angle better, and cost more. What does each doubling buy?
# We draw several sets of random directions for each length, because one draw is luck.
# Beside the codes stands exact search on the same centred pixels, by the angle (which the codes estimate).

# %%
relevance = Relevance(query_labels, database_labels)
k = min(1000, len(database_labels) // 2)
lengths, seeds = (8, 16, 32, 64, 128, 256, 512), range(5)


def unit(x):
    return torch.nn.functional.normalize(x, dim=1)


exact = evaluate(
    Euclidean(unit(centred_query), unit(centred_database)), relevance, k=k
).mean_average_precision
score = {bits: [] for bits in lengths}
for seed in seeds:
    longest = fit_lsh(database_pixels, max(lengths), seed=seed)
    longest_query, longest_database = (
        longest.encode(query_pixels),
        longest.encode(database_pixels),
    )
    for bits in lengths:
        found = Hamming(longest_query[:, :bits], longest_database[:, :bits])
        score[bits].append(
            evaluate(found, relevance, k=k).mean_average_precision
        )
intervals = {bits: mean_interval(values) for bits, values in score.items()}

# %%
#| name: fig-bits
#| tags: hide-input
#| caption: What longer codes buy: LSH on pixels, mean and 95 % interval over five draws of the directions.
#| alt: A rising curve of mAP against the number of bits, from eight to 512, with a narrow band around it. It flattens
#|   towards a dashed horizontal line that marks exact search by angle.
figure, ax = plt.subplots(figsize=(7, 3.8), layout="constrained")
ax.axhline(exact, color="black", linestyle="--", label="exact search by angle")
ax.fill_between(
    lengths,
    [i.low for i in intervals.values()],
    [i.high for i in intervals.values()],
    alpha=0.25,
)
ax.plot(lengths, [i.mean for i in intervals.values()], marker="o", label="LSH")
ax.set(
    xscale="log",
    xticks=lengths,
    xticklabels=lengths,
    xlabel="bits",
    ylabel=f"mAP@{k} (tie-aware)",
)
ax.minorticks_off()
ax.legend()
plt.close(figure)
figure

# %%
#| tags: hide-input
chance = float(relevance.block(0, len(query_labels)).float().mean())
halfway = next(
    (
        bits
        for bits in lengths
        if intervals[bits].mean - chance >= (exact - chance) / 2
    ),
    None,
)
notebook.result(
    f"Chance would give about {chance:.2f}, exact search by angle {exact:.3f}. LSH goes from {intervals[8]} with 8 bits "
    f"over {intervals[64]} with 64 to {intervals[512]} with 512 (mean and 95 % interval over {len(score[64])} draws; "
    f"divisor: retrieved). It covers half of the way from chance to exact search at {halfway} bits. "
    "The dashed line is what LSH estimates, so ever longer codes tend to it. For more, the descriptor must "
    "change, or the code must learn what matters."
)

# %% [markdown]
# The figure above was drawn live, with the queries and the database of this page.
# Does it look the same on the whole data set, where papers measure? (The heights of the two figures do not compare. There
# a thousand places can hold a fifth of the relevant images, here half of them.) The next one was *recorded*: all 10,000 test images of
# CIFAR-10 search its 50,000 training images, with five draws of the directions. It takes a quarter of an hour on two
# CPU cores; `python -m retrieval_lib record lsh-pixels` does it again.

# %%
#| name: fig-bits-recorded
#| caption: Recorded on the whole of CIFAR-10: LSH on pixels, mean and 95 % interval over five draws.
#| alt: A rising curve of mAP at 1,000 against the number of bits from 16 to 512, with a narrow band. It approaches a
#|   dashed line, exact search by the angle of centred pixels. A dotted line, exact search by Euclidean distance, lies
#|   clearly lower; the curve crosses it between 128 and 256 bits.
from retrieval_lib.experiments import over_seeds, read_results
from retrieval_lib.plots import by_bits

recorded = read_results("lsh-pixels")
recorded = recorded[
    (recorded.divisor == "retrieved") & (recorded.ties == "expected")
]
references = recorded[recorded.method == "exact"].set_index("variant")["value"]
whole_set = over_seeds(recorded[recorded.method == "LSH"], ["method", "bits"])
by_bits(
    whole_set,
    "mAP@1000 (retrieved, tie-aware)",
    {
        "exact: angle": references["cosine, centred"],
        "exact: Euclidean": references["Euclidean"],
    },
)

# %%
#| tags: hide-input
at_64 = whole_set.set_index("bits").loc[64]
seeded = read_results("lsh-pixels").query(
    "divisor == 'retrieved' and ties == 'seeded' and bits == 16 and seed == 0"
)
expected = recorded.query("bits == 16 and seed == 0")
notebook.result(
    f"Recorded on {recorded.source.iloc[0]}, {recorded.device.iloc[0]}: with 64 bits {at_64['mean']:.3f} "
    f"({at_64.low:.3f} to {at_64.high:.3f}), with exact search by angle {references['cosine, centred']:.3f} and by "
    f"Euclidean distance {references['Euclidean']:.3f}. With 16 bits and one seeded order of the tied images the score "
    f"is {seeded.value.item():.4f}, its expected value {expected.value.item():.4f}: over 10,000 queries the luck of one "
    "order averages out, but only because that order was drawn at random."
)

# %% [markdown]
# ## Seeing what a code finds
#
# Numbers average over queries. Look at one query, searched with codes of three lengths and exactly.
# Predict: at which length does the list begin to resemble that of exact search?

# %%
#| name: fig-code-search
#| caption: One query, searched with codes of growing length, and exactly by the angle of centred pixels.
#| alt: Four rows of images with the same query, for codes of 16, 64 and 512 bits and for exact search by angle. Ticks and
#|   crosses mark the labels.
one = int(shown[0])
rows, names = [], []
for bits in (16, 64, 512):
    distances = hamming_distance(
        longest_query[one : one + 1, :bits], longest_database[:, :bits]
    )
    rows.append(distances.argsort(dim=1, stable=True)[0, :9])
    names.append(f"{bits} bits")
rows.append(
    nearest(unit(centred_query[one : one + 1]), unit(centred_database), 9)[1][0]
)
rows = torch.stack(rows)
retrieval_grid(
    images.images[search.query[one]].expand(4, -1, -1, -1),
    images.images[search.database[rows]],
    query_labels[one] == database_labels[rows],
    query_names=[*names, "exact"],
)

# %%
#| tags: hide-input
shared = [len(set(row.tolist()) & set(rows[-1].tolist())) for row in rows[:-1]]
right = (query_labels[one] == database_labels[rows]).sum(1).tolist()
notebook.result(
    f"Of the nine images that exact search finds, the codes of 16, 64 and 512 bits find {shared[0]}, {shared[1]} and "
    f"{shared[2]}. Images with the query's label: {', '.join(map(str, right[:-1]))} by the codes, {right[-1]} by exact search. For one "
    "query such counts are luck; look only at how the lists come to agree. "
    "Exact search differs from the first picture of this chapter, because here only the angle counts. Ties among short codes are broken here by the order of storage, as a user of a search engine sees it."
)

# %% [markdown]
# ## What a code costs
#
# A code of $B$ bits takes $B/8$ bytes. Two codes are compared by one exclusive-or and one count of bits for each
# 64 bits, which processors do in a few clock cycles. The library [faiss](https://github.com/facebookresearch/faiss)
# does this well, so codes are measured with it, and the floats as above: the same machine, one query at a time, the size of
# the largest database. (Even so a whole scan takes long at a billion. An inverted file scans a part of the database only;
# the [second half](hashing_basics_fitted.ipynb) of this chapter tries one.)

# %%
import faiss

faiss.omp_set_num_threads(torch.get_num_threads())
count = sizes[-1]
random_codes = torch.randint(
    0,
    256,
    (count, 8),
    dtype=torch.uint8,
    generator=torch.Generator().manual_seed(0),
).numpy()
binary_index = faiss.IndexBinaryFlat(64)
binary_index.add(random_codes)
code_seconds = seconds_of(lambda: binary_index.search(random_codes[:1], 100))
notebook.table(
    [
        {
            "what is kept": name,
            "bytes per image": size,
            "gigabytes for a billion": size,
            "milliseconds per query": f"{1e3 * seconds:.3f}",
            "seconds per query, a billion": f"{1e9 * seconds / count:.2f}",
        }
        for name, size, seconds in (
            (f"{dimension} floats", 4 * dimension, measured[count]),
            ("64 bits", 8, code_seconds),
        )
    ]
)

# %%
#| tags: hide-input
notebook.result(
    f"For {count:,} images, 64-bit codes need {4 * dimension // 8} times less memory than {dimension} numbers, and a query "
    f"is {measured[count] / code_seconds:.0f} times faster here. The last column continues in proportion and is not "
    "measured. A billion codes fit into the memory of one ordinary server; a billion descriptors do not."
)

# %% [markdown]
# ## Limits, traps and common mistakes
#
# - **The code is only as good as the descriptor.** LSH estimates angles between pixel vectors. Where pixels mislead,
#   a thousand bits mislead as well. The later chapters learn descriptor and code together.
# - **Random directions do not look at the data.** The [second half](hashing_basics_fitted.ipynb) of this chapter fits the directions to the data.
# - **Trap: a cut-off in a sort.** Published evaluation code often sorts Hamming distances and takes the first
#   $k$. With a stable sort and a database sorted by label this moves the score, as you saw; with an unstable sort the order of
#   the tied images depends on the library.
# - **Trap: AP without its divisor.** Dividing by all relevant images caps mAP@1000 far below 1 on the usual CIFAR-10
#   protocol, where each query has thousands of relevant images.
# - **Trap: three protocols called "CIFAR-10".** They differ in the number of queries, in the database, and in whether
#   the labelled images are in the database. Their numbers do not belong in one table.
# - **Common mistake: no centring.** Without it most images lie on one side of a random plane (exercise 3).
# - **Common mistake: the query in its own database.** Every measure then starts with a free hit.
#
# ## Summary
#
# - Retrieval ranks a database by the distance between *descriptors*; relevance is judged by labels.
# - A descriptor is a feature map, pooled. What pooling throws away, no search can find.
# - Exact search costs time and memory in proportion to the number of images and to the length of the descriptor.
# - mAP@k needs its divisor, its $k$ and its rule for ties. The tie-aware expected score depends on no order.
# - Random hyperplanes turn angles into Hamming distances, with an error that shrinks as the code grows.
#
# ## Exercises
#
# Try each before you open its solution. The solutions ran with the rest of the page.

# %% [markdown]
# **1. Length.** Divide each centred pixel descriptor by its length before searching. Does mAP change?
# Why is this the fair comparison for LSH?

# %%
#| tags: hide-cell
with_length = evaluate(
    Euclidean(query_pixels, database_pixels), relevance, k=k
).average_precision
by_angle = evaluate(
    Euclidean(unit(centred_query), unit(centred_database)), relevance, k=k
).average_precision
notebook.result(
    f"Distances between raw pixels give {mean_interval(with_length)}, angles of centred pixels {mean_interval(by_angle)}; "
    f"the difference, query by query, is {paired_difference(by_angle, with_length)}. LSH keeps only on which side of a "
    "plane through the mean a descriptor lies, and this does not change when the descriptor is made longer or shorter. "
    "So it estimates angles, and search by angle is what it should be compared with."
)

# %% [markdown]
# **2. Chance.** What is the expected AP of a random ranking, in which every image is tied with every other?
# Predict it from the share of relevant images, then compute it with the tie-aware formula.

# %%
#| tags: hide-cell
all_tied = Hamming(
    torch.zeros(len(query_labels), 8).bool(),
    torch.zeros(len(database_labels), 8).bool(),
)
random_ranking = evaluate(all_tied, relevance, k=None).mean_average_precision
notebook.result(
    f"The share of relevant images is {chance:.4f}, and a random ranking scores {random_ranking:.4f}. AP of a random ranking "
    "is a little above the share of relevant images, because AP is only read at places where a relevant image stands: "
    "that image itself counts among the first j, which favours the early places."
)

# %% [markdown]
# **3. Centring.** Hash the pixels without subtracting the mean. How far is the share of ones in a bit from one half, on
# average, and what happens to mAP?

# %%
#| tags: hide-cell
raw_query, raw_database = (
    lsh_bits(query_pixels, directions),
    lsh_bits(database_pixels, directions),
)
balance = (raw_database.float().mean(0) - 0.5).abs()
centred_balance = (database_bits.float().mean(0) - 0.5).abs()
raw_score = evaluate(
    Hamming(raw_query, raw_database), relevance, k=k
).average_precision
centred_score = evaluate(
    Hamming(query_bits, database_bits), relevance, k=k
).average_precision
notebook.result(
    f"Without centring, the share of ones in a bit differs from one half by {balance.mean():.2f} on average (with it by "
    f"{centred_balance.mean():.2f}). With 256 bits mAP@{k} is {mean_interval(raw_score)} instead of "
    f"{mean_interval(centred_score)}; the difference is {paired_difference(raw_score, centred_score)}."
)

# %% [markdown]
# **4. Buckets.** A hash table finds the codes within Hamming radius 2 of a query by looking into every bucket that
# differs in at most two bits. How many buckets are that for 16, 32, 64 and 128 bits, and how many database images
# does a query find there on average?

# %%
#| tags: hide-cell
from math import comb

table = []
for bits in (16, 32, 64, 128):
    distances = hamming_distance(
        longest_query[:, :bits], longest_database[:, :bits]
    )
    table.append(
        {
            "bits": bits,
            "buckets": f"{1 + bits + comb(bits, 2):,}",
            "images found per query": round(
                float((distances <= 2).sum(1).float().mean()), 2
            ),
            "queries that find none": f"{float((distances > 2).all(1).float().mean()):.0%}",
        }
    )
notebook.table(table)
notebook.result(
    "The number of buckets grows with the square of the length, and there is less and less in them. Hash tables suit short "
    "codes; long codes are scanned, or searched through tables of their parts."
)

# %% [markdown]
# **5. The expected share.** At which angle do two descriptors get codes that differ in a quarter of the bits?
# How many bits does it take to tell this angle from one that is a tenth of a radian larger, with two standard
# deviations between them?

# %%
#| tags: hide-cell
angle_here = torch.pi / 4
p_here = angle_here / torch.pi
needed = (p_here * (1 - p_here)) * (2 * torch.pi / 0.1) ** 2
notebook.result(
    f"A quarter of the bits differs at an angle of π/4 = {angle_here:.2f} radians (45 degrees). A tenth of a radian is "
    f"0.1/π = {0.1 / torch.pi:.3f} of the bits. Two standard deviations are 2·√(p(1 − p)/B), and they equal this share at "
    f"B = {needed:.0f} bits. Short codes tell near from far, not near from slightly less near."
)

# %% [markdown]
# ## References
#
# - [1] Y. Rui, T. S. Huang, S.-F. Chang. Image retrieval: current techniques, promising directions, and open issues. Journal
#   of Visual Communication and Image Representation 10, 1999.
# - [2] D. Jeong, S. Choo, W. Seo, N. I. Cho. Regional deep feature aggregation for image retrieval. ICASSP 2017.
# - [3] A. Gordo et al. Deep image retrieval: learning global representations for image search. ECCV 2016.
# - [9] G. Tolias, R. Sicre, H. Jégou. Particular object retrieval with integral max-pooling of CNN activations. ICLR 2016.
# - [10] F. Radenović, G. Tolias, O. Chum. Fine-tuning CNN image retrieval with no human annotation. IEEE Transactions on
#   Pattern Analysis and Machine Intelligence, 2019.
# - [11] M. Tan, Q. V. Le. EfficientNet: rethinking model scaling for convolutional neural networks. ICML 2019. (The network
#   here is its *lite* variant, which was published as code.)
# - [12] M. S. Charikar. Similarity estimation techniques from rounding algorithms. STOC 2002.
# - [16] F. McSherry, M. Najork. Computing information retrieval performance measures efficiently in the presence of tied
#   scores. ECIR 2008.
#
# The numbers are those of the page [References](references.md), which has the rest.
