"""What methods, perturbations and masks are called in tables and figures."""

from collections.abc import Mapping
from typing import Any

METHOD_LABELS = {
    "tikhonov": "Tikhonov",
    "tv": "TV",
    "l1-wavelet": "ℓ1 wavelet",
    "l1-dct": "ℓ1 cosine",
    "l1-fourier": "ℓ1 Fourier",
    "tira": "Tira",
    "tirafl": "TiraFL",
    "unet": "U-net",
    "itnet": "ItNet",
    "varnet": "VarNet",
    "convdecoder": "ConvDecoder",
    "deepdecoder": "Deep Decoder",
}
# By what an attack is: its kind, or with one of our localized attacks its objective.
SORT_LABELS = {
    "global": "global attack",
    "peak": "localized attack (one pixel)",
    "disk": "localized attack (disk)",
    "spike": "spike (closed form)",
    "gaussian": "Gaussian noise",
    "clean": "no noise",
}
# An attack of a user's may have any name but this one, which stands for no attack.
NO_ATTACK = ""

About = Mapping[str, Any]


def method_label(method: str, labels: Mapping[str, str] | None = None) -> str:
    """Name of a method as readers know it; a user's own name stays as it is.

    Args:
        method: its name in the config.
        labels: names of this run, such as `Tira (reduced)`; they go before `METHOD_LABELS`.
    """
    return (METHOD_LABELS | dict(labels or {})).get(method, method)


def sort_of(about: About) -> str:
    """What an attack is: its `objective` where it is localized and has one, else its `kind`."""
    kind = str(about.get("kind", ""))
    return str(about.get("objective", kind)) if kind == "localized" else kind


def attack_labels(attacks: Mapping[str, About]) -> dict[str, str]:
    """What each attack is called: what it is, with its name where several are alike.

    Args:
        attacks: name to what it is: `kind`, and where it has them `label`, `objective`, `region`, `artifact`.
            Without a label, attacks of other kinds than ours have their own name.
    """
    sorts = {
        name: str(about.get("label") or SORT_LABELS.get(sort_of(about), name))
        for name, about in attacks.items()
    }
    labels = {name: ", ".join([sort, *remarks(attacks[name])]) for name, sort in sorts.items()}
    alike = list(labels.values())
    own = {name: label if alike.count(label) == 1 else f"{label}: {name}" for name, label in labels.items()}
    return {NO_ATTACK: SORT_LABELS["clean"]} | own


def remarks(about: About) -> list[str]:
    """In which an attack differs from the usual: places inside the object, artifacts of moduli."""
    found = ["object"] if about.get("region") == "object" else []
    return found + (["moduli"] if about.get("artifact") == "magnitude" else [])


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
    labels = {name: mask_label(name, about) for name, about in masks.items()}
    alike = list(labels.values())
    return {
        name: label if alike.count(label) == 1 or label == name else f"{label} ({name})"
        for name, label in labels.items()
    }
