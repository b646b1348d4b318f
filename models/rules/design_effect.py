"""How much less listings say than as many independent ones would: those of a product are right or wrong together.

Counts are divided by the design effect 1 + (m̄ − 1)ρ before a test for independent ones sees them (Rao and Scott 1992),
with m̄ the mean size of the product that a listing belongs to, and ρ the correlation of being right within a product.
"""

import numpy as np
from jaxtyping import Bool, Shaped


def intraclass_correlation(right: Bool[np.ndarray, " N"], products: Shaped[np.ndarray, " N"]) -> float:
    """ρ, 0 to 1, by analysis of variance; 1 where nobody can tell, because none or all of the listings are right."""
    _, product, sizes = np.unique(products, return_inverse=True, return_counts=True)
    count, groups = len(right), len(sizes)
    if count == groups:
        return 0.0  # of no consequence: no product has two
    shares = np.bincount(product, weights=right) / sizes
    between = (sizes * (shares - right.mean()) ** 2).sum() / max(groups - 1, 1)
    within = (sizes * shares * (1 - shares)).sum() / (count - groups)
    typical = (count - (sizes**2).sum() / count) / max(groups - 1, 1)
    whole = between + (typical - 1) * within
    return float(np.clip((between - within) / whole, 0, 1)) if whole > 0 else 1.0


def design_effect(products: Shaped[np.ndarray, " N"], correlation: float) -> float:
    """1 where every listing counts in full; N of one product that stand or fall together have N, and count as one."""
    sizes = np.unique(products, return_counts=True)[1]
    return 1 + float((sizes**2).sum() / sizes.sum() - 1) * correlation if len(sizes) else 1.0
