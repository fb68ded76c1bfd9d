"""Average precision, expected over all orders of the tied images.

McSherry and Najork (ECIR 2008) give the expectation without a cut-off. The cut at k, and the divisor that is itself a
matter of chance, are worked out here.
"""

import torch
from torch import Tensor

from retrieval_lib.evaluation.tie_groups import TieGroups

DIVISORS = ("retrieved", "min(k, R)", "all relevant")


def average_precision(groups: TieGroups, k: int | None, divisor: str) -> Tensor:
    """Expected AP@k of each query.

    Args:
        groups: tied images, by query.
        k: length of the ranking that is judged; None for all of it.
        divisor: `retrieved` (the relevant images in the top k, as the papers do), `min(k, R)` or `all relevant` (R).

    Returns:
        (Q,) float64; 0 for a query that finds nothing.

    Raises:
        ValueError: k is less than 1, or there is no such divisor.

    >>> tied = TieGroups(torch.tensor([[2]]), torch.tensor([[1]]))  # two tied images, one of them relevant
    >>> average_precision(tied, None, "retrieved")  # it is first (AP 1) or second (AP 1/2)
    tensor([0.7500], dtype=torch.float64)
    """
    if divisor not in DIVISORS:
        raise ValueError(f"There is no divisor {divisor!r}; choose from {', '.join(DIVISORS)}.")
    total = int(groups.sizes.sum(1).max()) if groups.sizes.numel() else 0
    k = total if k is None else k
    if k < 1:
        raise ValueError(f"k={k}: a ranking has at least one place.")
    harmonic = torch.zeros(total + 1, dtype=torch.float64)
    harmonic[1:] = (1 / torch.arange(1, total + 1, dtype=torch.float64)).cumsum(0)

    # From here on only the groups that can add something, in one row: (S,)
    counts = groups.relevant > 0
    counts &= groups.sizes.cumsum(1) - groups.sizes < k
    query = counts.nonzero()[:, 0]
    n, r = groups.sizes[counts], groups.relevant[counts]
    before = (groups.sizes.cumsum(1) - groups.sizes)[counts]  # t: images ranked before the group
    hits_before = (groups.relevant.cumsum(1) - groups.relevant)[counts]  # R0: relevant ones among them
    slots = (k - before).minimum(n)  # places of the group within the top k
    pairs = _ratio(r - 1, n - 1).clamp(min=0)  # rho: chance that another image of the group is relevant, too
    gain = _ratio(r, n) * _slot_sum(pairs, before, hits_before, slots, harmonic)

    def by_query(values: Tensor) -> Tensor:
        return torch.zeros(len(groups.sizes), dtype=torch.float64).index_add(0, query, values.double())

    relevant_in_all = groups.relevant.sum(1)
    if divisor == "all relevant":
        return _ratio(by_query(gain), relevant_in_all)
    if divisor == "min(k, R)":
        return _ratio(by_query(gain), relevant_in_all.clamp(max=k))

    cut = slots < n  # the group that the cut goes through: at most one a query
    whole = by_query(torch.where(cut, 0.0, gain))  # from the groups that lie in the top k as a whole
    scores = _ratio(whole, by_query(torch.where(cut, 0, r)))
    if cut.any():
        scores[query[cut]] = _over_hits(
            n[cut], r[cut], slots[cut], before[cut], hits_before[cut], whole[query[cut]], harmonic
        )
    return scores


def _slot_sum(pairs: Tensor, before: Tensor, hits_before: Tensor, slots: Tensor, harmonic: Tensor) -> Tensor:
    """Sum over j = 1..slots of (R0 + 1 + (j - 1) rho) / (t + j), by a difference of harmonic numbers."""
    difference = harmonic[before + slots] - harmonic[before]
    return pairs * slots + (hits_before + 1 - pairs * (before + 1)) * difference


def _over_hits(n, r, slots, before, hits_before, whole, harmonic) -> Tensor:
    """Expectation of the ratio where the cut goes through a group: by the number h of hits among its slots.

    h is hypergeometric; given h, the hits are spread evenly over the slots. All arguments are (q,).
    """
    most = int(torch.minimum(r, slots).max())
    h = torch.arange(most + 1).unsqueeze(0)  # (1, H)
    n, r, slots, before, hits_before, whole = (v.unsqueeze(1) for v in (n, r, slots, before, hits_before, whole))
    possible = (h <= r) & (h <= slots) & (slots - h <= n - r)
    log_chance = (_log_choose(r, h) + _log_choose(n - r, slots - h) - _log_choose(n, slots)).masked_fill(
        ~possible, -torch.inf
    )
    pairs = _ratio(h - 1, slots - 1).clamp(min=0)  # (q, H)
    gain = _ratio(h, slots) * _slot_sum(pairs, before, hits_before, slots, harmonic)
    return (log_chance.exp() * _ratio(whole + gain, hits_before + h)).sum(1)


def _log_choose(n: Tensor, k: Tensor) -> Tensor:
    """log of the binomial coefficient; meaningless (but finite) outside 0..n, where it is masked."""
    n, k = n.double(), k.double()
    rest = (n - k).clamp(min=0)
    return torch.lgamma(n + 1) - torch.lgamma(k.clamp(min=0) + 1) - torch.lgamma(rest + 1)


def _ratio(a: Tensor, b: Tensor) -> Tensor:
    """a / b in float64, 0 where b is 0 or less."""
    b = b.double()
    return torch.where(b > 0, a.double() / torch.where(b > 0, b, 1.0), 0.0)
