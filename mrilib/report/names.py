"""What methods, perturbations and masks are called in tables and figures."""

from collections.abc import Mapping
from typing import Any

from mrilib.experiments.columns import NO_ATTACK

# By what an attack says that it is: `sort` of its kind's `about`.
SORT_LABELS = {
    "global": "global attack",
    "peak": "localized attack (one pixel)",
    "disk": "localized attack (disk)",
    "gaussian": "Gaussian noise",
    "refit": "another fit, no perturbation",
}
CLEAN_LABEL = "no noise"

About = Mapping[str, Any]


def method_label(method: str, labels: Mapping[str, str] | None = None) -> str:
    """What a method is called: its label, or else its name, which says nothing of what it is.

    Args:
        method: its name in the config.
        labels: names to print, such as `Tira (reduced)`.
    """
    return (labels or {}).get(method, method)


def method_labels(methods: Mapping[str, str | None]) -> dict[str, str]:
    """What each method is called, from its label or `None`; with its name where two would be called alike."""
    return _apart({name: label or name for name, label in methods.items()}, "{label} ({name})")


def sort_of(about: About) -> str:
    """What an attack says that it is; empty for kinds other than ours, whatever they are called."""
    return str(about.get("sort", ""))


def attack_labels(attacks: Mapping[str, About]) -> dict[str, str]:
    """What each attack is called: what it is, with its name where several are alike.

    Args:
        attacks: name to what it is: where it has them `label`, `sort`, `region`, `artifact`. Without a label,
            attacks of other kinds than ours have their own name.
    """
    labels = {
        name: ", ".join([str(about.get("label") or SORT_LABELS.get(sort_of(about), name)), *remarks(about)])
        for name, about in attacks.items()
    }
    # What is named as its sort needs no name more: the others have theirs.
    usual = {name: labels[name] for name, about in attacks.items() if name == sort_of(about)}
    return {NO_ATTACK: CLEAN_LABEL} | _apart(labels, "{label}: {name}") | usual


def remarks(about: About) -> list[str]:
    """In which an attack differs from the usual: places inside the object, moduli, the budget."""
    unusual = {"object": ("region", "object"), "moduli": ("artifact", "magnitude")}
    unusual |= {"full k-space": ("relative_to", "full")}
    return [remark for remark, (key, value) in unusual.items() if about.get(key) == value]


def mask_label(mask: str, about: About) -> str:
    """A mask by its label, or by its lines or its acceleration, such as `40 lines` and `random 4×`.

    Args:
        mask: its name in the config, by which it is called where it has none of these.
        about: what it is: `kind`, and where it has them `label`, `lines` or `acceleration`.
    """
    if "label" in about:
        return str(about["label"])
    if "lines" in about:
        return f"{about['lines']} lines"
    if "acceleration" in about:
        return f"{about.get('kind', mask)} {float(about['acceleration']):g}×"
    return mask


def mask_labels(masks: Mapping[str, About]) -> dict[str, str]:
    """`mask_label` of every mask of a run, with their names where two would be called alike."""
    return _apart({name: mask_label(name, about) for name, about in masks.items()}, "{label} ({name})")


def _apart(labels: Mapping[str, str], form: str) -> dict[str, str]:
    """Labels by name, in the form that has the name as well where another one is called alike."""
    alike = list(labels.values())
    return {
        name: label if alike.count(label) == 1 or label == name else form.format(label=label, name=name)
        for name, label in labels.items()
    }
