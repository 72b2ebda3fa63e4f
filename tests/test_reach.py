"""How much of the library an edit can touch: what the hash of any stage reaches of `mrilib`."""

from pathlib import Path

import pytest

from workflow_scripts.config.entries import words
from workflow_scripts.provenance import MISSING, class_attribute, named_by_classes, stage_modules

ROOT = Path(__file__).parents[1]
LINES = {
    path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
    for path in (ROOT / "mrilib").rglob("*.py")
}
LARGEST = 1 / 3
SCRIPTS = sorted(path.stem for path in (ROOT / "workflow_scripts/stages").glob("[a-z]*.py"))
# What the classes of a method's arguments are.
INNER = {
    "mrilib.reconstructors.l1:L1": ["mrilib.operators.bases:Wavelet"],
    "mrilib.reconstructors.trained:Trained": ["mrilib.networks.tiramisu:Tiramisu"],
    "mrilib.reconstructors.multicoil:TrainedMultiCoil": ["mrilib.networks.varnet:VarNet"],
    "mrilib.reconstructors.untrained:Untrained": ["mrilib.networks.decoders:ConvDecoder"],
}
METHODS = sorted(words("method").values())
SOLVERS = ("on_one_coil", "on_coils")
GENERAL = "mrilib.attacks.searches.gradient:GradientAscent"
JOINT = "mrilib.attacks.searches.joint:JointDescent"
# Scripts that load methods by name; those of attacks load a search as well, and that of training a mask.
BY_METHOD = ("attack", "transfer", "tune_search", "reconstruct", "tune", "train", "feature")
SEARCHING, TRAINING = ("attack", "transfer", "tune_search"), ("train",)
MASKS = {
    "on_one_coil": "mrilib.data.sampling.radial:Radial",
    "on_coils": "mrilib.data.sampling.columns:Random",
}


# Those of every run, which one job runs; those of a config have a job each.
USUAL = ("quality", "attacks", "table-1", "transfer")


def searches_of(method, solvers):
    """Those that the workflow may take: a method's own for so many coils, and what serves it besides."""
    own = class_attribute(method, "search" if solvers == "on_one_coil" else "search_on_coils")
    serving = [] if class_attribute(method, "search") in (None, MISSING) else [GENERAL]
    if own not in (None, MISSING):
        serving.append(own)
    if class_attribute(method, "joint") not in (None, MISSING):
        serving.append(JOINT)
    if "total_variation" in method and solvers == "on_one_coil":
        serving.append("mrilib.attacks.searches.unrolled:UnrolledAdam")
    return sorted(set(serving))


def loaded_by(search, roots):
    """What a search loads of the method's, as the rules of attacks have it."""
    loads = class_attribute(search, "loads")
    return named_by_classes(tuple(roots), loads) if loads else ()


def experiments():
    """Import paths that each experiment reaches by name, and those that the usual ones reach in one job."""
    attacks = words("attack").values()
    reached = {}
    for word, path in words("experiment").items():
        shown = [class_attribute(path, part) for part in ("table", "figure")]
        reached[word] = (path, *filter(None, shown))
        yield (*reached[word], *attacks)
    yield (*{path for word in USUAL for path in reached[word]}, *attacks)


def stages():
    """Script and import paths of every stage."""
    for script in SCRIPTS:
        if script == "experiment":
            yield from ((script, roots) for roots in experiments())
            continue
        if script not in BY_METHOD:
            yield script, tuple(words("feature").values()) if script == "tabulate_features" else ()
            continue
        for method in METHODS:
            named = (method, *INNER.get(method, ()))
            for solvers in SOLVERS:
                roots = (*named, *named_by_classes(named, solvers))
                if script in SEARCHING:
                    roots = (*roots, *words("attack").values())
                if script == "feature":
                    roots = (*roots, *words("feature").values())
                if script in TRAINING:
                    roots = (*roots, MASKS[solvers])
                found = searches_of(method, solvers) if script in SEARCHING else []
                searched = ((script, (*roots, search, *loaded_by(search, roots))) for search in found)
                yield from searched if found else [(script, roots)]


def share(script, roots):
    """Shares of modules and of lines that a stage reaches."""
    reached = set(stage_modules(f"workflow_scripts/stages/{script}.py", roots=roots)) & LINES.keys()
    return len(reached) / len(LINES), sum(LINES[name] for name in reached) / sum(LINES.values())


def test_no_stage_reaches_more_than_a_third_of_the_library():
    shares = {stage: share(*stage) for stage in stages()}
    assert {stage: found for stage, found in shares.items() if max(found) > LARGEST} == {}


@pytest.mark.parametrize(
    ("word", "solvers", "reached", "never"),
    [
        ("total-variation", "on_one_coil", "total_variation/fused", ("coils/", "bases")),
        ("total-variation", "on_coils", "coils/variation", ("total_variation/", "bases")),
        ("l1", "on_one_coil", "bases/fista", ("total_variation", "coils/variation", "line_splitting")),
        ("l1", "on_coils", "bases/line_splitting", ("total_variation", "coils/variation")),
        ("zero-filled", "on_coils", "solution", ("total_variation", "coils", "bases", "certified")),
    ],
)
def test_solvers_of_other_methods_and_of_other_coils_are_not_reached(word, solvers, reached, never):
    method = words("method")[word]
    roots = (method, *named_by_classes((method,), solvers), GENERAL)
    found = set(stage_modules("workflow_scripts/stages/attack.py", roots=roots)) & LINES.keys()
    solving = {name for name in found if name.startswith(("mrilib/solvers/", "mrilib/operators/bases"))}
    assert f"mrilib/solvers/{reached}.py" in solving
    assert {name for name in solving for part in never if part in name.removeprefix("mrilib/")} == set()


def test_a_word_means_one_class():
    families = ("basis", "network", "method", "search")
    found = [word for family in families for word in words(family)]
    assert len(found) == len(set(found)) == 24
