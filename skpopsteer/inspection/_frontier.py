"""Geometry of a frontier of two scores, both higher is better."""

from itertools import pairwise

import numpy as np

__all__ = ["dominated", "hypervolume", "ribbon"]


def dominated(x, y):
    """Mark the points that another point beats.

    Parameters
    ----------
    x, y : ndarray of shape (n_points,)
        Scores.

    Returns
    -------
    ndarray of shape (n_points,), dtype bool
        True where another point is at least as good at both and better at one; and
        where a score is NaN. Points that are equal do not beat each other.

    Notes
    -----
    O(n_points log n_points).
    """
    beaten = np.isnan(x) | np.isnan(y)
    # Best x first, then best y: a point is beaten by what stands before it, or by none.
    order = np.lexsort((-y, -x))
    order = order[~beaten[order]]
    best, best_at = -np.inf, np.nan
    for i in order:
        beaten[i] = y[i] < best or (y[i] == best and x[i] < best_at)
        if y[i] > best:
            best, best_at = y[i], x[i]
    return beaten


def hypervolume(x, y, reference):
    """Area between a reference point and the points that beat it.

    Parameters
    ----------
    x, y : ndarray of shape (n_points,)
        Scores; NaN counts for nothing.
    reference : tuple of float
        Scores (x, y) that nothing below of counts.

    Returns
    -------
    float
        In units of x times units of y; 0 where no point is above the reference in both.

    Notes
    -----
    O(n_points log n_points).
    """
    above = (x > reference[0]) & (y > reference[1])
    order = np.argsort(-x[above], kind="stable")
    width = x[above][order] - reference[0]
    top = np.maximum.accumulate(np.concatenate([[reference[1]], y[above][order]]))
    return float(width @ np.diff(top))


def ribbon(low, high):
    """Join boxes along a curve.

    Parameters
    ----------
    low, high : ndarray of shape (n_points, 2)
        Corners of the boxes, in the order of the curve.

    Returns
    -------
    list of ndarray of shape (n_corners, 2)
        The convex hull of every box and the next, counter-clockwise: drawn as one path
        they make their union, without seams.
    """
    pairs = zip(low, high, strict=True)
    corners = [
        np.array([a, (b[0], a[1]), b, (a[0], b[1])], dtype=np.float64) for a, b in pairs
    ]
    if len(corners) == 1:
        return corners
    return [_convex_hull(np.vstack([one, two])) for one, two in pairwise(corners)]


def _convex_hull(points):
    """Andrew's monotone chain: unlike Qhull, it takes boxes without width."""
    ordered = sorted(set(map(tuple, points.tolist())))
    if len(ordered) < 3:
        return np.array(ordered)

    def chain(points):
        hull = []
        for point in points:
            while len(hull) > 1 and _turn(hull[-2], hull[-1], point) <= 0:
                hull.pop()
            hull.append(point)
        return hull[:-1]

    return np.array(chain(ordered) + chain(ordered[::-1]))


def _turn(a, b, c):
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
