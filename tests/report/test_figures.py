"""Every figure: what it shows of a small set of made-up data, whether it can be read, and its files."""

import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

from mrilib.attacks.kinds.gaussian import Gaussian
from mrilib.attacks.kinds.localized import Localized
from mrilib.attacks.kinds.whole import Global
from mrilib.report import (
    error_maps,
    figures_curves,
    figures_images,
    figures_perturbed,
    figures_searches,
    figures_studies,
    style,
)

LEVELS = (0.5, 1.0, 2.0, 4.0, 8.0, 10.0)
SPIKES = {25: 9.376, 40: 5.99, 80: 3.134}
MASKS = {f"radial-{lines}": f"{lines} lines" for lines in SPIKES}
ATTACKS = {
    "everywhere": Global().about,
    "peak": Localized().about,
    "noise": Gaussian().about,
}
TITLE = "TV, ellipse phantoms (64 × 64), 40 radial lines"


def phantom(height: int = 64, width: int = 64) -> np.ndarray:
    image = np.zeros((height, width))
    image[height // 4 : 3 * height // 4, width // 4 : 3 * width // 4] = 0.5
    image[height // 2 : 5 * height // 8, width // 2 : 5 * width // 8] = 1.0
    return image


def summary(mean: float, n: int = 50) -> dict[str, float]:
    return {"mean": mean, "low": 0.9 * mean, "high": 1.15 * mean, "n": n}


def errors(
    *, n: int = 50, sources: tuple[str, ...] = ("ellipses",), masks: tuple[int, ...] = (40,)
) -> pd.DataFrame:
    size = {"tv": 1.0, "tira": 1.7, "zero-filled": 5.0}
    stretch = {"everywhere": 3.0, "peak": 2.0, "noise": 1.0}
    rows = [
        {"source": source, "method": method, "mask": f"radial-{mask}", "attack": attack, "level": level}
        | summary(size[method] * stretch[attack] * level**0.7 * 40 / mask, n)
        for source in sources
        for mask in masks
        for method in size
        for attack in stretch
        for level in LEVELS
    ]
    clean = [
        {"source": source, "method": method, "mask": f"radial-{mask}", "attack": "", "level": 0.0}
        | summary(0.5 * size[method], n)
        for source in sources
        for mask in masks
        for method in size
    ]
    return pd.DataFrame(rows + clean)


def amplifications() -> pd.DataFrame:
    methods = {25: ("tv",), 40: ("tv", "tira", "mine"), 80: ("tv",)}
    return pd.DataFrame(
        {
            "method": method,
            "mask": f"radial-{mask}",
            "source": "ellipses",
            "level": level,
            "spike": SPIKES[mask],
        }
        | summary(SPIKES[mask] * (1.0 if method == "tv" else 0.5))
        | {"paper_mean": np.nan if method == "mine" else 5.0, "paper_sd": np.nan if method == "mine" else 1.0}
        for mask, names in methods.items()
        for method in names
        for level in LEVELS
    )


def weights() -> pd.DataFrame:
    grid = np.logspace(-6, -1, 11)
    rows = [
        {"mask": f"radial-{mask}", "level": level, "weight": weight}
        | summary(level * (1 + np.log10(weight / 1e-3) ** 2), 10)
        | {"chosen": bool(weight == grid[6])}
        for mask in SPIKES
        for level in LEVELS
        for weight in grid
    ]
    return pd.DataFrame(rows).drop(columns="n")


def radii() -> pd.DataFrame:
    limits = {0.0: "peak", np.inf: "global"}
    return pd.DataFrame(
        {
            "series": source,
            "source": source,
            "position": position,
            "limit": limits.get(radius, ""),
            "value": np.nan if radius in limits else radius,
            "severity": (7 + position) / (1 + min(radius, 128) / 30),
            "amplification": 8 / (1 + min(radius, 128) / 30),
            "artifact_norm": 0.1 + 0.001 * min(radius, 128),
        }
        for source in ("ellipses", "knee")
        for position in range(3)
        for radius in (0.0, 1.0, 5.0, 16.0, 128.0, np.inf)
    )


LIMITS = {"peak": Localized().about | {"grid": None}, "global": Global().about}


def weight_factors(levels: tuple[float, ...] = LEVELS) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "level": level,
            "factor": factor,
            "weight": 1e-3 * level * factor,
            "search": search,
            "source": "ellipses",
            "position": position,
            "severity": level * (2 - 0.3 * np.log10(factor)) * (1 + 0.03 * position),
            "amplification": (7 - np.log10(factor)) * (1 if "coupled" in search else 0.9) + 0.1 * position,
        }
        for level in levels
        for factor in (0.1, 1.0, 10.0)
        for search in figures_studies.SEARCHES
        for position in range(3)
    )


def level_rows(levels: tuple[float, ...] = (0.5, 1.0, 4.0, 8.0)) -> list[figures_images.LevelRow]:
    image = phantom().astype(complex)
    return [
        {
            "level": level,
            "perturbed": image,
            "reconstruction": 1.2 * image,
            "location": (40, 24),
            "alpha": 6.123,
        }
        for level in levels
    ]


def severities() -> np.ndarray:
    values = 6.0 + 0.01 * np.arange(64.0).reshape(8, 8)
    values[2, 5] = 12.34
    return values


def attacked(**changes: object) -> Figure:
    image = phantom()
    arguments = {
        "location": (40, 24),
        "level": 4,
        "alpha": np.float32(7.644),
        "severity": 7.535,
        "title": TITLE,
    } | changes
    return figures_images.attack_panel(image, image + 0.01j, image + 0j, **arguments)


def efforts(methods: tuple[str, ...] = ("tv", "unet", "varnet"), panels: int = 2) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "panel": f"knee {panel}",
            "method": method,
            "source": f"knee {panel}",
            "position": position,
            "value": steps,
            "evaluations": 2.0 * steps * (1 + index),
            "share_of_largest": 1 - (0.5 + 0.05 * position) * (20 / steps) ** (1 + index) + 0.001,
            "enough": steps == 100 and index > 0,
        }
        for panel in range(panels)
        for index, method in enumerate(methods)
        for position in range(3)
        for steps in (25, 50, 100, 200)
    )


def perturbation(height: int = 64, width: int = 64, **changes: object) -> figures_perturbed.Perturbation:
    image = phantom(height, width)
    artifact = np.zeros((height, width))
    artifact[height // 2, width // 3] = 0.42
    found = {
        "clean": 0.97 * image,
        "perturbed": image + 0.01,
        "reconstruction": (0.97 * image + artifact).astype(complex),
        "added": np.full((height, width), 0.01),
        "artifact": -1j * artifact,
        "clean_ssim": 0.873,
        "ssim": 0.412,
        "severity": 0.424,
        "location": (height // 2, width // 3),
    }
    return figures_perturbed.Perturbation(**(found | changes))


FAMILIES = ("tv", "unet", "varnet", "convdecoder")


def perturbed(count: int = 4, *, missing: tuple[int, ...] = (), **changes: object) -> Figure:
    rows = {
        name: None if index in missing else perturbation(**changes)
        for index, name in enumerate(FAMILIES[:count])
    }
    labels = {"convdecoder": "ConvDecoder (reduced)", "tv": "TV"}
    return figures_perturbed.perturbed_panel(
        rows, level=8, labels=labels, title="knee, slice 4, simulated: random 4×, global attack"
    )


def qualities(quantity: str) -> pd.DataFrame:
    frame = errors(sources=("brain", "knee"))
    values = {"ssim": lambda mean: 1 / (1 + mean / 40), "psnr": lambda mean: 40 - mean / 4}[quantity]
    return frame.assign(**{name: values(frame[name]) for name in ("mean", "low", "high")})


FIGURES: dict[str, Callable[[], Figure]] = {
    "noise_and_feature": lambda: figures_images.noise_and_feature(
        phantom(), phantom() - 0.1, 1.3 * phantom(), level=10, close_up=(32, 32), title=TITLE
    ),
    "mask_and_zero_filled": lambda: figures_images.mask_and_zero_filled(
        phantom() > 0, phantom(), 0.9j * phantom(), label="40 lines", acceleration=5.99, title=TITLE
    ),
    "attack_panel": attacked,
    "attack_panel of a global attack": lambda: attacked(location=(-1, -1), alpha=np.nan),
    "level_panel": lambda: figures_images.level_panel(level_rows(), title=TITLE),
    "level_panel of six": lambda: figures_images.level_panel(level_rows(LEVELS), title=TITLE),
    "level_panel of one": lambda: figures_images.level_panel(level_rows((4.0,)), title=TITLE),
    "severity_map": lambda: figures_images.severity_map(
        dict.fromkeys(LEVELS, severities()), image=phantom(), title=TITLE
    ),
    "severity_map of one": lambda: figures_images.severity_map(
        {4: severities()}, image=phantom(), title=TITLE
    ),
    "severity_map of an object": lambda: figures_images.severity_map(
        dict.fromkeys(LEVELS[:2], np.where(np.arange(64).reshape(8, 8) % 9 < 4, np.nan, severities())),
        image=phantom(48, 96),
        title=TITLE,
    ),
    "mask_and_zero_filled of columns": lambda: figures_images.mask_and_zero_filled(
        np.tile(np.arange(96) % 4 == 0, (48, 1)),
        phantom(40, 80),
        phantom(40, 80),
        label="equispaced 4×",
        acceleration=4.0,
        adjoint="Aᴴ",
        title=TITLE,
    ),
    "severity_map of many places": lambda: figures_images.severity_map(
        {4.0: np.kron(severities(), np.ones((2, 2)))}, image=phantom(), title=TITLE
    ),
    "quantity_by_level": lambda: figures_curves.quantity_by_level(
        errors(), attacks=ATTACKS, mask_labels=MASKS, title=TITLE
    ),
    "quantity_by_level of many": lambda: figures_curves.quantity_by_level(
        errors(sources=("ellipses", "knee"), masks=(25, 40, 80)), title=TITLE
    ),
    "amplification_by_level": lambda: figures_curves.amplification_by_level(
        amplifications(), mask_labels=MASKS, title=TITLE
    ),
    "weight_choice": lambda: figures_curves.weight_choice(weights(), title=TITLE),
    "weight_choice of one": lambda: figures_curves.weight_choice(
        weights().query("mask == 'radial-40'"), title=TITLE
    ),
    "radius_study": lambda: figures_studies.radius_study(radii(), attacks=LIMITS, title=TITLE),
    "weight_study": lambda: figures_studies.weight_study(weight_factors(), spike=5.99, title=TITLE),
    "weight_study of four": lambda: figures_studies.weight_study(weight_factors(LEVELS[:4]), spike=5.99),
    "weight_study of one": lambda: figures_studies.weight_study(weight_factors((4.0,)), title=TITLE),
    "effort_study": lambda: figures_searches.effort_study(efforts(), labels={"tv": "TV"}, title=TITLE),
    "effort_study of one": lambda: figures_searches.effort_study(efforts(("tv",), 1), title=TITLE),
    "quantity_by_level of SSIM": lambda: figures_curves.quantity_by_level(
        qualities("ssim"), quantity="ssim", attacks=ATTACKS, mask_labels=MASKS
    ),
    "quantity_by_level of PSNR": lambda: figures_curves.quantity_by_level(
        qualities("psnr"), quantity="psnr", attacks=ATTACKS, mask_labels=MASKS
    ),
    "perturbed_panel": perturbed,
    "perturbed_panel of one": lambda: perturbed(1),
    "perturbed_panel of tall images": lambda: perturbed(height=320, width=160),
    "perturbed_panel of failures": lambda: perturbed(2, missing=(0, 1)),
    "perturbed_panel of wide images": lambda: perturbed(3, height=40, width=64, missing=(1,)),
}
EMPTY: dict[str, Callable[[], Figure]] = {
    "quantity_by_level": lambda: figures_curves.quantity_by_level(errors().iloc[:0]),
    "amplification_by_level": lambda: figures_curves.amplification_by_level(amplifications().iloc[:0]),
    "weight_choice": lambda: figures_curves.weight_choice(weights().iloc[:0]),
    "radius_study": lambda: figures_studies.radius_study(radii().iloc[:0]),
    "weight_study": lambda: figures_studies.weight_study(weight_factors().iloc[:0]),
    "effort_study": lambda: figures_searches.effort_study(efforts().iloc[:0]),
}
FAILED: dict[str, Callable[[], Figure]] = {
    "quantity_by_level": lambda: figures_curves.quantity_by_level(failed(errors())),
    "amplification_by_level": lambda: figures_curves.amplification_by_level(failed(amplifications())),
    "weight_choice": lambda: figures_curves.weight_choice(failed(weights())),
    "radius_study": lambda: figures_studies.radius_study(failed(radii())),
    "weight_study": lambda: figures_studies.weight_study(failed(weight_factors())),
    "effort_study": lambda: figures_searches.effort_study(failed(efforts())),
}
EVERY = FIGURES | {f"{name}, empty": make for name, make in EMPTY.items()}
EVERY |= {f"{name}, all failed": make for name, make in FAILED.items()}


def failed(frame: pd.DataFrame) -> pd.DataFrame:
    values = {"mean", "low", "high", "severity", "amplification", "artifact_norm", "share_of_largest"}
    return frame.assign(**dict.fromkeys(values & set(frame.columns), np.nan))


def pixels(figure: Figure) -> np.ndarray:
    """The figure as it is printed, `(height, width, 3)`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def panel_pixels(figure: Figure, index: int, color: str) -> int:
    """How many pixels of a color the figure's axes `index` hold, without their frame."""
    picture = pixels(figure)
    box = figure.axes[index].get_position()
    height, width = picture.shape[:2]
    inside = picture[
        int((1 - box.y1) * height) + 4 : int((1 - box.y0) * height) - 4,
        int(box.x0 * width) + 4 : int(box.x1 * width) - 4,
    ]
    wanted = np.array([round(255 * part) for part in to_rgb(color)])
    return int((inside == wanted).all(axis=-1).sum())


@cache
def built(name: str) -> Figure:
    return EVERY[name]()


@pytest.mark.parametrize("name", EVERY)
def test_a_figure_can_be_read_in_print(name, unreadable):
    figure = built(name)
    assert unreadable(figure) == []
    width, height = figure.get_size_inches()
    assert width <= style.DOUBLE + 1e-9
    assert height <= 9.5
    cells = {id(text) for axes in figure.axes if axes.images for text in axes.texts}
    sizes = {text.get_fontsize() for text in figure.findobj(Text) if id(text) not in cells}
    assert sizes == {style.FONT}


def test_the_check_of_text_sees_what_it_should(unreadable):
    figure = attacked()
    figure.text(0.5, 0.99, "covering", ha="center", va="top")
    figure.text(0.98, 0.5, "beyond the edge")
    wrong = unreadable(figure)
    assert ("beyond the edge",) in wrong
    assert ("covering", TITLE) in wrong


@pytest.mark.parametrize("name", [name for name in FIGURES if " of " not in name])
def test_equal_input_gives_equal_files(name, tmp_path):
    first = style.save(built(name), tmp_path / "first")
    anew = style.save(FIGURES[name](), tmp_path / "anew")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in anew]
    assert {path.name for path in tmp_path.iterdir()} == {"first.pdf", "first.png", "anew.pdf", "anew.png"}


def test_a_figure_saved_twice_gives_equal_files(tmp_path):
    figure = FIGURES["quantity_by_level"]()
    saved = [style.save(figure, tmp_path / name) for name in ("first", "again")]
    assert [path.read_bytes() for path in saved[0]] == [path.read_bytes() for path in saved[1]]


def test_files_name_no_date_and_no_version(tmp_path):
    for path in style.save(attacked(), tmp_path / "level_0.5"):
        assert path.stem == "level_0.5"
        content = path.read_bytes()
        for trace in (
            b"CreationDate",
            b"ModDate",
            b"Producer",
            b"Creator",
            b"Software",
            b"atplotlib",
            b"tIME",
        ):
            assert trace not in content


@pytest.mark.slow
def test_files_are_equal_in_another_process_that_needs_no_window_and_no_torch(tmp_path):
    program = f"""
import sys
from pathlib import Path
import numpy as np
from mrilib.report import figures_curves, figures_images, figures_studies
from mrilib.report import figures_training, figures_transfer, style
image = np.eye(64)
figure = figures_images.attack_panel(
    image, image, image, location=(9, 9), level=4, alpha=2, severity=1, title="αβγ ‖ρ‖∞"
)
style.save(figure, Path({str(tmp_path)!r}) / sys.argv[1])
assert "matplotlib.pyplot" not in sys.modules and "torch" not in sys.modules
"""
    for seed in ("1", "2"):
        command = [sys.executable, "-c", program, seed]
        environment = {"PYTHONHASHSEED": seed, "PATH": "", "HOME": str(tmp_path)}
        subprocess.run(command, check=True, cwd=Path(__file__).parents[2], env=environment)
    for ending in ("pdf", "png"):
        assert (tmp_path / f"1.{ending}").read_bytes() == (tmp_path / f"2.{ending}").read_bytes()


def test_settings_of_the_user_neither_change_a_figure_nor_are_changed(tmp_path):
    expected = [path.read_bytes() for path in style.save(attacked(), tmp_path / "plain")]
    with matplotlib.rc_context({"font.size": 20, "savefig.bbox": "tight", "axes.titlesize": 30}):
        before = dict(matplotlib.rcParams)
        found = [path.read_bytes() for path in style.save(attacked(), tmp_path / "other")]
        assert dict(matplotlib.rcParams) == before
    assert found == expected


def test_a_failed_save_leaves_what_was_there(tmp_path, monkeypatch):
    paths = style.save(attacked(), tmp_path / "figure")
    before = [path.read_bytes() for path in paths]

    def full(*_, **__):
        raise OSError("no space left on device")

    monkeypatch.setattr(Figure, "savefig", full)
    with pytest.raises(OSError, match="no space"):
        style.save(attacked(level=1), tmp_path / "figure")
    assert [path.read_bytes() for path in paths] == before
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("name", ["quantity_by_level", "amplification_by_level", "weight_choice"])
def test_axes_name_their_quantities(name, texts):
    found = texts(built(name))
    x = "weight λ (image maximum = 1)" if name == "weight_choice" else style.NOISE_LEVEL
    y = style.AMPLIFICATION if name == "amplification_by_level" else style.RELATIVE_ERROR
    assert {x, y} <= set(found)
    assert "(%)" in style.NOISE_LEVEL
    assert "(%)" in style.RELATIVE_ERROR


def test_axes_of_the_studies_name_their_quantities(texts):
    radius = texts(built("radius_study"))
    assert {style.SEVERITY, style.AMPLIFICATION, "radius σ of the disk (pixels)"} <= set(radius)
    weight = texts(built("weight_study"))
    assert {style.SEVERITY, style.AMPLIFICATION, "λ / tuned λ"} <= set(weight)
    assert "‖e‖₂/‖Ax‖₂ = 0.5 %\ntuned λ = 0.0005" in weight


def test_sources_under_masks_of_their_own_leave_no_empty_panels(texts):
    frame = pd.concat([errors(), errors(sources=("knee",), masks=(80,))])
    figure = figures_curves.quantity_by_level(frame, mask_labels=MASKS)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["ellipses, 40 lines\nn = 50", "knee, 80 lines\nn = 50"]
    assert "no data" not in texts(figure)
    assert len(built("quantity_by_level of many").axes) == 6


def test_quality_is_linear_and_errors_are_logarithmic(texts):
    ssim = built("quantity_by_level of SSIM")
    assert {axes.get_yscale() for axes in ssim.axes} == {"linear"}
    assert "SSIM" in texts(ssim)
    assert "PSNR (dB)" in texts(built("quantity_by_level of PSNR"))
    assert built("quantity_by_level").axes[0].get_yscale() == "log"
    severity = figures_curves.quantity_by_level(errors(), quantity="severity")
    assert severity.axes[0].get_yscale() == "log"
    assert style.SEVERITY in texts(severity)


def test_perturbed_methods_say_what_was_done_to_each(texts):
    found = texts(built("perturbed_panel"))
    assert {"TV", "unet", "ConvDecoder\n(reduced)"} <= set(found)
    heads = {"reconstruction\nrec(y)\nSSIM 0.873", "perturbed image\nx + |Aᴴe|\n8 % of ‖Ax‖₂"}
    heads |= {"reconstruction\nrec(y + e)\nSSIM 0.412"}
    heads |= {"perturbation |Aᴴe|,\nscaled\n100 ×, largest 0.01"}
    assert heads | {"artifact |ρ|,\nscaled\n2 ×, severity 0.42"} <= set(found)
    assert len(found["2 ×, severity 0.42"]) == 3
    assert "modulus × the factor above the image, same unit" in found
    assert {"modulus (reference maximum = 1)", "above 1"} <= set(found)
    axes = built("perturbed_panel").axes
    assert axes[4].images[0].get_array().max() == pytest.approx(2 * 0.42)
    assert axes[3].images[0].get_array().max() == pytest.approx(100 * 0.01)
    assert axes[4].images[0].cmap.name == error_maps.COLORS
    # rings where the attack aimed, in the reconstruction, the perturbation and the artifact
    rings = [[tuple(map(float, line.get_xydata()[0])) for line in panel.get_lines()] for panel in axes[:5]]
    assert rings == [[], [], *[[(21.0, 32.0)] * 2] * 3]
    free = perturbed(1, location=(-1, -1))
    assert not any(panel.get_lines() for panel in free.axes[:5])


def test_a_method_whose_attack_failed_is_missing(texts):
    found = texts(built("perturbed_panel of wide images"))
    assert len(found["missing"]) == 5
    assert len(found["n/a"]) == 5
    assert len(texts(built("perturbed_panel of failures"))["missing"]) == 10


@pytest.mark.parametrize(
    ("largest", "factor"), [(0.42, 2.0), (0.5, 2.0), (0.51, 1.0), (7.5, 0.1), (0.02, 50.0), (0.0, 1.0)]
)
def test_the_factor_leaves_an_image_in_range(largest, factor):
    image = np.zeros((4, 4), complex)
    image[1, 2] = -1j * largest
    assert figures_perturbed.factor_of(image) == factor


def test_wrong_numbers_of_methods_are_refused():
    for count in (0, 5):
        rows = {f"m{index}": perturbation() for index in range(count)}
        with pytest.raises(ValueError, match=f"perturbed_panel: expected 1 to 4 methods, got {count}"):
            figures_perturbed.perturbed_panel(rows, level=8)


def test_panels_say_what_they_show(texts):
    found = texts(attacked())
    assert TITLE in found
    assert "perturbed image x + A†e\n‖e‖₂ = 4 % of ‖Ax‖₂" in found
    assert "reconstruction rec(y + e)\nα = 7.64, severity 7.54" in found
    assert "close-up, 48 × 48 pixels\naround row 40, column 24" in found
    assert "above 1" in found
    panels = texts(built("amplification_by_level"))
    assert "ellipses, 40 lines\nn²/m = 5.99, n = 50" in panels


@pytest.mark.parametrize(
    ("value", "red"), [(1.0, False), (1.0 + 0.4 / 255, False), (1.01, True), (7.0, True)]
)
def test_a_pixel_above_one_is_red(value, red):
    reconstruction = phantom()
    reconstruction[41, 25] = value
    arguments = {"location": (40, 24), "level": 4, "alpha": 7, "severity": 7, "title": ""}
    figure = figures_images.attack_panel(phantom(), phantom(), reconstruction, **arguments)
    image, perturbed, close = (panel_pixels(figure, index, style.ABOVE) for index in (0, 1, 5))
    assert (image, perturbed) == (0, 0)
    assert (close > 0) is red
    # about one of the 48 × 48 pixels of the close-up
    assert close <= 1.3 * figure.axes[5].get_position().width * figure.bbox.width * 0.05 * 20


def test_a_real_pixel_below_zero_is_blue_and_explained(texts):
    low = phantom()
    low[41, 25] = -0.2
    arguments = {"location": (40, 24), "level": 4, "alpha": 7, "severity": 7, "title": ""}
    figure = figures_images.attack_panel(phantom(), phantom(), low, **arguments)
    assert panel_pixels(figure, 5, style.BELOW) > 0
    assert panel_pixels(figure, 3, style.BELOW) == 0
    assert "below 0" in texts(figure)
    shown_as_moduli = figures_images.attack_panel(phantom(), phantom(), low + 0j, **arguments)
    assert panel_pixels(shown_as_moduli, 5, style.BELOW) == 0
    assert "below 0" not in texts(shown_as_moduli)


@pytest.mark.parametrize("location", [(0, 0), (63, 63), (3, 60)])
def test_a_close_up_at_the_edge_stays_inside(location):
    figure = attacked(location=location)
    assert np.shape(figure.axes[3].images[0].get_array()) == (48, 48)


def test_a_small_image_is_its_own_close_up():
    image = phantom(32, 40)
    arguments = {"location": (5, 5), "level": 4, "alpha": 7, "severity": 7, "title": ""}
    figure = figures_images.attack_panel(image, image, image, **arguments)
    assert np.shape(figure.axes[3].images[0].get_array()) == (32, 40)


def test_a_global_attack_has_no_close_up():
    assert len(attacked(location=None).axes) == len(attacked(location=(-1, -1)).axes) == 4
    assert len(attacked().axes) == 7


def test_a_level_without_images_is_missing(texts):
    rows = level_rows()
    rows[1] = {"level": 1.0, "perturbed": None, "reconstruction": None, "location": None, "alpha": np.nan}
    found = texts(figures_images.level_panel(rows))
    assert len(found["missing"]) == 3
    assert "1 %\nα = n/a" in found
    empty = [row | {"perturbed": None, "reconstruction": None} for row in level_rows()]
    assert len(texts(figures_images.level_panel(empty))["missing"]) == 12


def test_places_that_were_left_out_are_grey_and_have_no_dot(texts):
    values = severities()
    values[:3] = np.nan
    places = np.stack(np.meshgrid(10 + 4.0 * np.arange(8), 5.0 + np.arange(8), indexing="ij"), axis=-1)
    places[:3] = np.nan
    figure = figures_images.severity_map({4.0: values}, image=phantom(), places=places)
    dots = [tuple(float(each[0]) for each in line.get_data()) for line in figure.axes[0].lines]
    assert len(dots) == 5 * 8 + 1
    assert dots[0] == (5.0, 22.0)
    # the worst place, in the image and in the map
    assert dots[-1] == (12.0, 38.0)
    assert figure.axes[1].images[0].get_array().mask.sum() == 3 * 8
    note = "Grey: left out"
    assert any(note in text.replace("\n", " ") for text in texts(figure))
    assert not any(note in text.replace("\n", " ") for text in texts(built("severity_map of one")))


def test_pictures_of_coils_say_so(texts):
    assert "perturbed image x + |Aᴴe|\n‖e‖₂ = 4 % of ‖Ax‖₂" in texts(attacked(picture="|Aᴴe|"))
    levels = figures_images.level_panel(level_rows(), picture="|Aᴴe|")
    assert "perturbed\nimage x + |Aᴴe|" in texts(levels)
    mask = figures_images.mask_and_zero_filled(
        phantom(160, 240) > 0,
        phantom(32, 64),
        phantom(32, 64),
        label="random 4×",
        acceleration=4,
        adjoint="Aᴴ",
    )
    assert {"zero-filled AᴴAx", "ky"} <= set(texts(mask))


def test_a_map_prints_its_values_and_frames_the_largest(texts):
    values = severities()
    values[0, 0] = np.nan
    figure = figures_images.severity_map({4.0: values}, image=phantom())
    found = texts(figure)
    assert {"12.3", "6.6", "–"} <= set(found)
    (frame,) = figure.axes[1].patches
    assert (frame.get_x(), frame.get_y()) == (4.5, 1.5)
    nothing = figures_images.severity_map({4.0: np.full((8, 8), np.nan)}, image=phantom())
    assert len(nothing.axes[1].patches) == 0
    assert len(texts(nothing)["–"]) == 64


def curves_of(figure: Figure, index: int = 0) -> list[np.ndarray]:
    """Ordinates of the curves over a frame, without those drawn across the axes."""
    lines = figure.axes[index].get_lines()
    return [np.asarray(line.get_ydata(), dtype=float) for line in lines if len(line.get_ydata()) > 2]


def intervals_of(figure: Figure, index: int = 0) -> int:
    bars = [item for item in figure.axes[index].collections if isinstance(item, LineCollection)]
    return sum(len(bar.get_segments()) for bar in bars)


def test_what_failed_is_a_gap_with_a_cross_and_never_zero(texts):
    frame = errors()
    gone = (frame["method"] == "tv") & (frame["level"] == 2.0) & (frame["attack"] == "everywhere")
    frame.loc[gone, ["mean", "low", "high"]] = np.nan
    figure = figures_curves.quantity_by_level(frame)
    lines = curves_of(figure)
    assert sum(np.isnan(line).sum() for line in lines) == 1
    assert all((line[np.isfinite(line)] > 0).all() for line in lines)
    assert intervals_of(figure) == intervals_of(figures_curves.quantity_by_level(errors())) - 1
    crosses = [line for line in figure.axes[0].get_lines() if line.get_marker() == "x"]
    assert [line.get_xdata().tolist() for line in crosses] == [[2.0]]
    assert "missing (failed)" in texts(figure)
    assert "missing (failed)" not in texts(built("quantity_by_level"))


@pytest.mark.parametrize("name", FAILED)
def test_figures_without_any_value_say_so(name, texts):
    for figures in (EMPTY, FAILED):
        assert "no data" in texts(figures[name]())


def test_a_single_image_has_no_interval(texts):
    legend = "95 % interval"
    assert legend in texts(built("quantity_by_level"))
    assert legend not in texts(figures_curves.quantity_by_level(errors(n=1)))
    assert intervals_of(figures_curves.quantity_by_level(errors())) == 3 * 3 * len(LEVELS)
    assert intervals_of(figures_curves.quantity_by_level(errors(n=1))) == 0
    one = radii().query("position == 0 and source == 'ellipses'")
    assert intervals_of(figures_studies.radius_study(one)) == 0
    assert intervals_of(figures_studies.radius_study(radii())) == 2 * 4
    told = weights().assign(low=np.nan, high=np.nan)
    assert intervals_of(figures_curves.weight_choice(told)) == 0


def test_an_image_that_failed_leaves_the_mean_of_the_others():
    frame = radii().query("source == 'ellipses'").copy()
    frame.loc[(frame["position"] == 2) & (frame["value"] == 5.0), "severity"] = np.nan
    figure = figures_studies.radius_study(frame)
    *images, mean = curves_of(figure)
    assert np.isnan(images[2]).tolist() == [False, True, False, False]
    assert mean[1] == pytest.approx(np.mean([7, 8]) / (1 + 5 / 30))
    assert mean[0] == pytest.approx(8 / (1 + 1 / 30))


def test_the_limits_of_the_radius_are_lines_across():
    frame = radii().query("source == 'ellipses'")
    axes = figures_studies.radius_study(frame).axes[0]
    across = sorted(line.get_ydata()[0] for line in axes.get_lines() if len(line.get_ydata()) == 2)
    assert across == pytest.approx([8 / (1 + 128 / 30), 8.0])
    assert axes.get_xlim()[0] > 0.5


def test_the_chosen_weight_is_marked():
    axes = figures_curves.weight_choice(weights()).axes[0]
    stars = [line for line in axes.get_lines() if line.get_marker() == "*"]
    assert [line.get_xdata().tolist() for line in stars] == [[np.logspace(-6, -1, 11)[6]]] * len(LEVELS)


def test_the_paper_stands_beside_ours():
    axes = figures_curves.amplification_by_level(amplifications()).axes[1]
    drawn = {(line.get_marker(), line.get_color()): line for line in axes.get_lines()}
    ours, paper = drawn["o", style.METHOD_COLORS["tira"]], drawn["D", style.METHOD_COLORS["tira"]]
    assert paper.get_ydata().tolist() == [5.0] * len(LEVELS)
    gaps = np.diff(
        np.sort(np.concatenate([line.get_xdata() for key, line in drawn.items() if key[0] in "oD"]))
    )
    assert (paper.get_xdata() > ours.get_xdata()).all()
    assert gaps.min() > 0.1


@pytest.mark.parametrize(
    ("make", "frame"),
    [
        (figures_curves.quantity_by_level, errors()),
        (figures_curves.amplification_by_level, amplifications()),
        (figures_curves.weight_choice, weights()),
        (figures_studies.radius_study, radii()),
        (figures_studies.weight_study, weight_factors()),
        (figures_searches.effort_study, efforts()),
    ],
)
def test_wrong_frames_are_refused(make, frame):
    with pytest.raises(ValueError, match=f"{make.__name__}: expected one row for each of"):
        make(pd.concat([frame, frame.iloc[:1]]))
    for column in frame.columns.drop("n", errors="ignore"):
        with pytest.raises(ValueError, match=f"{make.__name__}: expected columns .*'{column}'"):
            make(frame.drop(columns=column))


def test_wrong_numbers_of_levels_are_refused():
    for rows in ([], level_rows((*LEVELS, 12.0))):
        with pytest.raises(ValueError, match="level_panel: expected 1 to 6 levels, got"):
            figures_images.level_panel(rows)
    with pytest.raises(ValueError, match="severity_map: expected at least one level"):
        figures_images.severity_map({}, image=phantom())


def test_colors_are_fixed_and_differ():
    assert style.color("tv", []) == style.color("tv", ["mine", "tv"]) == "#0072B2"
    assert style.color("tirafl", ["tira", "tirafl"]) == "#E69F00"
    run = ["tv", "zeta", "unet", "alpha"]
    assert style.color("alpha", run) == style.color("alpha", run[::-1]) == style.SPARE_COLORS[0]
    assert style.color("zeta", [*run, "tira"]) == style.SPARE_COLORS[1]
    names = [*style.METHOD_COLORS, *(f"mine {index}" for index in range(4))]
    assert len({style.color(name, names) for name in names}) == len(names)
    with pytest.raises(ValueError, match="color: expected one of"):
        style.color("mine", run)


def test_colors_of_a_run_hold_in_figures_that_show_a_part_of_it():
    frame = amplifications().query("method == 'mine'")
    figure = figures_curves.amplification_by_level(frame, methods=["another", "mine", "tv"])
    ours = next(line for line in figure.axes[0].get_lines() if line.get_marker() == "o")
    assert ours.get_color() == style.SPARE_COLORS[1]


@pytest.mark.parametrize(
    ("make", "frame"),
    [
        (figures_curves.quantity_by_level, errors()),
        (figures_curves.amplification_by_level, amplifications()),
    ],
)
def test_names_of_the_run_go_first(make, frame, texts):
    found = texts(make(frame, labels={"tira": "Tira (reduced)"}))
    # A name alone says nothing of what a method is.
    assert {"tv", "Tira (reduced)"} <= set(found)
    assert "tira" not in found


def test_means_that_may_be_rounding_have_a_ring(texts):
    frame = amplifications()
    figure = figures_curves.amplification_by_level(frame.assign(doubtful=range(len(frame))))
    lines = [line for axes in figure.axes for line in axes.get_lines()]
    rings = [line for line in lines if line.get_markerfacecolor() == "none"]
    # The first one is not doubtful, nor is a mean ringed that there is not.
    known = frame["mean"].iloc[1:].notna().sum()
    assert sum(np.isfinite(line.get_ydata()).sum() for line in rings) == known
    assert "may be rounding" in texts(figure)
    assert "may be rounding" not in texts(figures_curves.amplification_by_level(frame.assign(doubtful=0)))
    assert "may be rounding" not in texts(figures_curves.amplification_by_level(frame))


def test_attacks_are_filled_and_noise_is_open():
    peak = Localized().about
    attacks = ATTACKS | {"his": {"kind": "his own"}, "hers": peak, "more noise": Gaussian().about}
    found = {name: style.signs(name, attacks) for name in attacks}
    assert [signs.filled for signs in found.values()] == [True, True, False, True, True, False]
    assert len({signs.marker for signs in found.values()}) == len(attacks)
    # What an attack is decides, not its name.
    assert style.signs("global", {"global": Gaussian().about}) == found["noise"]
    assert style.signs("", attacks) == style.CLEAN_SIGNS


def test_the_legend_says_what_attacks_are(texts):
    found = texts(built("quantity_by_level"))
    assert {"global attack", "localized attack (one pixel)", "Gaussian noise", "no noise"} <= set(found)
    assert "everywhere" in texts(figures_curves.quantity_by_level(errors()))


@pytest.mark.parametrize(
    ("value", "text"), [(7.6444, "7.64"), (14.388, "14.4"), (0.00051, "0.00051"), (2.0, "2"), (np.nan, "n/a")]
)
def test_numbers_are_written_plainly(value, text):
    assert style.number(value) == text
