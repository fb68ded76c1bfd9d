# %% [markdown]
# # Hashing basics: codes that fit the data
#
# Random directions make a code without looking at a single image.
# What do we gain when the code looks first?
#
# **What you will learn**
#
# - PCA hashing: bits along the directions in which the data vary, and why more bits can make it worse;
# - ITQ: one rotation that repairs it;
# - product quantization: a descriptor as a short list of codewords, and distances by table look-up (ADC);
# - OPQ, and the soft assignment with which later chapters learn codebooks by gradient descent;
# - what all of them cost and what they find, side by side.
#
# **What you should know**: the [first half of this chapter](hashing_basics.ipynb), eigenvectors, and k-means.
#
# **How long it takes**: two minutes on two CPU cores. A GPU is not needed.

# %%
#| tags: set-up
import matplotlib.pyplot as plt
import torch

from retrieval_lib import notebook
from retrieval_lib.data import choose, make_split, protocol_for

profile = notebook.set_up(seed=0)
choice = choose("general")
images = choice.images
size = profile if images.name == "cifar10" else "quick"  # to stay short
split = make_split(images, protocol_for(images, "supervised", size))
notebook.banner(choice, split)

# %% [markdown]
# ## Two descriptors
#
# Codes are judged here on two descriptors of the same images:
#
# - **pixels**: all pixel values in a row;
# - **pretrained**: the average-pooled feature map of EfficientNet-lite0, a small network that was trained to name the
#   objects of ImageNet. Its weights have seen labels, though not those of our images.
#
# The codes below see no labels at all. Each descriptor is centred by the mean of the training images and brought to
# length one, so that the squared Euclidean distance ranks as the angle does.
#
# One thing to keep in mind: on this protocol the training images are most of the database (19,000 of 20,000 on CIFAR-10). No
# query is among them, but the codes were fitted to much of what is searched.

# %%
from retrieval_lib.backbones import cached_features, load_backbone

search = split.searches["test"]
query_labels, database_labels = (
    images.labels[search.query],
    images.labels[search.database],
)

channels = images.images.shape[1]
backbone = load_backbone("efficientnet-lite0", channels=channels, size=96)
needed = torch.cat([search.query, search.database, split.train]).unique()
features = cached_features(images, backbone, needed)


def pixels(indices):
    return images.images[indices].flatten(1).float() / 255  # (n, C*H*W)


def centred_unit(describe):
    """Descriptors of training, query, database images: centred, of length 1."""
    train, query, database = map(
        describe, (split.train, search.query, search.database)
    )
    mean = train.mean(0)
    unit = torch.nn.functional.normalize
    return [unit(part - mean, dim=1) for part in (train, query, database)]


pixel_train, pixel_query, pixel_database = centred_unit(pixels)
train, query, database = centred_unit(features.at)
print(
    f"pixels: {pixel_database.shape[1]} numbers; pretrained: {database.shape[1]}"
)

# %% [markdown]
# Before any code: how far apart are two images of the same class, and two of different classes?

# %%
#| name: fig-fitted-distances
#| caption: Squared distances between queries and database images, of the same class and of different classes.
#| alt: Two histograms. For pixels the distances of pairs of the same class and of different classes nearly coincide.
#|   For pretrained descriptors the pairs of the same class lie more to the left, and the two still overlap.
from retrieval_lib.plots import distance_histograms

same = query_labels[:200].unsqueeze(1) == database_labels[:1000]
panels = {
    "pixels": torch.cdist(pixel_query[:200], pixel_database[:1000]) ** 2,
    "pretrained": torch.cdist(query[:200], database[:1000]) ** 2,
}
distance_histograms(
    {name: (d[same], d[~same]) for name, d in panels.items()},
    "squared distance",
)

# %%
#| tags: hide-input
share = {
    name: float(
        (d[same][:, None] < d[~same][torch.randperm(int((~same).sum()))[:500]])
        .float()
        .mean()
    )
    for name, d in panels.items()
}
notebook.result(
    f"Take a pair of the same class and a pair of different classes at random: the first is the nearer one in "
    f"{share['pixels']:.0%} of the cases by pixels, and in {share['pretrained']:.0%} by the pretrained descriptor. "
    "Half of the cases would be chance. All codes below start from these distances."
)

# %% [markdown]
# Where the classes lie shows in a map. UMAP puts points near each other in the plane that are near each other in the
# descriptor's space; distances between far groups mean nothing in it.

# %%
#| name: fig-fitted-map
#| caption: A map (UMAP) of pretrained descriptors of database images. Colours, markers and names show their classes.
#| alt: Points in the plane in seven colours and ten markers, with the name of each class at its middle. Vehicles lie at
#|   one end and animals at the other; points of some classes, such as cats and birds, lie scattered among the others.
from retrieval_lib.plots import embedding_map, fit_map

shown = slice(0, {"quick": 300, "book": 1000, "full": 5000}[size])
plane = torch.from_numpy(
    fit_map(database[shown]).transform(database[shown].numpy())
)
embedding_map(plane, database_labels[shown], images.class_names)

# %%
#| tags: hide-input


def neighbours_agree(points):
    """The share of points whose nearest other point has the same label."""
    apart = torch.cdist(points, points).fill_diagonal_(torch.inf)
    labels = database_labels[shown]
    return float((labels[apart.argmin(1)] == labels).float().mean())


notebook.result(
    f"Of these {len(plane):,} images, {neighbours_agree(plane):.0%} have an image of their own class as their nearest "
    f"neighbour in the map, and {neighbours_agree(database[shown]):.0%} in the descriptor's space: a map in the plane does not "
    "keep all of it."
)

# %% [markdown]
# ## PCA hashing: look where the data vary
#
# Random directions ignore the data. Where images vary mainly along few directions, random bits repeat one another.
# Principal component analysis (PCA) finds the directions in which the data vary most: the leading eigenvectors of their
# covariance. *PCA hashing* takes one bit along each:
#
# $$ b_i = \left[\, v_i^\top (x - \mu) \ge 0 \,\right], \qquad \Sigma v_i = \lambda_i v_i, \quad \lambda_1 \ge \lambda_2 \ge \dots $$


# %%
def principal_directions(descriptors, bits):
    """Mean (D,), leading eigenvectors (D, bits), all eigenvalues."""
    mean = descriptors.mean(0)
    centred = (descriptors - mean).double()  # (N, D)
    covariance = centred.T @ centred / len(centred)  # (D, D)
    values, vectors = torch.linalg.eigh(covariance)  # rising
    return mean, vectors[:, -bits:].flip(1).float(), values.flip(0)


def side(projected):
    return projected >= 0


mean, directions, variances = principal_directions(train, 128)
projected_train, projected_database = (
    (train - mean) @ directions,
    (database - mean) @ directions,
)
print(
    f"directions {tuple(directions.shape)}, codes {tuple(side(projected_database).shape)}"
)

# %% [markdown]
# **The library's twin.** An eigenvector has no sign: $v$ and $-v$ are both right, and a code's bit may flip as a whole.
# So the two agree up to the sign of each direction. A version that takes the first eigenvectors of a routine that sorts
# them *rising* would take those of the smallest variance; the check sees that it differs.

# %%
# NBVAL_CHECK_OUTPUT
from retrieval_lib.hashing import fit_pca

twin = fit_pca(train, 16)
agreement = (twin.directions * directions[:, :16]).sum(0).abs()
smallest = torch.linalg.eigh(torch.cov(train.T.double(), correction=0))[1][
    :, :16
].float()
print("same directions up to sign:", bool((agreement > 0.999).all()))
print(
    "those of smallest variance differ:",
    bool(((twin.directions * smallest).sum(0).abs() < 0.5).all()),
)

# %% [markdown]
# Predict: each further principal direction carries less variance than the one before, but gets a bit that counts as
# much. What will mAP do as the code grows? All scores on this page are tie-aware, with the divisor *retrieved*, unless a line says
# otherwise.

# %%
from retrieval_lib.evaluation import Euclidean, Hamming, Relevance, evaluate

relevance = Relevance(query_labels, database_labels)
k = min(1000, len(database_labels) // 2)


def score(distances):
    return evaluate(distances, relevance, k=k).mean_average_precision


projected_query = (query - mean) @ directions
lengths = (8, 16, 32, 64, 128)
pca_score = {
    b: score(
        Hamming(side(projected_query[:, :b]), side(projected_database[:, :b]))
    )
    for b in lengths
}
exact_score = score(Euclidean(query, database))
notebook.table(
    [
        {
            "bits": b,
            "last variance / first": f"{variances[b - 1] / variances[0]:.3f}",
            f"mAP@{k}": f"{pca_score[b]:.3f}",
        }
        for b in lengths
    ]
)

# %%
#| tags: hide-input
best = max(pca_score, key=pca_score.get)
notebook.result(
    f"The highest score here has {best} bits. From there to 128 bits mAP changes by "
    f"{pca_score[128] - pca_score[best]:+.3f}; exact search on the same descriptors reaches {exact_score:.3f}. "
    "Late bits measure directions that hardly differ between images, and they vote with full weight."
)

# %% [markdown]
# ## ITQ: one rotation
#
# *Iterative quantization* (ITQ) keeps the space that PCA found and turns it, so that the variance is shared out and the
# points come closer to the corners of a cube [13]. $V$ has a row for each of $N$ centred descriptors, its $B$ principal
# values. $\lVert \cdot \rVert_F$ is the root of the sum of all squares. ITQ looks for
#
# $$ \min_{Y, R} \lVert Y - V R \rVert_F^2, \qquad Y \in \{-1, 1\}^{N \times B}, \quad R^\top R = I, $$
#
# by turns: for a fixed rotation $R$ the best codes are the signs, $Y = \mathrm{sign}(VR)$; for fixed codes the best
# rotation comes from a singular value decomposition: with $Y^\top V = S \Omega \hat S^\top$, two rotations and a diagonal of
# scales between them, it is $R = \hat S S^\top$. A rotation changes no length, so that to minimize the error is to maximize
# the sum of the absolute values of $VR$: large values, far from the planes that cut.


# %%
def itq_rotation(values, iterations, generator):
    """A rotation (B, B) for values (N, B), and the error of each turn."""
    bits = values.shape[1]
    rotation = torch.linalg.qr(torch.randn(bits, bits, generator=generator)).Q
    errors = []
    for _ in range(iterations):
        rotated = values @ rotation  # (N, B)
        codes = torch.where(rotated >= 0, 1.0, -1.0)  # (N, B)
        errors.append(float(((codes - rotated) ** 2).mean()))
        left, _, right = torch.linalg.svd(codes.T @ values)
        rotation = right.T @ left.T  # (B, B)
    return rotation, errors


# %% [markdown]
# With two bits one can watch it. The points are the images, along the first two principal directions.
# Each corner of the square is a code.

# %%
#| name: fig-itq
#| tags: hide-input
#| caption: ITQ with two bits. Before and after the rotation; the lines are the planes that cut, the crosses the corners.
#| alt: Two scatter plots of the same cloud of points, each cut into four quadrants by two lines, with a cross in each
#|   quadrant. In the second plot the cloud is turned. It still covers all four quadrants and both lines.
from retrieval_lib.plots import finish
from retrieval_lib.plots.style import BLACK, BLUE, VERMILION, WIDTH, set_titles

flat = projected_train[:2000, :2]
flat = flat / flat.std()  # corners are at ±1; only the rotation matters here
turn, _ = itq_rotation(flat, 50, torch.Generator().manual_seed(0))
figure, axes = plt.subplots(
    1, 2, figsize=(WIDTH, 3.5), sharex=True, sharey=True, layout="constrained"
)
for axis, points, title in (
    (axes[0], flat, "PCA"),
    (axes[1], flat @ turn, "after ITQ"),
):
    axis.scatter(points[:, 0], points[:, 1], s=4, color=BLUE, alpha=0.4)
    axis.axhline(0, color=BLACK, linewidth=1)
    axis.axvline(0, color=BLACK, linewidth=1)
    axis.plot(
        [1, 1, -1, -1],
        [1, -1, 1, -1],
        "X",
        color=VERMILION,
        markersize=9,
        linestyle="",
    )
    set_titles(axis, "first value", title=title)
axes[0].set_ylabel("second value")
finish(figure)

# %%
#| tags: hide-input
before, after = (
    float(((torch.where(p >= 0, 1.0, -1.0) - p) ** 2).mean())
    for p in (flat, flat @ turn)
)
notebook.result(
    f"The mean squared distance to the corner, per coordinate, goes from {before:.3f} to {after:.3f} in this picture. "
    "The cloud has few clear groups in two dimensions, so there is little to gain here."
)

# %% [markdown]
# **The library's twin**: the same rotation from the same random start. The known slip is to forget a transpose
# ($R = S \hat S^\top$): the result is still a rotation, nothing fails, and the error no longer falls.

# %%
# NBVAL_CHECK_OUTPUT
from itertools import pairwise

from retrieval_lib.hashing import fit_itq

values = fit_pca(train, 32).project(train)
rotation, errors = itq_rotation(values, 50, torch.Generator().manual_seed(0))
twin = fit_itq(train, 32, seed=0)
same_bits = (side(values @ rotation) == twin.encode(train)).float().mean()
print("the twin gives the same bits:", bool(same_bits > 0.999))
print("the error never rises:", all(b <= a + 1e-6 for a, b in pairwise(errors)))
codes = torch.where(values @ rotation >= 0, 1.0, -1.0)
left, _, right = torch.linalg.svd(codes.T @ values)
slip = values @ (left @ right)
slip_error = float(((torch.where(slip >= 0, 1.0, -1.0) - slip) ** 2).mean())
print("without the transpose it is larger:", slip_error > errors[-1])

# %% [markdown]
# What does the rotation do to the bits? Two things are often asked of a code: each bit is one for half of the images, and the bits say
# different things. The next two figures show both, for PCA hashing and for ITQ.

# %%
#| name: fig-bits-pca
#| caption: The 32 bits of PCA hashing on pretrained descriptors of the database.
#| alt: Left, bars show the share of ones of each of 32 bits, around one half. Right, a matrix of the correlation of
#|   each pair of bits, mostly dark, so mostly uncorrelated.
from retrieval_lib.plots import bit_correlation, bit_statistics

pca32, itq32 = fit_pca(train, 32).encode(database), twin.encode(database)
bit_statistics(pca32, "PCA hashing")

# %%
#| name: fig-bits-itq
#| caption: The 32 bits of ITQ on the same images.
#| alt: Left, bars show the share of ones of each of 32 bits, around one half. Right, a matrix of the correlation of
#|   each pair of bits, lighter in places than that of PCA hashing.
bit_statistics(itq32, "ITQ")

# %%
#| tags: hide-input
off = ~torch.eye(32).bool()
means = {
    name: float(bit_correlation(c).abs()[off].mean())
    for name, c in (("PCA", pca32), ("ITQ", itq32))
}
itq_score = {
    b: score(Hamming(*(fit_itq(train, b).encode(x) for x in (query, database))))
    for b in (32, 64)
}
notebook.result(
    f"The mean correlation between two bits, sign left out, is {means['PCA']:.3f} for PCA hashing and {means['ITQ']:.3f} "
    f"for ITQ. Principal values are uncorrelated by construction, so PCA's bits look good by this measure, and yet with "
    f"32 bits PCA hashing has mAP@{k} {pca_score[32]:.3f} and ITQ {itq_score[32]:.3f}; with 64 bits {pca_score[64]:.3f} and "
    f"{itq_score[64]:.3f}. So balance and low correlation are not the goal. A direction in which images hardly differ can "
    "give a bit that is as balanced and as uncorrelated as the first one."
)

# %% [markdown]
# And what do single codes look like? Below are two database images of each of three classes, with their codes by ITQ.

# %%
#| name: fig-strips
#| caption: Images and their 32 bits by ITQ, a strip each; dark cells are ones.
#| alt: Six rows, two for each of three classes. Each has a small image and a strip of 32 cells, dark or light. No two
#|   strips are the same; some cells agree within a class.
from retrieval_lib.hashing import hamming_distance
from retrieval_lib.plots import code_strips

six = torch.cat(
    [
        (database_labels == c).nonzero()[:2, 0]
        for c in database_labels.unique()[:3]
    ]
)
code_strips(
    images.images[search.database[six]],
    itq32[six],
    [images.class_names[c] for c in database_labels[six]],
)

# %%
#| tags: hide-input
apart = hamming_distance(itq32[six], itq32[six]).float()  # (6, 6)
alike = database_labels[six].unsqueeze(1) == database_labels[six]
pairs = torch.ones(6, 6).triu(1).bool()  # each pair of images once
some = itq32[:2000]
many = hamming_distance(some, some).float()
many_alike = database_labels[:2000].unsqueeze(1) == database_labels[:2000]
many_pairs = torch.ones_like(many).triu(1).bool()
notebook.result(
    f"In the picture, the two codes of a class differ in {apart[pairs & alike].mean():.1f} of 32 bits on average, and "
    f"codes of different classes in {apart[pairs & ~alike].mean():.1f}. Six images prove nothing. Among {len(some):,} "
    f"images it is {many[many_pairs & many_alike].mean():.1f} and {many[many_pairs & ~many_alike].mean():.1f}."
)

# %% [markdown]
# ## Product quantization: codewords in place of bits
#
# A bit is a coarse thing to say about a direction. *Vector quantization* says more: run k-means, and replace each
# descriptor by the nearest of $K$ centres, its *codeword*. The code is the number of the codeword, $\log_2 K$ bits.
# But 64 bits would take $2^{64}$ codewords, which no machine can learn or store.
#
# *Product quantization* (PQ) cuts the descriptor into $M$ parts $x_1, \dots, x_M$ of $d$ numbers and quantizes each part
# with a *codebook* of its own [14]. $M$ codebooks of $K$ codewords can express $K^M$ vectors, and cost $M K d$ numbers.
# A code has $M \log_2 K$ bits.


# %%
def k_means(points, k, iterations, generator):
    """k codewords (k, d) for points (N, d)."""
    codewords = points[torch.randperm(len(points), generator=generator)[:k]]
    for _ in range(iterations):
        nearest = torch.cdist(points, codewords).argmin(1)  # (N,)
        sums = torch.zeros_like(codewords).index_add(0, nearest, points)
        counts = torch.bincount(nearest, minlength=k).unsqueeze(1)  # (k, 1)
        means = sums / counts.clamp(min=1)
        codewords = torch.where(counts > 0, means, codewords)  # (k, d)
    return codewords


def train_codebooks(descriptors, parts, k, iterations, generator):
    """Codebooks (M, K, d): a k-means for each part of descriptors (N, M*d)."""
    cut = descriptors.chunk(parts, dim=1)
    return torch.stack([k_means(x, k, iterations, generator) for x in cut])


def encode(descriptors, codebooks):
    """Codes (N, M): for each part the number of its nearest codeword."""
    cut = descriptors.unflatten(1, (len(codebooks), -1)).transpose(
        0, 1
    )  # (M, N, d)
    return torch.cdist(cut, codebooks).argmin(2).T  # (N, M)


def decode(codes, codebooks):
    """Descriptors (N, M*d) put together from codewords."""
    return torch.cat(
        [book[codes[:, m]] for m, book in enumerate(codebooks)], dim=1
    )


# %% [markdown]
# On pixels one can see what is kept. Cut each image into a grid of square patches: each patch is a part, and each
# patch's place has a codebook of its own. To *decode* a code is to lay a mosaic of codewords.

# %%
#| name: fig-mosaic
#| tags: hide-input
#| caption: Images as product quantization keeps them: the original, then mosaics of 16 and of 256 codewords per patch.
#| alt: Three rows of six images. The first row shows originals. In the second, each image is a mosaic of blurred
#|   patches in which few objects can be guessed; in the third the mosaic is finer in tone and more of them can.
from retrieval_lib.plots.grid import to_pixels

height = images.images.shape[2]
patch = height // 4


def to_patches(indices):
    """Pixels in the order of a 4 × 4 grid of patches: (n, 16*C*p*p)."""
    cut = (
        images.images[indices]
        .float()
        .div(255)
        .unfold(2, patch, patch)
        .unfold(3, patch, patch)
    )
    return cut.permute(0, 2, 3, 1, 4, 5).flatten(
        1
    )  # (n, rows, columns, C, p, p)


def from_patches(rows):
    grid = rows.view(-1, 4, 4, channels, patch, patch)
    return grid.permute(0, 3, 1, 4, 2, 5).reshape(-1, channels, height, height)


patches = to_patches(split.train[:4000])
pictured = torch.stack(
    [(query_labels == c).nonzero()[0, 0] for c in query_labels.unique()[:6]]
)
originals = to_patches(search.query[pictured])
mosaics = [originals]
for words in (16, 256):
    books = train_codebooks(
        patches, 16, words, 10, torch.Generator().manual_seed(0)
    )
    mosaics.append(decode(encode(originals, books), books))
figure, axes = plt.subplots(3, 6, figsize=(WIDTH, 3.6), layout="constrained")
names = ("original", "K = 16\n64 bits", "K = 256\n128 bits")
for row, mosaic, name in zip(axes, mosaics, names, strict=True):
    for axis, picture in zip(row, from_patches(mosaic), strict=True):
        axis.imshow(to_pixels(picture.clamp(0, 1)), cmap="gray", vmin=0, vmax=1)
        axis.set(xticks=[], yticks=[])
        axis.grid(False)
    row[0].set_ylabel(name)
finish(figure)

# %%
#| tags: hide-input
spread_of_pixels = (originals - patches.mean(0)).square().mean()
kept = [
    float(((m - originals) ** 2).mean() / spread_of_pixels) for m in mosaics[1:]
]
notebook.result(
    f"An image of {originals.shape[1]} bytes became 8 bytes in the second row and 16 in the third. What is lost is "
    f"{kept[0]:.0%} and {kept[1]:.0%} of the variance of these six images' pixels around the mean image. The seams show that the parts know nothing of each "
    "other: product quantization treats them as independent."
)

# %% [markdown]
# ## Distances by table look-up: ADC
#
# How far is a query from a database image of which only the code is left?
# The query need not be quantized: nobody stores it. So we compare the query itself with codewords. The squared distance is a sum over
# the parts:
#
# $$ \lVert q - \hat x \rVert^2 = \sum_{m=1}^{M} \lVert q_m - c_{m, k_m} \rVert^2 . $$
#
# Here $q_m$ is part $m$ of the query, and $k_m$ the number stored for part $m$ of the image. Only $M \times K$ distances can ever appear
# in this sum: those between the parts of the query and the codewords.
# Compute them once per query, put them into a table, and every database image costs $M$ look-ups and additions.
# This is *asymmetric distance computation* (ADC): one side is quantized, the other is not.


# %%
def look_up_table(query, codebooks):
    """Squared distances (M, K) of a query's parts (M*d,) to all codewords."""
    parts = query.view(len(codebooks), 1, -1)  # (M, 1, d)
    return ((parts - codebooks) ** 2).sum(2)  # (M, K)


def adc(table, codes):
    """Distances (N,) of one query, by its table (M, K), to the codes (N, M)."""
    return sum(row[codes[:, m]] for m, row in enumerate(table))


codebooks = train_codebooks(
    train[:5000], 16, 16, 10, torch.Generator().manual_seed(0)
)
codes = encode(database, codebooks)
table = look_up_table(query[pictured[0]], codebooks)
distances = adc(table, codes)
print(
    f"codebooks {tuple(codebooks.shape)}, codes {tuple(codes.shape)}, table {tuple(table.shape)}"
)

# %% [markdown]
# The figure is the whole search of one query. The map is its table: a row for each codebook, a cell for each codeword,
# dark where the codeword is near to that part of the query. The white dots are the code of the nearest database image,
# the black crosses that of the farthest: one cell of each row is looked up, and the cells are added.

# %%
#| name: fig-table
#| tags: hide-input
#| caption: The look-up table of one query; dots are the code of the nearest database image, crosses of the farthest.
#| alt: Left, the query with the nearest and the farthest database image. Right, a map of 16 rows, the codebooks, and
#|   16 columns, the codewords. In nearly every row the white dot lies on a darker cell than the black cross.
near, far = int(distances.argmin()), int(distances.argmax())
figure = plt.figure(figsize=(WIDTH, 4.4), layout="constrained")
pictures, axis = figure.subfigures(1, 2, width_ratios=[1, 3.6])
axis = axis.subplots()
told = (
    ("query", search.query[pictured[0]]),
    (f"nearest: {distances[near]:.2f}", search.database[near]),
    (f"farthest: {distances[far]:.2f}", search.database[far]),
)
for place, (name, index) in zip(pictures.subplots(3, 1), told, strict=True):
    place.imshow(to_pixels(images.images[index]), cmap="gray", vmin=0, vmax=255)
    place.set(xticks=[], yticks=[])
    place.grid(False)
    place.set_title(name, fontsize=11)
mesh = axis.imshow(table, cmap="cividis", aspect="auto")
axis.plot(codes[near], range(16), "o", color="white", markeredgecolor=BLACK)
axis.plot(
    codes[far],
    range(16),
    "X",
    color=BLACK,
    markeredgecolor="white",
    markersize=8,
)
axis.grid(False)
axis.set_yticks(range(16), [str(m + 1) for m in range(16)])
set_titles(axis, "codeword", "codebook")
figure.colorbar(mesh, ax=axis, label="squared distance")
finish(figure)

# %%
#| tags: hide-input
decoded = float(
    (
        (query[pictured[0]] - decode(codes[near : near + 1], codebooks)[0]) ** 2
    ).sum()
)
true = float(((query[pictured[0]] - database[near]) ** 2).sum())
notebook.result(
    f"The nearest image's sixteen cells add up to {distances[near]:.3f}. The squared distance to its decoded descriptor "
    f"is {decoded:.3f}: the same, as it must be. To the descriptor itself, which nobody keeps, it is {true:.3f}. On average the "
    "true distance is larger, by the quantization error: a codeword is a mean of what it stands for. And the nearest image was "
    "picked for its small sum. For a ranking only the order of the distances matters."
)

# %% [markdown]
# **The library's twin.** `retrieval_lib.quantization` has the same steps. The check uses inputs that tell known slips:
#
# - one codebook for all parts, where each part needs its own;
# - all parts decoded from the first codebook;
# - tables of plain instead of squared distances, whose sums rank differently;
# - codewords numbered in signed bytes (number 200 becomes negative).

# %%
# NBVAL_CHECK_OUTPUT
from retrieval_lib.evaluation import ADC
from retrieval_lib.quantization import ProductQuantizer, fit_pq

generator = torch.Generator().manual_seed(0)
centres = torch.tensor([[[-9.0, 1], [9, -1]], [[2, 7], [-2, -7]]])  # (M, K, d)
chosen = torch.randint(0, 2, (500, 2), generator=generator)
clouds = torch.cat([centres[m, chosen[:, m]] for m in range(2)], dim=1)
clouds += torch.randn(500, 4, generator=generator)  # (N, M*d)


def in_order(books):
    """The codewords of each codebook, sorted: their numbers mean nothing."""
    return torch.stack([book[book[:, 0].argsort()] for book in books])


fitted_here = in_order(train_codebooks(clouds, 2, 2, 20, generator))
fitted_there = in_order(fit_pq(clouds, 2, 2).codebooks)
shared = in_order([k_means(clouds.view(-1, 2), 2, 20, generator)] * 2)
print("codebooks agree:", torch.allclose(fitted_here, fitted_there, atol=1e-3))
print(
    "one codebook for all parts differs:",
    not torch.allclose(shared, fitted_there, atol=1e-3),
)
twin = ProductQuantizer(codebooks)
print(
    "codes agree:",
    bool((twin.encode(database[:500]) == codes[:500]).float().mean() > 0.999),
)
restored = decode(codes[:500], codebooks)
print(
    "decoded descriptors agree:",
    torch.equal(restored, twin.decode(codes[:500])),
)
print(
    "all parts from the first codebook differ:",
    not torch.equal(codebooks[0][codes[:500]].flatten(1), restored),
)
tables = twin.look_up_tables(query[:20])
ours = torch.stack(
    [adc(look_up_table(q, codebooks), codes) for q in query[:20]]
)
theirs = ADC(tables, codes).block(0, 20)
print("distances agree:", torch.allclose(ours, theirs, atol=1e-5))
plain = ADC(tables.sqrt(), codes).block(0, 20)
print(
    "plain sums rank differently:",
    not torch.equal(plain.argsort(1), theirs.argsort(1)),
)
many = ProductQuantizer(torch.arange(256.0).view(1, 256, 1))
numbered = many.encode(torch.tensor([[200.2]]))
print(
    "codeword 200 of 256:",
    numbered.item(),
    "decoded",
    many.decode(numbered).item(),
)

# %% [markdown]
# Are all codewords used? Count, for each codebook, how many images each codeword stands for. The *perplexity* says how
# many codewords are used in effect: all of them if the use is even, one if a single codeword takes everything. With $u_k$ the
# share of images of codeword $k$, it is $\exp(-\sum_k u_k \log u_k)$.
# Later chapters watch this figure while codebooks are learned, because there codewords can die.

# %%
#| name: fig-usage
#| caption: Use of the codewords of 16 codebooks by the database, sorted within each codebook, with the perplexity.
#| alt: A map with a row for each codebook. Cells at the left are bright, used up to twice as much as even use would have it;
#|   those in the middle are grey; those at the right are darker, used about half as much. Numbers at the right give each codebook's perplexity.
from retrieval_lib.plots import usage_map
from retrieval_lib.quantization import (
    codeword_usage,
    dead_codewords,
    perplexity,
)

usage = codeword_usage(codes, 16)
usage_map(usage)

# %%
#| tags: hide-input
notebook.result(
    f"The perplexity of these codebooks lies between {perplexity(usage).min():.1f} and {perplexity(usage).max():.1f} of "
    f"16, and {int(dead_codewords(usage).sum())} of {usage.numel()} codewords are dead. The use is nearly even here, though "
    "k-means is not asked for it: it spends codewords where the error is large."
)

# %% [markdown]
# ## OPQ: turn before you cut
#
# Where should a descriptor be cut? Two numbers that say nearly the same should stand in one part, where one codeword
# can serve both; and no part should carry much more variance than another. *Optimized product quantization* (OPQ) learns
# a rotation that is applied before the cut [15]. Like ITQ it goes by turns:
#
# $$ \min_{R, C, k} \sum_n \lVert R^\top x_n - c(k_n) \rVert^2, \qquad R^\top R = I , $$
#
# where $k_n$ is the code of image $n$ and $c(k_n)$ what it decodes to: codebooks and codes for a fixed rotation, then the rotation for fixed codes, again from a singular value
# decomposition. faiss does it; the library's `fit_opq` calls it and takes rotation and codebooks out.
# We bring the descriptors to their 256 leading principal directions first, which saves time. The variance that this drops
# counts as lost in the table.

# %%
from retrieval_lib.quantization import fit_opq

reduce = fit_pca(train, min(256, train.shape[1]))
part = {"quick": 900, "book": 5000, "full": 20000}[size]
reduced = [reduce.project(x) for x in (train[:part], query, database)]
fitted = {
    "PQ, cut as it comes": (fit_pq(train[:part], 16, 16), (query, database)),
    "PQ, principal values": (fit_pq(reduced[0], 16, 16), reduced[1:]),
    "OPQ": (fit_opq(reduced[0], 16, 16), reduced[1:]),
}


def variance(x):
    return float((x - x.mean(0)).square().sum(1).mean())


def lost(quantizer, d):
    """Share of the database's variance that a code of d does not hold."""
    dropped = variance(database) - variance(d)
    return (quantizer.error(d) + dropped) / variance(database)


rows = []
for name, (quantizer, (q, d)) in fitted.items():
    found = ADC(quantizer.look_up_tables(q), quantizer.encode(d))
    rows.append(
        {
            "method, 64 bits": name,
            "variance lost": f"{lost(quantizer, d):.0%}",
            f"mAP@{k}": f"{score(found):.3f}",
        }
    )
notebook.table(rows)


# %%
#| tags: hide-input
def loss_of(name):
    quantizer, (_, d) = fitted[name]
    return lost(quantizer, d)


as_it_comes, in_order = rows[:2]
disagree = (
    loss_of("PQ, principal values") < loss_of("PQ, cut as it comes")
    and in_order[f"mAP@{k}"] < as_it_comes[f"mAP@{k}"]
)
spread = reduced[2].unflatten(1, (16, -1)).var(0).sum(1)
turned = fitted["OPQ"][0].parts(reduced[2]).var(0).sum(1)
notebook.result(
    f"The reduction to {reduced[2].shape[1]} numbers alone drops {1 - variance(reduced[2]) / variance(database):.0%} of the "
    f"variance. Principal values cut in order put {spread[0] / spread.sum():.0%} of the variance into the first of sixteen parts and "
    f"{spread[-1] / spread.sum():.1%} into the last, and each part gets four bits. After OPQ's rotation the shares lie "
    f"between {turned.min() / turned.sum():.0%} and {turned.max() / turned.sum():.0%}. "
    + (
        "Look at both columns of the table: principal values in order lose less than PQ as it comes, and yet rank worse. The "
        "error counts every number of the descriptor alike; labels may depend on few of them."
        if disagree
        else ""
    )
)

# %% [markdown]
# ## A door to the later chapters: soft assignment
#
# Everything so far took the descriptor as given. The later chapters learn descriptor and codebooks *together*, by
# gradient descent. Here is the obstacle: the choice of the nearest codeword jumps, so its gradient is zero almost
# everywhere. The way around is to choose softly,
#
# $$ z_m = \sum_{k} a_{mk} \, c_{mk}, \qquad a_{mk} = \mathrm{softmax}_k \left( -\tau \lVert x_m - c_{mk} \rVert^2 \right) . $$
#
# For a large $\tau$ the weight goes to the nearest codeword and $z_m$ becomes the hard choice. For a small one all
# codewords mix. In between there is a gradient, for the descriptor and for the codewords.


# %%
def soft_assign(parts, codebooks, tau):
    """Weights (N, M, K) and mixed codewords (N, M, d) for parts (N, M, d)."""
    squared = ((parts.unsqueeze(2) - codebooks) ** 2).sum(3)  # (N, M, K)
    weights = torch.softmax(-tau * squared, dim=2)
    return weights, torch.einsum("nmk,mkd->nmd", weights, codebooks)


one = query[pictured[0]].view(1, 16, -1).clone().requires_grad_()
hard = codebooks[
    torch.arange(16), encode(one.detach().flatten(1), codebooks)[0]
]
for tau in (1.0, 30.0, 1000.0, 1e5):
    weights, mixed = soft_assign(one, codebooks, tau)
    gradient = torch.autograd.grad(mixed.square().sum(), one)[0].norm()
    apart = (mixed[0] - hard).norm()
    print(f"tau {tau:>8.0f}: largest weight {weights.max(2).values.mean():.2f}, "
          f"distance to the hard choice {apart:.3f}, gradient {gradient:.1e}")  # fmt: skip

# %%
#| name: fig-soft
#| tags: hide-input
#| caption: How the first part of one query is shared out among the 16 codewords of its codebook, for four values of τ.
#| alt: Four bar charts side by side. At the smallest tau all sixteen bars are nearly equal. At the next they differ. At
#|   the two largest nearly all of the weight, or all of it, is on a single bar.
figure, axes = plt.subplots(
    1, 4, figsize=(WIDTH, 2.6), sharey=True, layout="constrained"
)
for axis, tau in zip(axes, (1, 30, 1000, 100000), strict=True):
    bars = soft_assign(one, codebooks, tau)[0][0, 0].detach()
    axis.bar(range(16), bars, color=BLUE)
    axis.grid(axis="x", visible=False)
    set_titles(axis, "codeword", title=f"τ = {tau:,}")
axes[0].set_ylabel("weight")
finish(figure)

# %% [markdown]
# The printed lines show the trade-off. For a small $\tau$ all codewords mix, $z_m$ is far from the hard choice, and hardly
# depends on $x_m$: the gradient is small. For a very large $\tau$ nothing but the hard choice is left, and no gradient.
# What can be learned from lies in between. Here that takes a large $\tau$, because the squared distances of one part to its
# codewords differ by little; the right $\tau$ depends on the scale of the parts.
# Which $\tau$ a method takes, and how it keeps codewords alive, is the subject of its chapter.
#
# **The library's twin** is in two steps, weights and mixture. In the formula $\tau$ multiplies. A known slip is to divide
# by it, as for a temperature.

# %%
# NBVAL_CHECK_OUTPUT
from retrieval_lib.quantization import mixture, soft_assignment

parts = query[:20].unflatten(1, (16, -1))  # (N, M, d)
weights, mixed = soft_assign(parts, codebooks, 30.0)
twin_weights = soft_assignment(parts, codebooks, 30.0)
print("weights agree:", torch.allclose(weights, twin_weights, atol=1e-5))
twin_mixed = mixture(twin_weights, codebooks)
print("mixtures agree:", torch.allclose(mixed, twin_mixed, atol=1e-5))
divided = soft_assignment(parts, codebooks, 1 / 30.0)
print(
    "divided by tau differs:", not torch.allclose(divided, weights, atol=1e-3)
)

# %% [markdown]
# ## All of it in one picture
#
# Which code should one take? The figures below were *recorded*: each method, each length, five seeds. A seed draws the
# images that the code is fitted to (10,000 of the training part) and all that the method draws itself.
# `python -m retrieval_lib record shallow-codes` does it again. PQ and OPQ have 16 codewords a codebook, as in the later
# chapters; "256 codewords" is the usual choice elsewhere. PQ cuts the whole descriptor; OPQ turns its 256 leading
# principal directions, as above. PCAH is PCA hashing.

# %%
#| name: fig-shallow-pixels
#| caption: Recorded on pixels: mAP@1000 by the number of bits, mean and 95 % interval over five seeds.
#| alt: Lines of mAP against bits from 16 to 128 for six methods on pixels. PCA hashing falls. LSH rises most steeply, with
#|   the widest band, and crosses it between 16 and 32 bits. ITQ lies higher, the product quantizers lie highest and near
#|   exact search, a dashed line.
from retrieval_lib.evaluation import mean_interval
from retrieval_lib.experiments import over_seeds, read_results
from retrieval_lib.plots import by_bits

everything = read_results("shallow-codes").query("ties == 'expected'")
recorded = everything[everything.divisor == "retrieved"]


def summary(descriptor):
    """A table of means and intervals, and the interval of exact search."""
    chosen = recorded[recorded.variant == descriptor]
    exact = chosen.method == "exact"
    return over_seeds(chosen[~exact], ["method", "bits"]), mean_interval(
        chosen[exact].value.to_numpy()
    )


pixel_table, pixel_exact = summary("pixels")
by_bits(pixel_table, "mAP@1000", {"exact": pixel_exact.mean})

# %%
#| name: fig-shallow-pretrained
#| caption: Recorded on pretrained descriptors: the same methods, mean and 95 % interval over five seeds.
#| alt: Lines of mAP against bits from 16 to 128 for six methods on pretrained descriptors. PQ with 256 codewords lies
#|   highest and crosses exact search, a dashed line. PQ, OPQ and ITQ come close to that line from below. PCA hashing
#|   falls slowly, LSH rises from far below it.
feature_table, feature_exact = summary("pretrained")
by_bits(feature_table, "mAP@1000", {"exact": feature_exact.mean})

# %%
#| tags: hide-input
by_code = [
    table.set_index(["method", "bits"])["mean"]
    for table in (pixel_table, feature_table)
]
higher = int((by_code[1] > by_code[0]).sum())
above = feature_table[feature_table.low > feature_exact.high]
told = "; ".join(
    f"{r.method} with {r.bits:.0f} bits" for r in above.itertuples()
)
notebook.result(
    f"Exact search has mAP@1000 {pixel_exact.mean:.3f} on pixels and {feature_exact.mean:.3f} on pretrained descriptors. "
    f"{higher} of the {len(by_code[0])} codes score higher on the pretrained descriptors than on pixels. Codes whose "
    f"interval lies above that of exact search on the same descriptors: {told or 'none'}. A code may do that: exact "
    "search is exact for the distance, not for the label."
)
by_rule = {
    rule: {
        method: kept[
            (kept.method == method)
            & (kept.variant == "pretrained")
            & (kept.bits.isna() if method == "exact" else kept.bits == 64)
        ].value.mean()
        for method in ("exact", "PQ", "ITQ")
    }
    for rule, kept in everything.groupby("divisor")
}
notebook.result(
    "The divisor has a say in it. On pretrained descriptors, 64 bits: "
    + "; ".join(
        f"by *{rule}* exact search has {told['exact']:.3f}, PQ {told['PQ']:.3f}, ITQ {told['ITQ']:.3f}"
        for rule, told in by_rule.items()
    )
    + ". *Retrieved* looks at the order of what is found among the first thousand, and does not reward finding more of it."
)

# %% [markdown]
# Which differences are more than chance? The table takes the differences of mAP@1000 (divisor *retrieved*) seed by seed, at 64 bits.
# Behind each mean stands its 95 % interval; there are sixteen of them, and one in twenty misses by chance. Two of the
# comparisons are of more than one thing. OPQ turns 256 principal directions, where PQ cuts all numbers. And PQ compares an
# unquantized query with codes, where ITQ compares codes with codes.

# %%
from retrieval_lib.evaluation import paired_difference


def at_64_bits(method, descriptor):
    chosen = recorded[
        (recorded.method == method) & (recorded.variant == descriptor)
    ]
    return (
        chosen[(chosen.bits == 64) | (method == "exact")]
        .sort_values("seed")
        .value.to_numpy()
    )


pairs = (
    ("PCAH", "LSH"), ("ITQ", "LSH"), ("ITQ", "PCAH"), ("PQ", "ITQ"), ("OPQ", "PQ"), ("PQ, 256 codewords", "PQ"),
    ("PQ", "exact"), ("PQ, 256 codewords", "exact"),
)  # fmt: skip
differences = {
    (*pair, d): paired_difference(*(at_64_bits(m, d) for m in pair))
    for pair in pairs
    for d in ("pixels", "pretrained")
}
notebook.table(
    [
        {
            "difference": f"{first} − {second}",
            **{
                d: "{0.mean:+.3f} ({0.low:+.3f} to {0.high:+.3f})".format(
                    differences[first, second, d]
                )
                for d in ("pixels", "pretrained")
            },
        }
        for first, second in pairs
    ]
)

# %%
#| tags: hide-input
sure = {sign: [] for sign in ("better", "worse", "undecided")}
for (first, second, d), gain in differences.items():
    sign = (
        "better" if gain.low > 0 else "worse" if gain.high < 0 else "undecided"
    )
    sure[sign].append(f"{first} − {second} ({d})")
first_row = recorded.iloc[0]
notebook.result(
    f"At 64 bits {len(differences) - len(sure['undecided'])} of the {len(differences)} intervals do not hold zero. Below zero lie: "
    f"{'; '.join(sure['worse']) or 'none'}. The interval covers what the seeds draw. It does not cover "
    f"another choice of queries or another data set. Recorded on {first_row.source}, protocol `{first_row.protocol}`, "
    f"{first_row.device}, in {recorded.drop_duplicates(['method', 'variant', 'bits', 'seed']).seconds.sum() / 60:.0f} "
    "minutes."
)

# %% [markdown]
# Quality is one side. The other is cost: bytes per image, and time per query. The next two figures take the quality from the
# record and measure the time here, with the indexes of `retrieval_lib.index`: thin wrappers that put our codes into
# [faiss](https://github.com/facebookresearch/faiss).
#
# The time of a scan depends on sizes, not on what the codes say. So random codes are timed, for descriptors as long as
# the recorded ones. The time of a code includes its query's part: the projection onto the planes, or the look-up table.
# "Fast scan" keeps the table of 16 codewords in the processor's registers and computes the best candidates again exactly.

# %%
#| tags: hide-input
import time

import faiss

from retrieval_lib.index import HammingIndex, PQIndex

count = {"quick": 5_000, "book": 50_000, "full": 200_000}[size]  # images
threads = torch.get_num_threads()
generator = torch.Generator().manual_seed(0)


def draw(*shape):
    return torch.randn(*shape, generator=generator)


def milliseconds(search_one, length, repeats=20):
    """The median time of a query, one query at a time, on one thread."""
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    times = []
    for one in draw(repeats, 1, length):
        start = time.perf_counter()
        search_one(one)
        times.append(1e3 * (time.perf_counter() - start))
    torch.set_num_threads(threads)
    faiss.omp_set_num_threads(threads)
    return sorted(times)[repeats // 2]


def time_exact(length):
    rows = draw(count, length)
    return milliseconds(lambda q: (rows @ q[0]).topk(100), length)


def time_hamming(bits, length):
    planes, index = draw(length, bits), HammingIndex(bits)
    index.add(side(draw(count, bits)))
    return milliseconds(lambda q: index.search(side(q @ planes), 100), length)


def time_product(books, words, length, fast=False, turned=False):
    """With `turned`: 256 principal directions and a rotation before."""
    directions = draw(length, 256) if turned else None
    reach = 256 if turned else length
    quantizer = ProductQuantizer(
        draw(books, words, reach // books), torch.eye(256) if turned else None
    )
    index = PQIndex(quantizer, fast=fast)
    index.add(torch.randint(words, (count, books), generator=generator))
    return milliseconds(
        lambda q: index.search(q @ directions if turned else q, 100), length
    )


def costs(table, exact, length):
    """Rows for the figure: recorded quality, bytes and measured time."""
    rows = [
        {
            "method": "exact",
            "quality": exact.mean,
            "low": exact.low,
            "high": exact.high,
            "bytes": 4 * length,
            "milliseconds": time_exact(length),
        }
    ]
    for bits in sorted({int(b) for b in table.bits}):
        hamming = time_hamming(bits, length)
        times = {
            "LSH": {"LSH": hamming},
            "PCAH": {"PCAH": hamming},
            "ITQ": {"ITQ": hamming},
            "PQ": {
                "PQ": time_product(bits // 4, 16, length),
                "PQ, fast scan": time_product(bits // 4, 16, length, fast=True),
            },
            "PQ, 256 codewords": {
                "PQ, 256 codewords": time_product(bits // 8, 256, length)
            },
            "OPQ": {"OPQ": time_product(bits // 4, 16, length, turned=True)},
        }
        for row in table[table.bits == bits].itertuples():
            rows += [
                {
                    "method": name,
                    "quality": row.mean,
                    "low": row.low,
                    "high": row.high,
                    "bytes": bits // 8,
                    "milliseconds": taken,
                }
                for name, taken in times[row.method].items()
            ]
    return rows


pixel_costs = costs(pixel_table, pixel_exact, 3 * 32 * 32)
feature_costs = costs(feature_table, feature_exact, 1280)

# %%
#| name: fig-trade-off-pixels
#| caption: On pixels: recorded mAP with its interval over five seeds, against memory and against the time measured here. Each line
#|   joins codes of 16, 32, 64 and 128 bits. The fast scan has the mAP of PQ, and hides it in the left panel.
#| alt: Two panels with a logarithmic horizontal axis. Left, mAP against bytes per image: codes of 2 to 16 bytes lie far
#|   left of exact search, which has thousands of bytes. Right, mAP against milliseconds per query: exact search is slowest.
from retrieval_lib.plots import trade_off

trade_off(pixel_costs, "mAP@1000", "pixels")

# %%
#| name: fig-trade-off
#| caption: On pretrained descriptors: the same codes, their recorded mAP, their memory and their time. Lines as
#|   in the figure before.
#| alt: Two panels as in the figure before. PQ with 256 codewords reaches the mAP of exact search with a small part of
#|   its bytes and of its time. The binary codes and the fast scan lie farthest left in time.
trade_off(feature_costs, "mAP@1000", "pretrained")

# %%
#| tags: hide-input
of = {(row["method"], row["bytes"]): row for row in feature_costs}
exact_row = feature_costs[0]
fast_row, hamming_row, slow_row, wide_row = (
    of[name, 8] for name in ("PQ, fast scan", "ITQ", "PQ", "PQ, 256 codewords")
)
verdict = "Here Hamming distance is the fastest."
if fast_row["milliseconds"] < hamming_row["milliseconds"]:
    verdict = 'So "Hamming is faster than PQ" is no law; it depends on how the tables are read.'
if wide_row["milliseconds"] < slow_row["milliseconds"]:
    verdict += " At equal bits, 256 codewords need half as many look-ups as 16, and their numbers are whole bytes."
if of["ITQ", 2]["milliseconds"] > of["ITQ", 4]["milliseconds"]:
    verdict += " Codes of two bytes are slower to compare than codes of four, for which faiss has a path of its own."
quantizer = fit_pq(train[:part], 16, 16)
database_codes = quantizer.encode(database)
scans = []
for fast in (False, True):
    index = PQIndex(quantizer, fast=fast)
    index.add(database_codes)
    scans.append(index.search(query, 100)[0])
kept = float(((scans[0] - scans[1]).abs() < 1e-4).float().mean())
notebook.result(
    f"With 64 bits, {count:,} images and descriptors of 1280 numbers: exact search {exact_row['milliseconds']:.2f} ms a "
    f"query, Hamming {hamming_row['milliseconds']:.2f} ms, PQ by look-up tables {slow_row['milliseconds']:.2f} ms with 16 "
    f"codewords and {wide_row['milliseconds']:.2f} ms with 256, PQ with fast scan {fast_row['milliseconds']:.2f} ms. "
    f"{verdict} The fast scan is drawn with the mAP of PQ: on the images of this page, {kept:.1%} of the distances that it "
    f"finds for the first hundred places are those of the full scan. 64 bits take {exact_row['bytes'] // 8} times less "
    f"memory than the descriptor and keep {slow_row['quality'] / exact_row['quality']:.0%} (PQ) and "
    f"{hamming_row['quality'] / exact_row['quality']:.0%} (ITQ) of the mAP of exact search."
)

# %% [markdown]
# ### Scanning less: the inverted file
#
# All searches so far look at every code. A billion look-ups are many, even fast ones. An *inverted file* first sorts the
# database into lists, by the nearest of some centres. A query reads only the lists whose centres are nearest to it [14].
# What does it miss? Two questions: of the ten that a whole scan of the codes puts first, how many are found? And of
# the ten images whose descriptors are truly nearest, how many?

# %%
from retrieval_lib.index import IVFPQIndex

LISTS, SCAN = 64, "of the whole scan's ten"
centres = fit_pq(train[:part], 1, LISTS).codebooks[0]  # by k-means
stands_for = quantizer.decode(database_codes)
in_list = torch.cdist(stands_for, centres).argmin(1)  # (N,)
sizes = torch.bincount(in_list, minlength=LISTS)
near_lists = torch.cdist(query, centres).argsort(1)  # (Q, lists)
truly = torch.cdist(query, database).topk(10, largest=False).indices
last = scans[0][:, 9:10] + 1e-4  # distance of the tenth of a whole scan
rows = []
for probes in (1, 2, 4, 8, 16, LISTS):
    index = IVFPQIndex(quantizer, centres, probes=probes)
    index.add(database_codes)
    distances, ids = index.search(query, 10)
    read = sizes[near_lists[:, :probes]].sum(1).float().mean() / len(database)
    of_scan = (distances <= last).float().mean()
    of_true = (ids.unsqueeze(2) == truly.unsqueeze(1)).any(2).float().mean()
    rows.append(
        {
            "lists read": f"{probes} of {LISTS}",
            "codes read": f"{read:.0%}",
            SCAN: f"{of_scan:.0%}",
            "of the ten truly nearest": f"{of_true:.0%}",
        }
    )
notebook.table(rows)

# %%
#| tags: hide-input
enough = next(row for row in rows if int(row[SCAN].rstrip("%")) >= 95)
notebook.result(
    f"Reading {enough['codes read']} of the codes finds {enough[SCAN]} of what the whole scan puts first. "
    f"The last column is another matter: even the whole scan has only {rows[-1]['of the ten truly nearest']} of the truly nearest "
    "images among its first ten. 64 bits do not tell which of the near ones is nearest. For a search by label that is enough, "
    "as the scores above show; who needs the nearest ones themselves, takes longer codes, or compares the first hundreds again "
    "by their descriptors."
)

# %% [markdown]
# One number hides where a ranking is good. The curve of precision against recall shows it: how many of the results are
# right when a tenth, a half, all of the relevant images have been found?

# %%
#| name: fig-precision-recall
#| caption: Precision against recall with 64 bits on pretrained descriptors; exact search beside.
#| alt: Falling lines. Exact search and PQ lie close together and highest and cross each other, ITQ lies a little lower,
#|   LSH lowest; all end at chance, a dashed line, when everything has been found.
from retrieval_lib.evaluation import precision_recall_curve
from retrieval_lib.hashing import fit_lsh
from retrieval_lib.plots import precision_recall

searches = {
    "exact": Euclidean(query, database),
    "PQ": ADC(quantizer.look_up_tables(query), database_codes),
    "ITQ": Hamming(
        *(fit_itq(train[:part], 64).encode(x) for x in (query, database))
    ),
    "LSH": Hamming(*(fit_lsh(train, 64).encode(x) for x in (query, database))),
}
curves = {}
for name, found in searches.items():
    _, precision, recall = precision_recall_curve(found, relevance)
    curves[name] = recall, precision
chance = float(relevance.block(0, len(query)).float().mean())
precision_recall(curves, chance)

# %%
#| tags: hide-input


def precision_at(name, reached):
    recall, precision = curves[name]
    return float(precision[(recall >= reached).nonzero()[0, 0]])


told = "; ".join(
    f"{name} {precision_at(name, 0.1):.2f} and {precision_at(name, 0.5):.2f}"
    for name in curves
)
notebook.result(
    f"Precision when a tenth and when half of the relevant images have been found: {told}. Chance is {chance:.2f}. "
    + (
        "When half have been found, PQ is more precise than exact search, of which it is an approximation, as in the recorded figures "
        "above. "
        if precision_at("PQ", 0.5) > precision_at("exact", 0.5)
        else ""
    )
    + "mAP@k with a small k sees only the left end of these lines."
)

# %% [markdown]
# And what does a user see? One query, four searches. The query is the one whose score under exact search is the median:
# half of the queries fare better, half of them worse.

# %%
#| name: fig-fitted-search
#| caption: One query searched exactly and with 64-bit codes, on pretrained descriptors.
#| alt: Four rows of images with the same query: exact search, PQ, ITQ and LSH. Ticks mark results of the query's
#|   label, crosses the others. The rows of exact search and PQ have more ticks than those of ITQ and LSH.
from retrieval_lib.plots import retrieval_grid

exact_scores = evaluate(searches["exact"], relevance, k=k).average_precision
asked = int(exact_scores.argsort()[len(query) // 2])
ranked = torch.stack(
    [
        d.block(asked, asked + 1)[0].argsort(stable=True)[:9]
        for d in searches.values()
    ]
)
retrieval_grid(
    images.images[search.query[asked]].expand(4, -1, -1, -1),
    images.images[search.database[ranked]],
    query_labels[asked] == database_labels[ranked],
    query_names=list(searches),
)

# %%
#| tags: hide-input
right = (query_labels[asked] == database_labels[ranked]).sum(1).tolist()
in_both = [len(set(r) & set(ranked[0].tolist())) for r in ranked.tolist()]
told = ", ".join(
    f"{name} {n} ({b})"
    for name, n, b in zip(searches, right, in_both, strict=True)
)
notebook.result(
    f"The query's label is {images.class_names[query_labels[asked]]}. Right among nine results, and in brackets how many "
    f"of the nine exact search has as well: {told}."
)

# %% [markdown]
# ## Keep an index, open it anywhere
#
# An index is saved as a plain faiss file, with a small text file beside it: bits, metric, which split its ids belong to,
# and checksums. A file that was cut off or altered is refused. Whoever has only faiss can open it as well.

# %%
# NBVAL_CHECK_OUTPUT
import tempfile
from pathlib import Path

from retrieval_lib.index import load_index, save_index

index = PQIndex(quantizer)
index.add(quantizer.encode(database))
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "database.faiss"
    save_index(index, path, split.hash)
    again = load_index(path, split.hash)
    plain = faiss.read_index(str(path))  # nothing of this library
    ids = [index.search(query[:5], 10)[1], again.search(query[:5], 10)[1]]
    print("loaded again, same results:", torch.equal(*ids))
    print(
        "plain faiss, same results:",
        torch.equal(
            ids[0], torch.from_numpy(plain.search(query[:5].numpy(), 10)[1])
        ),
    )
    path.write_bytes(path.read_bytes()[:-1])
    try:
        load_index(path)
    except ValueError as error:
        print("a byte too few:", str(error).split(": ")[1])

# %% [markdown]
# ## Limits, traps and common mistakes
#
# - **The descriptor decides.** Each code scores higher on the pretrained descriptors than on pixels, whatever its length.
# - **Trap: cutting principal values in order.** The first part then carries most of the variance, and the last parts
#   get as many bits for very little of it. Turn them (by OPQ, or at random), or cut the raw descriptor.
# - **Trap: `index.add(x)` with codebooks of one's own.** faiss assigns codewords by Euclidean distance, whatever the
#   metric of the index. `PQIndex` adds codes.
# - **Trap: comparing K = 16 and K = 256 by the number of codebooks.** Compare at equal bits.
# - **Common mistake: fitting on the queries.** Codes are fitted to training images; the queries are only encoded.
# - **What did not work.** Bits that look perfect by balance and correlation need not retrieve well (PCA hashing). And a
#   smaller error need not give a better ranking: see exercise 5.
#
# ## Summary
#
# - PCA hashing looks where the data vary, and gives its late, narrow directions the same vote as the first.
# - ITQ's rotation shares the variance out among the bits.
# - Product quantization keeps numbers of codewords; ADC compares an unquantized query with them by table look-up.
# - OPQ turns before it cuts.
# - Soft assignment makes the choice of a codeword differentiable: the later chapters start from there.
#
# ## Exercises
#
# Try each before you open its solution. The solutions ran with the rest of the page.

# %% [markdown]
# **1. Both sides quantized.** *Symmetric* distance computation (SDC) quantizes the query too, and looks up distances
# between codewords. It needs no table for each query. What does it cost in mAP?

# %%
#| tags: hide-cell
query_decoded = quantizer.decode(quantizer.encode(query))
symmetric = evaluate(
    ADC(quantizer.look_up_tables(query_decoded), quantizer.encode(database)),
    relevance,
    k=k,
)
asymmetric = evaluate(searches["PQ"], relevance, k=k)
loss = paired_difference(
    symmetric.average_precision, asymmetric.average_precision
)
notebook.result(
    f"SDC has mAP@{k} {symmetric.mean_average_precision:.3f}, ADC {asymmetric.mean_average_precision:.3f}; the difference, "
    f"query by query, is {loss.mean:+.3f} ({loss.low:+.3f} to {loss.high:+.3f})."
)

# %% [markdown]
# **2. Squared or plain.** Sum plain instead of squared distances over the parts. Does the ranking get better or worse?

# %%
#| tags: hide-cell
plain_sums = evaluate(
    ADC(quantizer.look_up_tables(query).sqrt(), quantizer.encode(database)),
    relevance,
    k=k,
)
gain = paired_difference(
    plain_sums.average_precision, asymmetric.average_precision
)
notebook.result(
    f"Plain minus squared: {gain.mean:+.4f} ({gain.low:+.4f} to {gain.high:+.4f}) mAP@{k}: "
    + (
        "worse. "
        if gain.high < 0
        else "better. "
        if gain.low > 0
        else "no difference that these queries can tell. "
    )
    + "The sum of squares is the squared Euclidean distance to the decoded descriptor. The sum of plain distances is a distance, "
    "too, but another one: a part that is far off weighs less. One published script uses it; the chapter on SPQ comes back "
    "to it."
)

# %% [markdown]
# **3. Few turns.** How many turns does ITQ need? Look at its error and at mAP after 0, 1, 3, 10 and 50; 0 is a random rotation.
# Whoever chooses a number of turns must not look at the test queries: let images of the validation part search.

# %%
#| tags: hide-cell
held_out = torch.isin(
    search.database, split.searches["validation"].query
).nonzero()[:1000, 0]
others = ~torch.isin(search.database, split.searches["validation"].query)
held_judged = Relevance(database_labels[held_out], database_labels[others])
values = fit_pca(train[:part], 64).project(train[:part])
projected = fit_pca(train[:part], 64).project(database)
start = torch.linalg.qr(
    torch.randn(64, 64, generator=torch.Generator().manual_seed(0))
).Q
turned_by = {0: start}
for turns in (1, 3, 10, 50):
    generator = torch.Generator().manual_seed(0)
    turned_by[turns] = itq_rotation(values, turns, generator)[0]
rows, by_turns = [], {}
for turns, rotation in turned_by.items():
    corners = torch.where(values @ rotation >= 0, 1.0, -1.0)
    own = side(projected @ rotation)
    by_turns[turns] = evaluate(
        Hamming(own[held_out], own[others]), held_judged, k=k
    ).mean_average_precision
    rows.append(
        {
            "turns": turns,
            "error": f"{(corners - values @ rotation).square().mean():.4f}",
            f"validation mAP@{k}": f"{by_turns[turns]:.3f}",
        }
    )
notebook.table(rows)
whole = by_turns[50] - by_turns[0]
gained = (by_turns[1] - by_turns[0]) / whole
enough = next((t for t in (1, 3, 10) if by_turns[t] - by_turns[0] >= 0.9 * whole), None)  # fmt: skip
notebook.result(
    f"One turn brings {gained:.0%} of what fifty bring over a random rotation; ten have {by_turns[10]:.3f}, fifty "
    f"{by_turns[50]:.3f}."
    + (
        f" Nine tenths of the gain are reached by {enough} turns, from this random start."
        if enough
        else ""
    )
)

# %% [markdown]
# **4. Sixteen or 256.** At 64 bits, compare 16 codebooks of 16 codewords with 8 codebooks of 256: numbers to store,
# entries of a query's table, variance lost, mAP.

# %%
#| tags: hide-cell
rows = []
for books, words in ((16, 16), (8, 256)):
    q = fit_pq(train[:part], books, words)
    found = ADC(q.look_up_tables(query), q.encode(database))
    rows.append(
        {
            "codebooks × codewords": f"{books} × {words}",
            "numbers in the codebooks": f"{q.codebooks.numel():,}",
            "entries of a table": books * words,
            "variance lost": f"{lost(q, database):.0%}",
            f"mAP@{k}": f"{score(found):.3f}",
        }
    )
notebook.table(rows)
few, many_words = rows
notebook.result(
    f"With as many bits, 256 codewords lose {many_words['variance lost']} of the variance instead of {few['variance lost']}, "
    f"and have mAP {many_words[f'mAP@{k}']} instead of {few[f'mAP@{k}']}. The price: {many_words['numbers in the codebooks']} "
    f"numbers instead of {few['numbers in the codebooks']}, and a larger table for each query."
)

# %% [markdown]
# **5. A rotation for nothing?** A random rotation before the cut shares the variance out as well. Is OPQ better than that?

# %%
#| tags: hide-cell
random_turn = torch.linalg.qr(
    torch.randn(reduced[0].shape[1], reduced[0].shape[1])
).Q
turned_parts = [x @ random_turn for x in reduced]
randomly = fit_pq(turned_parts[0], 16, 16)
by_chance = evaluate(
    ADC(
        randomly.look_up_tables(turned_parts[1]),
        randomly.encode(turned_parts[2]),
    ),
    relevance,
    k=k,
)
opq, (opq_query, opq_database) = fitted["OPQ"]
learned = evaluate(
    ADC(opq.look_up_tables(opq_query), opq.encode(opq_database)), relevance, k=k
)
gain = paired_difference(learned.average_precision, by_chance.average_precision)
notebook.result(
    f"With one random rotation mAP@{k} is {by_chance.mean_average_precision:.3f}, with OPQ "
    f"{learned.mean_average_precision:.3f}; the difference, query by query, is {gain.mean:+.3f} "
    f"({gain.low:+.3f} to {gain.high:+.3f}). The error falls from {randomly.error(turned_parts[2]):.3f} to "
    f"{opq.error(opq_database):.3f}. "
    + (
        "So the error is smaller, and the ranking is worse than with this one random rotation."
        if gain.high < 0
        else "So the error is smaller, and the ranking is not better than with this one random rotation."
        if gain.low <= 0
        else "So it is better than this one random rotation."
    )
)

# %% [markdown]
# ## References
#
# - [12] M. S. Charikar. Similarity estimation techniques from rounding algorithms. STOC 2002.
# - [13] Y. Gong, S. Lazebnik. Iterative quantization: a procrustean approach to learning binary codes. CVPR 2011.
# - [14] H. Jégou, M. Douze, C. Schmid. Product quantization for nearest neighbor search. TPAMI 2011.
# - [15] T. Ge, K. He, Q. Ke, J. Sun. Optimized product quantization for approximate nearest neighbor search. CVPR 2013.
#
# The numbers are those of the page [References](references.md), which has the rest.
