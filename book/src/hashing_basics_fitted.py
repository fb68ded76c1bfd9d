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
# - OPQ, and the soft assignment that later chapters use to learn codebooks by gradient descent;
# - what all of them cost and what they find, side by side.
#
# **What you should know**: the [first half of this chapter](hashing_basics.ipynb), eigenvectors, and k-means.
#
# **How long it takes**: one to two minutes on two CPU cores. A GPU is not needed.

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
# ## PCA hashing: look where the data vary
#
# A random direction may point where all images are nearly the same. Its bit then says nothing.
# Principal component analysis (PCA) finds the directions in which the data vary most: the leading eigenvectors of their
# covariance. *PCA hashing* takes one bit along each:
#
# $$ b_i = \left[\, v_i^\top (x - \mu) \ge 0 \,\right], \qquad \Sigma v_i = \lambda_i v_i, \quad \lambda_1 \ge \lambda_2 \ge \dots $$


# %%
def pca_directions(descriptors, bits):
    """Mean (D,) and the leading eigenvectors (D, bits) of the covariance of the descriptors (N, D)."""
    mean = descriptors.mean(0)
    centred = descriptors - mean                                          # (N, D)
    covariance = centred.T @ centred / len(centred)                       # (D, D)
    values, vectors = torch.linalg.eigh(covariance)                       # rising
    return mean, vectors[:, -bits:].flip(1), values.flip(0)


# %% [markdown]
# ## ITQ: one rotation
#
# The first principal directions carry far more variance than the later ones, but each gets one bit.
# So a late bit, which measures little more than noise, counts as much as the first.
# *Iterative quantization* (ITQ) keeps the space that PCA found and turns it, so that the variance is shared out and the
# points come close to the corners of a cube. With $V$ the centred descriptors in that space, it looks for
#
# $$ \min_{B, R} \lVert B - V R \rVert_F^2, \qquad B \in \{-1, 1\}^{N \times b}, \quad R^\top R = I, $$
#
# by turns: for a fixed rotation $R$ the best codes are the signs, $B = \mathrm{sign}(VR)$; for fixed codes the best
# rotation comes from a singular value decomposition: with $B^\top V = S \Omega \hat S^\top$, it is $R = \hat S S^\top$.


# %%
def itq_rotation(projected, iterations, generator):
    """A rotation (b, b) for the projected descriptors (N, b), and the quantisation error of each turn."""
    bits = projected.shape[1]
    rotation = torch.linalg.qr(torch.randn(bits, bits, generator=generator)).Q
    errors = []
    for _ in range(iterations):
        rotated = projected @ rotation                                    # (N, b)
        codes = torch.where(rotated >= 0, 1.0, -1.0)                      # (N, b)
        errors.append(float(((codes - rotated) ** 2).mean()))
        left, _, right = torch.linalg.svd(codes.T @ projected)
        rotation = right.T @ left.T                                       # (b, b)
    return rotation, errors


# %% [markdown]
# ## Product quantization: codewords in place of bits
#
# A bit is a coarse thing to say about a direction. *Vector quantization* says more: run k-means, and replace each
# descriptor by the nearest of $K$ centres, its *codeword*. The code is the number of the codeword, $\log_2 K$ bits.
# But 64 bits would take $2^{64}$ codewords, which no machine can learn or store.
#
# *Product quantization* (PQ) cuts the descriptor into $M$ parts $x_1, \dots, x_M$ of $d$ numbers and quantizes each part
# with a *codebook* of its own. $M$ codebooks of $K$ codewords can express $K^M$ vectors, and cost $M K d$ numbers.
# A code has $M \log_2 K$ bits.


# %%
def k_means(points, k, iterations, generator):
    """k codewords (k, d) for points (N, d)."""
    codewords = points[torch.randperm(len(points), generator=generator)[:k]].clone()
    for _ in range(iterations):
        nearest = torch.cdist(points, codewords).argmin(1)                # (N,)
        for j in range(k):
            if (nearest == j).any():
                codewords[j] = points[nearest == j].mean(0)
    return codewords


def train_codebooks(descriptors, parts, k, iterations, generator):
    """Codebooks (M, K, d): one k-means for each part of the descriptor."""
    return torch.stack([k_means(x, k, iterations, generator) for x in descriptors.chunk(parts, dim=1)])


def encode(descriptors, codebooks):
    """Codes (N, M): for each part the number of its nearest codeword."""
    parts = descriptors.reshape(len(descriptors), len(codebooks), -1).transpose(0, 1)      # (M, N, d)
    return torch.cdist(parts, codebooks).argmin(2).T                                       # (N, M)


def decode(codes, codebooks):
    """Descriptors (N, M*d) put together from codewords."""
    return torch.cat([codebooks[m][codes[:, m]] for m in range(len(codebooks))], dim=1)


# %% [markdown]
# ## Distances by table look-up: ADC
#
# How far is a query from a database image of which only the code is left?
# The query need not be quantized: nobody stores it. So we compare the query itself with codewords, and because the
# squared distance is a sum over the parts,
#
# $$ \lVert q - \hat x \rVert^2 = \sum_{m=1}^{M} \lVert q_m - c_{m, k_m} \rVert^2 , $$
#
# all that can ever appear in this sum are the $M \times K$ distances between the parts of the query and the codewords.
# Compute them once a query, put them into a table, and every database image costs $M$ look-ups and additions.
# This is *asymmetric distance computation* (ADC): one side is quantized, the other is not.


# %%
def look_up_table(query, codebooks):
    """Squared distances (M, K) between the parts of one query (D,) and all codewords."""
    parts = query.reshape(len(codebooks), 1, -1)                          # (M, 1, d)
    return ((parts - codebooks) ** 2).sum(2)                              # (M, K)


def adc(table, codes):
    """Distances (N,) of one query, by its table (M, K), to the codes (N, M)."""
    return sum(table[m][codes[:, m]] for m in range(len(table)))
