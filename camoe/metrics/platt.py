"""Platt's calibration of a head: two parameters on the logit, fitted to labelled rows by maximum likelihood."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit

from camoe.contracts.config_file import Section
from camoe.metrics.histogram import P_MAX, P_MIN, Floats, Histogram, logit_bin, merge

MAX_STEPS = 100
TOLERANCE = 1e-10
FOLDS = 5


class Platt(Section):
    """`p = sigmoid(slope * logit(p_raw) + intercept)` (Platt, 1999), fitted to `rows` with `positives` among them.

    With a `reason` nothing could be fitted, and `p` is `p_raw`. The slope is above zero, so the order of rows stays.
    """

    slope: float = 1.0
    intercept: float = 0.0
    rows: int
    positives: int
    reason: str | None = None

    def calibrated(self, p_raw: Floats) -> Floats:
        """Return the calibrated probabilities, in the shape of `p_raw`."""
        if self.reason is not None:
            return p_raw
        p: Floats = expit(self.slope * logit(np.clip(p_raw, P_MIN, P_MAX)) + self.intercept)
        return p


def fit_platt(state: Histogram, min_per_class: int) -> Platt:
    """Fit the calibration to the labelled rows of `state`, each at the mean prediction of its logit bin.

    A bin is 1/400 wide, so this is the fit to the rows themselves to about six digits; and states add up, so it does
    not depend on how the rows were spread over workers. With fewer than `min_per_class` rows of a label, or where the
    likelihood has no maximum with a slope above zero, it is the identity.
    """
    identity = Platt(rows=state.rows, positives=state.clicks)
    rarer = min(state.clicks, state.rows - state.clicks)
    if not rarer:
        return _left(identity, "its labelled rows have one class only")
    if rarer < min_per_class:
        return _left(identity, f"{rarer} rows of the rarer label, fewer than {min_per_class}")
    bins = state.bins()
    found = _most_likely(logit(np.clip(bins.p_sum / bins.count, P_MIN, P_MAX)), bins.count, bins.positives)
    if found is None:
        return _left(identity, "its likelihood has no maximum: predictions are all alike or separate the labels")
    slope, intercept = found
    if slope <= 0:
        return _left(identity, "higher predictions come with fewer positives, and their order is to stay")
    return identity.model_copy(update={"slope": slope, "intercept": intercept})


def keep_if_better(fitted: Platt, state: Histogram, users: int) -> Platt:
    """Return `fitted`, or the identity where calibration does not lower the log loss of users that it has not seen.

    Each fifth of the users is calibrated by a fit to the others. A bucket of `state` is `slot * users + user's bucket`.
    """
    if fitted.reason is not None:
        return fitted
    fold = state.bucket % users % FOLDS
    after = 0.0
    for number in range(FOLDS):
        others = fit_platt(state.only(fold != number), min_per_class=1)
        after += float(calibrated_state(state.only(fold == number), others).log_loss.sum())
    before = float(state.log_loss.sum())
    if after < before:
        return fitted
    identity = Platt(rows=fitted.rows, positives=fitted.positives)
    return _left(identity, f"users that it is not fitted to have {after / before - 1:.2%} more log loss with it")


def _left(identity: Platt, reason: str) -> Platt:
    return identity.model_copy(update={"reason": reason})


def calibrated_state(state: Histogram, platt: Platt) -> Histogram:
    """Return the state of the rows of `state` after calibration, each at the mean prediction of its logit bin."""
    if platt.reason is not None:
        return state
    p = platt.calibrated(state.p_sum / state.count)
    clipped = np.clip(p, P_MIN, P_MAX)
    log_loss = -(state.positives * np.log(clipped) + (state.count - state.positives) * np.log1p(-clipped))
    moved = Histogram(
        buckets=state.buckets,
        bucket=state.bucket,
        bin=logit_bin(clipped),
        count=state.count,
        positives=state.positives,
        p_sum=state.count * p,
        log_loss=log_loss,
        unknown=state.unknown,
    )
    return merge([moved], state.buckets)


def _most_likely(x: Floats, count: Floats, positives: Floats) -> tuple[float, float] | None:
    """Return the slope and intercept of the logistic regression of `positives` of `count` on `x`, by Newton's method.

    None when there is no finite maximum. A step that does not raise the likelihood is halved, so it never diverges.
    """
    design = np.column_stack([x, np.ones_like(x)])
    beta: Floats = np.array([1.0, 0.0])

    def cost(at: Floats) -> float:
        z = design @ at
        return float((count * np.logaddexp(0, z) - positives * z).sum())

    for _ in range(MAX_STEPS):
        p = expit(design @ beta)
        curvature = (design * (count * p * (1 - p))[:, np.newaxis]).T @ design
        try:
            step = np.linalg.solve(curvature, design.T @ (positives - count * p))
        except np.linalg.LinAlgError:
            return None
        if np.abs(step).max() <= TOLERANCE * (1 + np.abs(beta).max()):
            return float(beta[0] + step[0]), float(beta[1] + step[1])
        here = cost(beta)
        while cost(beta + step) > here * (1 + 1e-12):
            step = step / 2
        beta = beta + step
    return None
