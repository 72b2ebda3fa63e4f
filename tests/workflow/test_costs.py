"""What jobs of attacks ask for, from sizes of images and what classes say."""

import pytest
import yaml

from tests.workflow.runs import ROOT
from workflow_scripts.config.config import load
from workflow_scripts.config.costs import JUDGED, LARGE, Size, memory_mb, seconds, size_of
from workflow_scripts.config.domains import Application
from workflow_scripts.provenance import class_attribute

GRADIENT = "mrilib.attacks.searches.gradient:GradientAscent"
COUPLED = "mrilib.attacks.searches.coupled_coils:CoupledSplitting"
JOINT = "mrilib.attacks.searches.joint:JointDescent"


@pytest.fixture(scope="module")
def paper():
    return load(yaml.safe_load((ROOT / "config.paper.multicoil.yaml").read_text()), classes=False)


@pytest.fixture(scope="module")
def demo():
    values = yaml.safe_load((ROOT / "config.multicoil.yaml").read_text())
    kept = {key: values[key] for key in ("run", "seed", "datasets", "images", "masks", "methods")}
    attacks = {"global": {"kind": "global", "artifact": "magnitude", "steps": 200}}
    return load(kept | {"levels": [0.02], "attacks": attacks}, classes=False)


def entries(config, method, source, position=0):
    """Attacks of a job, as the rules give them."""
    return [
        {
            "attack": name,
            "described": config.attacks[name].described | {"search": config.search_of(method, name, source)},
            "levels": config.levels_of(name),
            "factors": [1.0],
        }
        for name in config.attacks_of(method, source, "random-4", position)
    ]


def application(config, method, source):
    return Application(method, config.usual_domain(source, "random-4"), source, "random-4")


def test_sizes_are_those_of_the_config_or_the_papers(paper, demo):
    assert size_of(paper, "knee") == size_of(paper, "stanford") == LARGE == Size(15, 640, 368)
    assert size_of(demo, "brain") == Size(4, 112, 104)
    phantoms = load(yaml.safe_load((ROOT / "config.yaml").read_text()), classes=False)
    assert size_of(phantoms, "ellipses") == Size(1, 256, 256)


def test_time_is_that_of_searches_and_of_reconstructions(paper):
    fits = class_attribute("mrilib.reconstructors.untrained:Untrained", "seconds_on_coils")
    search = class_attribute(JOINT, "seconds_on_coils")
    names = ("two-step", "gaussian-untrained")
    asked = [each for each in entries(paper, "convdecoder", "knee") if each["attack"] in names]
    assert tuple(each["attack"] for each in asked) == names
    applied = application(paper, "convdecoder", "knee")
    expected = 2 * (search + JUDGED * fits) + 2 * fits
    assert seconds(paper, applied, asked, {}) == pytest.approx(expected)
    # Others' perturbations are reconstructed from, each at each level.
    assert seconds(paper, applied, asked[:1], {"two-step": 5}) == pytest.approx(
        2 * (search + (5 + JUDGED) * fits)
    )


def test_time_follows_levels_and_entries_of_kspace(paper, demo):
    size = size_of(demo, "brain")
    for method, search in (("varnet-0", GRADIENT), ("tv", COUPLED)):
        applied = application(paper, method, "knee")
        (whole,) = [each for each in entries(paper, method, "knee") if each["attack"] == "global"]
        assert whole["described"]["search"] == search
        once = seconds(paper, applied, [whole | {"levels": [0.02]}], {})
        assert seconds(paper, applied, [whole], {}) == pytest.approx(5 * once)
        assert seconds(paper, applied, [whole | {"factors": [0.5, 1.0]}], {}) == pytest.approx(10 * once)
        places = [each for each in entries(paper, method, "knee") if each["attack"] == "peak"]
        assert seconds(paper, applied, [places[0] | {"levels": [0.02]}], {}) > 2 * once
        name = method.partition("-")[0]
        small = seconds(demo, application(demo, name, "brain"), entries(demo, name, "brain"), {})
        assert small == pytest.approx(once * size.entries / LARGE.entries)


def test_a_job_on_one_coil_asks_for_what_it_did():
    config = load(yaml.safe_load((ROOT / "config.yaml").read_text()), classes=False)
    applied = Application("tira", "ellipses@radial-40", "ellipses", "radial-40")
    described = {"search": GRADIENT, "arguments": {}}
    asked = [{"attack": "peak", "described": described, "levels": [0.01, 0.04], "factors": [1.0]}]
    assert seconds(config, applied, asked, {}) == pytest.approx(30)
    coupled = described | {"search": "mrilib.attacks.searches.coupled:CoupledAscent"}
    assert seconds(config, applied, [asked[0] | {"described": coupled}], {}) == pytest.approx(20)
    assert memory_mb(config, "ellipses", asked, {}) == 4000


def test_memory_holds_all_places_of_scans(paper):
    asked = {each["attack"]: [each] for each in entries(paper, "varnet-0", "knee")}
    candidate = LARGE.entries * 8 / 1e6
    for name, count in (("global", 2), ("peak", 64), ("gaussian", 1)):
        assert memory_mb(paper, "knee", asked[name], {}) == pytest.approx(4000 + 8 * count * candidate, abs=1)
    assert memory_mb(paper, "knee", [], {}) == 4000
    # What 15 others found at 5 levels is in the same file.
    carried = memory_mb(paper, "knee", asked["global"], {"global": 15, "peak": 9})
    assert carried == pytest.approx(4000 + (8 * 2 + 15 * 5) * candidate, abs=1)


def test_only_the_first_images_are_attacked(paper):
    assert paper.attacked_count("varnet-0", "knee", "random-4") == 50
    assert paper.attacked_count("convdecoder", "knee", "random-4") == 20
    assert paper.attacked_count("varnet-0", "stanford", "random-4") == 0
    assert "convdecoder" in paper.rivals_of("tv", "knee", "random-4", 19)
    assert "convdecoder" not in paper.rivals_of("tv", "knee", "random-4", 20)
    assert "varnet-0" in paper.rivals_of("tv", "knee", "random-4", 49)
    assert paper.rivals_of("tv", "knee", "random-4", 50) == []


def test_a_gradient_is_two_reconstructions_and_rounds_may_be_few(paper):
    each = class_attribute("mrilib.reconstructors.linear:Tikhonov", "seconds_on_coils")
    applied = application(paper, "tikhonov", "knee")
    asked = {found["attack"]: found | {"levels": [0.02]} for found in entries(paper, "tikhonov", "knee")}
    whole = seconds(paper, applied, [asked["global"]], {})
    assert whole == pytest.approx((2 * 2 * 200 + JUDGED) * each)
    places = asked["peak"]
    assert seconds(paper, applied, [places], {}) == pytest.approx((2 * 1120 + JUDGED) * each)
    few = places | {"described": places["described"] | {"search_arguments": {"rounds": [[2, 16], [3, None]]}}}
    assert seconds(paper, applied, [few], {}) == pytest.approx((2 * (2 * 64 + 3 * 16) + JUDGED) * each)
