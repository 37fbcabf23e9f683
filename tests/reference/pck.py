"""A second evaluator of PCK, written from the protocol alone (numpy and the standard library).

Usage: python pck.py RESULTS.json, where RESULTS is
{"settings": {"alphas": [...], "operator": "<=" | "<", "threshold": "box" | "keypoints" | "image"},
 "results": [{"pair", "category", "difficulty": {...}, "extents": {"target_box", "keypoints", "image"},
              "keypoints": [{"prediction": [x, y], "truth": [x, y], "geometry_aware", ...}]}]}
Distances are computed here from predictions and truths; a stored error is not looked at, and neither is the extent of the
keypoints. Prints JSON: hits of every pair for every alpha, and every average of every group.

The protocol: a prediction is right at alpha if its distance to the truth is <= (or <) alpha times the longer side of the
target's box (or of the box round the target's keypoints, or of the target image), in pixels of the original image. Averages:
per image (mean over pairs of the share right), per point (pooled), and the mean over categories of each.
"""

import json
import sys

import numpy as np


def extent(result, threshold):
    if threshold == "keypoints":
        places = np.array([k["truth"] for k in result["keypoints"]], dtype=np.float64)
        return float((places.max(axis=0) - places.min(axis=0)).max())
    return result["extents"]["target_box" if threshold == "box" else "image"]


def hits(result, settings):
    """[keypoints, alphas] of bool."""
    predicted = np.array([k["prediction"] for k in result["keypoints"]], dtype=np.float64)
    true = np.array([k["truth"] for k in result["keypoints"]], dtype=np.float64)
    difference = predicted - true
    distance = np.hypot(difference[:, 0], difference[:, 1])
    limits = np.array(settings["alphas"], dtype=np.float64) * extent(result, settings["threshold"])
    compare = np.less_equal if settings["operator"] == "<=" else np.less
    return compare(distance[:, None], limits[None, :])


def averages(right, categories):
    """`right`: one [keypoints, alphas] a pair, none empty."""
    if not right:
        return None
    names = sorted(set(categories))
    share = np.stack([r.mean(axis=0) for r in right])
    of = {name: [i for i, c in enumerate(categories) if c == name] for name in names}
    image_means = np.stack([share[of[name]].mean(axis=0) for name in names])
    point_means = np.stack([np.concatenate([right[i] for i in of[name]]).mean(axis=0) for name in names])
    return {
        "pairs": len(right),
        "points": int(sum(len(r) for r in right)),
        "per_image": share.mean(axis=0).tolist(),
        "per_point": np.concatenate(right).mean(axis=0).tolist(),
        "per_image_category_mean": image_means.mean(axis=0).tolist(),
        "per_point_category_mean": point_means.mean(axis=0).tolist(),
    }


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        data = json.load(file)
    results, settings = data["results"], data["settings"]
    right = [hits(result, settings) for result in results]

    def group(chosen):
        return averages([right[i] for i in chosen], [results[i]["category"] for i in chosen])

    everything = range(len(results))
    out = {
        "hits": {r["pair"]: h.sum(axis=0).tolist() for r, h in zip(results, right)},
        "overall": group(everything),
        "categories": {},
        "difficulty": {},
    }
    for name in sorted({r["category"] for r in results}):
        out["categories"][name] = group([i for i in everything if results[i]["category"] == name])
    for flag in ["viewpoint", "scale", "truncation", "occlusion"]:
        values = sorted({r["difficulty"][flag] for r in results if r["difficulty"][flag] is not None})
        for value in values:
            chosen = [i for i in everything if results[i]["difficulty"][flag] == value]
            out["difficulty"][f"{flag} {value}"] = group(chosen)
    aware = [np.array([k["geometry_aware"] is True for k in r["keypoints"]]) for r in results]
    chosen = [i for i in everything if aware[i].any()]
    out["geometry_aware"] = averages([right[i][aware[i]] for i in chosen], [results[i]["category"] for i in chosen])
    json.dump(out, sys.stdout)


if __name__ == "__main__":
    main()
