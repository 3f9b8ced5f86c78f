"""What the figures amount to: what is good, what is not, and by which limits.

A limit is set against the row of real images wherever there is one, so that a small or a hard data set
is not held against the generator.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from contract.manifest import EvaluationFacts

Row = dict[str, float]

COVERAGE = 0.9
DENSITY = 0.75
CLUSTERS = 0.95
"""Of the real row's, less one cluster: with few clusters, chance alone loses one."""
POINTS = 0.01
NEAR_COPIES = 0.05
COPY_DISTANCE = 0.7
DEVIATION = 0.05
KS_LEVEL = 1.63
"""c(1 %) of the two-sample Kolmogorov-Smirnov test, which refuses above c √((n + m) / (n m))."""
SURE_OF_CLASSES = 0.9
MANY = 300


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: whether it is good, and the sentence that says so with its limit."""

    topic: str
    good: bool
    sentence: str


@dataclass(frozen=True)
class Verdict:
    """One sentence for who reads no further, the findings behind it, and what limits their weight."""

    summary: str
    findings: tuple[Finding, ...]
    cautions: tuple[str, ...]


def reach_verdict(facts: EvaluationFacts) -> Verdict:
    """Hold the figures of the draws against the limits."""
    drawn, real = facts.rows["generated"], facts.rows["real"]
    if "wasserstein" in drawn:
        findings = _of_numbers(facts, drawn, real)
    else:
        findings = _of_images(drawn, real, float(facts.feature_space["clusters"]))
    return Verdict(_summary(findings), tuple(findings), _cautions(facts))


def _summary(findings: list[Finding]) -> str:
    good = [finding.topic for finding in findings if finding.good]
    bad = [finding.topic for finding in findings if not finding.good]
    if not bad:
        return f"Good in all that was looked at: {_list(good)}."
    if not good:
        return f"Not good in anything that was looked at: {_list(bad)}."
    return f"Good: {_list(good)}. Not good: {_list(bad)}."


def _list(words: list[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def _of_images(drawn: Row, real: Row, clusters: float) -> list[Finding]:
    findings = [
        _at_least("realism", "density", drawn, real, DENSITY, "the share of draws among real images"),
        _at_least(
            "variety", "coverage", drawn, real, COVERAGE, "the share of held-out images with a draw near"
        ),
        _modes(drawn, real, clusters),
    ]
    if "class_accuracy" in drawn:
        findings.append(_points("labels", "class_accuracy", drawn, real, "draws read as the class asked for"))
    if "cas" in drawn:
        findings.append(
            _points(
                "use as training data", "cas", drawn, real, "real images read right after training on draws"
            )
        )
    findings.append(_copies(drawn))
    return findings


def _at_least(topic: str, metric: str, drawn: Row, real: Row, share: float, words: str) -> Finding:
    limit = share * real[metric]
    sentence = (
        f"{metric}, {words}, is {drawn[metric]:.3f}; real images have {real[metric]:.3f}, and at least "
        f"{share:g} × that, {limit:.3f}, is asked"
    )
    return Finding(topic, drawn[metric] >= limit, sentence)


def _points(topic: str, metric: str, drawn: Row, real: Row, words: str) -> Finding:
    sentence = (
        f"{drawn[metric]:.1%} of {words}; real images have {real[metric]:.1%}, and at most "
        f"{POINTS * 100:g} point less is asked"
    )
    # Shares of a few hundred images: a limit that is met exactly must not fail by rounding.
    return Finding(topic, drawn[metric] >= real[metric] - POINTS - 1e-9, sentence)


def _modes(drawn: Row, real: Row, clusters: float) -> Finding:
    limit = CLUSTERS * real["clusters_covered"] - 1.0 / clusters
    good = drawn["clusters_covered"] >= limit
    share = drawn["clusters_covered"]
    sentence = f"{share:.1%} of the clusters of real images are drawn (at least {limit:.1%} is asked)"
    if "classes_covered" in drawn:
        good = good and drawn["classes_covered"] >= real["classes_covered"]
        sentence += (
            f", and {drawn['classes_covered']:.0%} of the classes (all that real images show are asked)"
        )
    return Finding("modes", good, sentence)


def _copies(drawn: Row) -> Finding:
    good, parts = True, []
    for space in ("pixels", "features"):
        share = drawn[f"near_copies_{space}"]
        good = good and share <= NEAR_COPIES
        text = f"in {space}, {share:.1%} of draws lie as near to a training image as one held-out in 100 does"
        ratio = drawn.get(f"nearest_training_{space}")
        if ratio is not None:
            good = good and ratio >= COPY_DISTANCE
            text += f", and the median distance is {ratio:.2f} of theirs"
        parts.append(text)
    limits = f"at most {NEAR_COPIES:.0%} and at least {COPY_DISTANCE:g} are asked"
    return Finding("no copies of training images", good, "; ".join(parts) + f" ({limits})")


def _of_numbers(facts: EvaluationFacts, drawn: Row, real: Row) -> list[Finding]:
    width = real["standard_deviation"]
    off, ratio = drawn["mean"] - real["mean"], drawn["standard_deviation"] / width
    limit = KS_LEVEL * math.sqrt(2.0 / facts.images)
    return [
        Finding(
            "mean",
            abs(off) <= DEVIATION * width,
            f"the mean is {drawn['mean']:.3f}; real numbers have {real['mean']:.3f}, and a difference of "
            f"at most {DEVIATION:g} standard deviations is asked",
        ),
        Finding(
            "spread",
            abs(ratio - 1) <= DEVIATION,
            f"the standard deviation is {drawn['standard_deviation']:.3f}; real numbers have {width:.3f}, "
            f"and a difference of at most {DEVIATION:.0%} is asked",
        ),
        Finding(
            "shape",
            drawn["kolmogorov_smirnov"] <= limit,
            f"the Kolmogorov–Smirnov statistic is {drawn['kolmogorov_smirnov']:.4f}; two samples of "
            f"{facts.images:,} of one law stay below {limit:.4f} ninety-nine times in a hundred",
        ),
    ]


def _cautions(facts: EvaluationFacts) -> tuple[str, ...]:
    cautions = []
    sure = facts.feature_space.get("classifier_held_out_accuracy")
    if isinstance(sure, float) and sure < SURE_OF_CLASSES:
        cautions.append(
            f"The classifier reads only {sure:.1%} of held-out real images right: its word weighs little."
        )
    if facts.images < MANY:
        cautions.append(
            f"Only {facts.images} draws were judged: another seed may move these figures by points."
        )
    if "fid" in facts.rows["generated"]:
        cautions.append(
            f"The FID is of {facts.images:,} draws; few draws raise it, so compare at equal numbers only."
        )
    if facts.truncation is not None:
        cautions.append(
            f"Draws were truncated ({facts.truncation}), which trades variety for typical images."
        )
    if facts.weights == "raw":
        cautions.append("Raw weights were judged; exports hold the averaged ones.")
    return tuple(cautions)
