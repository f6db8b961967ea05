"""`hungarian_loss.detection` in NumPy float64 from the formulas of the papers: one image, one layer, one pair at a time."""

import dataclasses
import math

import numpy as np
from scipy.optimize import linear_sum_assignment

FORMATS = ["xyxy", "yxyx", "xywh", "center_xywh", "center_yxhw"]
FORMATS += [f"rel_{name}" for name in FORMATS]

DEFAULTS = {
    "classification": "softmax",
    "class_cost": 1.0,
    "box_cost": 5.0,
    "giou_cost": 2.0,
    "class_weight": 1.0,
    "box_weight": 5.0,
    "giou_weight": 2.0,
    "no_object_weight": 0.1,
    "focal_alpha": 0.25,
    "focal_gamma": 2.0,
    "iou": "giou",
    "box_format": "center_xywh",
    "normalization": "batch",
    "auxiliary_weight": 1.0,
    "repeats": 1,
    "groups": 1,
}


# Boxes.


def written(left, top, right, bottom, box_format):
    """Edges, numbers or arrays, as the four numbers of a format."""
    width, height = right - left, bottom - top
    x, y = (left + right) / 2, (top + bottom) / 2
    return {
        "xyxy": [left, top, right, bottom],
        "yxyx": [top, left, bottom, right],
        "xywh": [left, top, width, height],
        "center_xywh": [x, y, width, height],
        "center_yxhw": [y, x, height, width],
    }[box_format.removeprefix("rel_")]


def read(box, box_format):
    """Left, top, right and bottom."""
    one, two, three, four = map(float, box)
    return {
        "xyxy": (one, two, three, four),
        "yxyx": (two, one, four, three),
        "xywh": (one, two, one + three, two + four),
        "center_xywh": (one - three / 2, two - four / 2, one + three / 2, two + four / 2),
        "center_yxhw": (two - four / 2, one - three / 2, two + four / 2, one + three / 2),
    }[box_format.removeprefix("rel_")]


def l1(a, b, box_format):
    """Of centers and sizes."""
    a, b = (written(*read(box, box_format), "center_xywh") for box in (a, b))
    return sum(abs(one - other) for one, other in zip(a, b, strict=True))


def iou(a, b, box_format):
    left, top, right, bottom = read(a, box_format)
    other_left, other_top, other_right, other_bottom = read(b, box_format)
    shared = max(min(right, other_right) - max(left, other_left), 0)
    shared *= max(min(bottom, other_bottom) - max(top, other_top), 0)
    return shared / ((right - left) * (bottom - top) + (other_right - other_left) * (other_bottom - other_top) - shared)


def hull(a, b, box_format):
    """Width and height of the smallest box around both."""
    edges = np.array([read(a, box_format), read(b, box_format)])
    return edges[:, 2].max() - edges[:, 0].min(), edges[:, 3].max() - edges[:, 1].min()


def giou(a, b, box_format, detached):
    area = math.prod(hull(a, b, box_format))
    areas = [(right - left) * (bottom - top) for left, top, right, bottom in (read(a, box_format), read(b, box_format))]
    overlap = iou(a, b, box_format)
    union = sum(areas) / (1 + overlap)  # Since the intersection is overlap times union.
    return overlap - (area - union) / area


def diou(a, b, box_format, detached):
    centers = [np.array(written(*read(box, box_format), "center_xywh")[:2]) for box in (a, b)]
    apart = ((centers[0] - centers[1]) ** 2).sum()
    return iou(a, b, box_format) - apart / sum(side**2 for side in hull(a, b, box_format))


def ciou(a, b, box_format, detached):
    def unlike(box):
        widths, heights = zip(*(written(*read(one, box_format), "center_xywh")[2:] for one in (a, box)), strict=True)
        angles = [math.atan(width / height) for width, height in zip(widths, heights, strict=True)]
        return 4 / math.pi**2 * (angles[0] - angles[1]) ** 2

    v = unlike(detached)
    alpha = v / (1 - iou(a, detached, box_format) + v)
    return diou(a, b, box_format, detached) - alpha * unlike(b)


IOU_OF = {"giou": giou, "diou": diou, "ciou": ciou}


# Classes.


def softmax(logits):
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def class_cost(label, logits, options):
    if options["classification"] == "softmax":
        return -softmax(logits)[label]
    p, alpha, gamma = sigmoid(logits[label]), options["focal_alpha"], options["focal_gamma"]
    return -alpha * (1 - p) ** gamma * math.log(p) + (1 - alpha) * p**gamma * math.log(1 - p)


def class_loss(label, logits, overlap, detached, options):
    """The loss of one prediction, and its weight in the mean; a label of None: no object."""
    if options["classification"] == "softmax":
        weight = options["no_object_weight"] if label is None else 1.0
        return -weight * math.log(softmax(logits)[-1 if label is None else label]), weight
    total, alpha, gamma = 0.0, options["focal_alpha"], options["focal_gamma"]
    for channel, p in enumerate(sigmoid(logits)):
        if options["classification"] == "focal":
            if channel == label:
                total -= alpha * (1 - p) ** gamma * math.log(p)
            else:
                total -= (1 - alpha) * p**gamma * math.log(1 - p)
        elif channel == label:
            total -= overlap * (overlap * math.log(p) + (1 - overlap) * math.log(1 - p))
        else:
            total -= (1 - alpha) * sigmoid(detached[channel]) ** gamma * math.log(1 - p)
    return total, 0.0


# The loss.


@dataclasses.dataclass
class Sums:
    """Sums for one image and layer."""

    classes: float = 0.0
    weights: float = 0.0
    boxes: float = 0.0
    ious: float = 0.0


def match(boxes, labels, pred_boxes, pred_logits, options):
    """Pairs (object, prediction) of one image; objects are its real ones."""
    cost = np.zeros((len(labels), len(pred_boxes)))
    for row, col in np.ndindex(*cost.shape):
        cost[row, col] = (
            options["class_cost"] * class_cost(labels[row], pred_logits[col], options)
            + options["box_cost"] * l1(boxes[row], pred_boxes[col], options["box_format"])
            - options["giou_cost"]
            * IOU_OF[options["iou"]](boxes[row], pred_boxes[col], options["box_format"], pred_boxes[col])
        )
    return list(zip(*linear_sum_assignment(cost), strict=True))


def sums_of(boxes, labels, object_of, pred, detached, options):
    """`object_of`: for each prediction the index of its object, or None."""
    sums, box_format = Sums(), options["box_format"]
    for place, index in enumerate(object_of):
        overlap = None
        if index is not None:
            sums.boxes += l1(boxes[index], pred["boxes"][place], box_format)
            value = IOU_OF[options["iou"]](boxes[index], pred["boxes"][place], box_format, detached["boxes"][place])
            sums.ious += 1 - value
            overlap = iou(boxes[index], detached["boxes"][place], box_format)
        label = None if index is None else labels[index]
        paid, weight = class_loss(label, pred["logits"][place], overlap, detached["logits"][place], options)
        sums.classes += paid
        sums.weights += weight
    return sums


def terms(y_true, y_pred, options, detached=None, unmatched=()):
    """The terms of `DetrLoss` by their names, `[B]` each.

    Args:
      y_true: {"boxes", "labels"}, padded.
      y_pred: {"boxes", "logits"}, perhaps "auxiliary" and "denoising".
      options: arguments of DetrLoss that are not its defaults.
      detached: Predictions for all that has no gradient: the matching, targets and weights of varifocal loss, CIoU's alpha.
      unmatched: Images that are not matched, for a NaN in them.
    """
    options = {**DEFAULTS, **options}
    detached = y_pred if detached is None else detached
    layers, detached_layers = ([*one.get("auxiliary", []), one] for one in (y_pred, detached))
    batch = len(y_true["labels"])
    sums, denoising_sums, objects, noised = {}, {}, np.zeros(batch), np.zeros(batch)
    for image in range(batch):
        exists = np.flatnonzero(y_true["labels"][image] >= 0)
        boxes = np.repeat(y_true["boxes"][image][exists], options["repeats"], axis=0)
        labels = np.repeat(y_true["labels"][image][exists], options["repeats"])
        objects[image] = len(labels) * options["groups"]
        for layer, (pred, still) in enumerate(zip(layers, detached_layers, strict=True)):
            pred = {name: pred[name][image] for name in ("boxes", "logits")}
            still = {name: still[name][image] for name in ("boxes", "logits")}
            size = len(pred["boxes"]) // options["groups"]
            object_of = [None] * len(pred["boxes"])
            for group in range(options["groups"]) if image not in unmatched else []:
                part = slice(group * size, (group + 1) * size)
                for row, col in match(boxes, labels, still["boxes"][part], still["logits"][part], options):
                    object_of[group * size + col] = row
            sums[layer, image] = sums_of(boxes, labels, object_of, pred, still, options)
        if "denoising" in y_pred:
            slots = y_pred["denoising"]["target"][image]
            object_of = [int(slot) if slot in exists else None for slot in slots]
            noised[image] = sum(index is not None for index in object_of)
            for layer, (pred, still) in enumerate(zip(layers, detached_layers, strict=True)):
                pred = {name: pred["denoising"][name][image] for name in ("boxes", "logits")}
                still = {name: still["denoising"][name][image] for name in ("boxes", "logits")}
                denoising_sums[layer, image] = sums_of(
                    y_true["boxes"][image], y_true["labels"][image], object_of, pred, still, options
                )

    values = {}
    for part, found, number in [("", sums, objects), ("denoising_", denoising_sums, noised)]:
        if not found:
            continue
        last = len(layers) - 1
        for layer in range(len(layers)):
            of_layer = {
                field: np.array([getattr(found[layer, image], field) for image in range(batch)])
                for field in ("classes", "weights", "boxes", "ious")
            }
            count, weights = number, of_layer["weights"]
            if options["normalization"] == "batch":
                # So that the mean over the images is the sum over all divided by the count of all.
                count, weights = np.full(batch, number.sum() / batch), np.full(batch, weights.sum() / batch)
                count = np.maximum(count, 1 / batch)
            count = np.maximum(count, 1 if options["normalization"] == "sample" else 0)
            if options["classification"] != "softmax":
                weights = count
            factor = 1.0 if layer == last else options["auxiliary_weight"]
            prefix = part if layer == last else f"auxiliary_{layer}_{part}"
            with np.errstate(invalid="ignore"):
                mean = np.where(weights > 0, of_layer["classes"] / np.where(weights > 0, weights, 1), 0)
            values[f"{prefix}class"] = factor * options["class_weight"] * mean
            values[f"{prefix}box"] = factor * options["box_weight"] * of_layer["boxes"] / count
            values[f"{prefix}giou"] = factor * options["giou_weight"] * of_layer["ious"] / count
    return values


def loss(*arguments, **options):
    """`[B]`."""
    return sum(terms(*arguments, **options).values())
