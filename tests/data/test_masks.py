import itertools

import numpy as np
import pytest
import torch
from fastmri.data import subsample
from fastmri.data.transforms import apply_mask

from mrilib.data.masks import column_mask, name_seed, radial_mask, true_acceleration
from mrilib.data.sampling.base import Sampling, acquired_region
from mrilib.data.sampling.columns import Equispaced, EquispacedFraction, Random
from mrilib.data.sampling.radial import Radial

# Lines to m and n²/m at n = 256: the values of P1, exact.
SAMPLES = {25: (6990, 9.376), 40: (10941, 5.990), 80: (20908, 3.134)}


@pytest.fixture(scope="module")
def masks():
    return {lines: radial_mask(256, lines) for lines in SAMPLES}


@pytest.mark.parametrize("lines", SAMPLES)
def test_samples_are_those_of_the_paper(masks, lines):
    samples, undersampling = SAMPLES[lines]
    assert int(masks[lines].sum()) == samples
    assert round(256**2 / int(masks[lines].sum()), 3) == undersampling


def test_masks_are_nested(masks):
    assert not (masks[25] & ~masks[40]).any()
    assert not (masks[40] & ~masks[80]).any()


def test_every_line_passes_the_zero_frequency(masks):
    assert masks[25].shape == (256, 256)
    assert masks[25].dtype == torch.bool
    assert masks[25][128, 128]
    # line 0 is horizontal
    assert masks[25][128].all()


@pytest.mark.parametrize(("lines", "unpaired"), [(25, 56), (40, 86), (80, 176)])
def test_masks_are_nearly_point_symmetric(masks, lines, unpaired):
    mask = np.fft.ifftshift(masks[lines].numpy())
    mirrored = np.roll(mask[::-1, ::-1], (1, 1), (0, 1))
    assert int((mask != mirrored).sum()) == unpaired


def test_masks_depend_on_nothing_else():
    assert torch.equal(radial_mask(33, 5), radial_mask(33, 5))
    assert radial_mask(33, 5)[16, 16]


@pytest.mark.parametrize(("size", "lines"), [(1, 5), (32, 0), (32, -1)])
def test_refuses_sizes_out_of_range(size, lines):
    with pytest.raises(ValueError, match=f"got {size} × {size} and lines={lines}"):
        radial_mask(size, lines)


FASTMRI = {
    "random": subsample.RandomMaskFunc,
    "equispaced": subsample.EquiSpacedMaskFunc,
    "equispaced-fraction": subsample.EquispacedMaskFractionFunc,
}
WIDTHS = (320, 322, 368, 371, 372, 396, 400)
NAME = "file1000031.h5"


def columns(width=368, *, acceleration=4, center_fraction=0.08, kind="random", seed=0, **options):
    return column_mask(
        width, acceleration=acceleration, center_fraction=center_fraction, kind=kind, seed=seed, **options
    )


@pytest.mark.parametrize("kind", FASTMRI)
@pytest.mark.parametrize("seed", [0, 7, (1, 2, 3), name_seed(NAME)])
@pytest.mark.parametrize(("acceleration", "center_fraction"), [(4, 0.08), (8, 0.04), (2, 0.0)])
def test_columns_are_those_of_fastmri(kind, seed, acceleration, center_fraction):
    for width in (24, *WIDTHS):
        # as a data loader calls it: one object, k-space with real and imaginary parts last
        drawer = FASTMRI[kind]([center_fraction], [acceleration], seed=1)
        expected, _ = drawer((15, 8, width, 2), seed=seed)
        mask = columns(
            width, acceleration=acceleration, center_fraction=center_fraction, kind=kind, seed=seed
        )
        assert mask.dtype == torch.bool
        assert torch.equal(mask, expected.flatten().bool())


def test_seed_of_a_file_is_its_name():
    assert name_seed("a.h5") == (97, 46, 104, 53)
    with pytest.raises(ValueError, match="expected the name of a file, got an empty one"):
        name_seed("")


@pytest.mark.parametrize("kind", FASTMRI)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_centre_is_fully_sampled(kind, width):
    count, centre = round(0.08 * width), width // 2
    mask = columns(width, kind=kind, seed=name_seed(NAME))
    assert mask[centre - (count - 1) // 2 : centre + (count + 1) // 2].all()


def test_true_acceleration_counts_entries():
    assert true_acceleration(torch.tensor([True, False, False, True])) == 2.0
    with pytest.raises(ValueError, match="samples nothing"):
        true_acceleration(torch.zeros(3, dtype=torch.bool))


@pytest.mark.parametrize(
    ("kind", "lowest", "highest"),
    [("random", 2.8, 5.5), ("equispaced", 3.19, 3.26), ("equispaced-fraction", 3.92, 4.05)],
)
def test_true_accelerations_at_four_times(kind, lowest, highest):
    reached = [
        true_acceleration(columns(width, kind=kind, seed=name_seed(f"file{width}{index:04}.h5")))
        for width in WIDTHS
        for index in range(80)
    ]
    assert lowest <= min(reached) <= max(reached) <= highest
    if kind == "random":
        # 98 % lie where the docstring says, and no closer to the nominal one
        assert 3.2 < np.quantile(reached, 0.01) < 3.6
        assert 4.7 < np.quantile(reached, 0.99) < 5.1
        assert np.mean(reached) == pytest.approx(4.05, abs=0.05)


@pytest.mark.parametrize("width", WIDTHS)
def test_redrawn_masks_meet_the_acceleration(width):
    seed = name_seed(NAME)
    mask = columns(width, seed=seed, redraw_within=0.03)
    assert abs(true_acceleration(mask) - 4.0) <= 0.03
    draws = (columns(width, seed=(*seed, index)) for index in itertools.count())
    accepted = next(draw for draw in draws if abs(true_acceleration(draw) - 4.0) <= 0.03)
    assert torch.equal(mask, accepted)
    assert torch.equal(mask, columns(width, seed=seed, redraw_within=0.03))


def test_an_integer_seed_is_redrawn_as_a_tuple_of_one():
    assert torch.equal(columns(seed=5, redraw_within=0.03), columns(seed=(5,), redraw_within=0.03))


def test_redraws_end():
    with pytest.raises(ValueError, match=r"1000 draws of kind 'equispaced' gave .* none within 0.03 of 4"):
        columns(kind="equispaced", redraw_within=0.03)
    with pytest.raises(ValueError, match=r"no count of 50 columns comes within 0.03 of acceleration 4, the"):
        columns(50, redraw_within=0.03)
    with pytest.raises(ValueError, match="expected redraw_within >= 0 or None, got -1"):
        columns(redraw_within=-1.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 1}, "got width=1, acceleration=4, center_fraction=0.08"),
        ({"acceleration": 0.5}, "acceleration=0.5"),
        ({"acceleration": 400}, "1 <= acceleration <= width"),
        ({"acceleration": float("nan")}, "acceleration=nan"),
        ({"center_fraction": -0.1}, "center_fraction=-0.1"),
        ({"center_fraction": 1.0}, "center_fraction=1.0"),
        ({"center_fraction": float("nan")}, "center_fraction=nan"),
        (
            {"center_fraction": 0.25},
            "alone samples 92 of 368 columns, and acceleration 4 allows 92.0; lower center_fraction or accel",
        ),
        ({"kind": "equispaced-fraction", "center_fraction": 0.3}, "alone samples 110 of 368"),
        ({"kind": "random", "acceleration": 1, "center_fraction": 0.999}, "alone samples 368 of 368"),
        ({"kind": "equispaced", "acceleration": 4.5}, "expected a whole acceleration .* got 4.5"),
        ({"seed": -1}, r"expected seed to be integers from 0 to 2\*\*32 - 1, got -1"),
        ({"seed": ()}, "expected seed to be integers"),
        ({"width": 4, "acceleration": 4, "center_fraction": 0.0, "seed": 0}, "samples none of 4 columns"),
    ],
)
def test_refuses_masks_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        columns(**options)


@pytest.mark.usefixtures("unchecked")
def test_refuses_an_unknown_kind():
    with pytest.raises(ValueError, match=r"expected kind to be one of .* got 'poisson'"):
        columns(kind="poisson")


def test_drawing_changes_no_global_state():
    before = np.random.get_state()[1].copy()  # noqa: NPY002  the state that must not change
    columns(seed=3)
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_samplings_draw_what_the_functions_draw():
    radial = Radial(lines=25)
    assert torch.equal(radial.draw((64, 64), 3), radial_mask(64, 25))
    with pytest.raises(ValueError, match="Radial: expected lines >= 1"):
        Radial(lines=0)
    settings = {"acceleration": 4, "center_fraction": 0.08}
    first, second = Random(**settings), Random(**settings, draw=1)
    seed, drawn = name_seed("file1.h5"), settings | {"kind": "random"}
    assert torch.equal(first.draw((640, 368), seed), column_mask(368, seed=seed, **drawn))
    assert torch.equal(second.draw((640, 368), seed), column_mask(368, seed=(*seed, 1), **drawn))
    assert not torch.equal(first.draw((640, 368), seed), second.draw((640, 368), seed))
    with pytest.raises(ValueError, match="Random: expected draw >= 0"):
        Random(**settings, draw=-1)


def test_radial_lines_of_a_rectangle_go_through_its_centre_and_lie_in_those_of_its_square():
    rows, columns = 64, 40
    mask = Radial(lines=9).draw((rows, columns), 3)
    assert mask.shape == (rows, columns)
    assert mask[rows // 2].all()
    # The union over a larger square, cut at its centre: 80 - 64 and 80 - 40 are even, so centres agree.
    square = radial_mask(80, 9)[8:72, 20:60]
    assert float((mask != square).float().mean()) < 0.02


def test_a_mask_for_another_size_is_refused_before_it_is_drawn():
    with pytest.raises(ValueError, match=r"the mask \(512\) is larger than the images \(256 × 256\)"):
        Radial(lines=9, size=512).check((256, 256))
    Radial(lines=9, size=256).check((256, 256))


SAMPLINGS = {"random": Random, "equispaced": Equispaced, "equispaced-fraction": EquispacedFraction}


def fastmris(kind, acceleration, center_fraction, name, shape, padding):
    """The mask that fastMRI's loader applies to a file of this name, which left out columns."""
    drawer = FASTMRI[kind]([center_fraction], [acceleration])
    data = torch.zeros(3, *shape, 2)
    _, mask, _ = apply_mask(data, drawer, seed=tuple(map(ord, name)), padding=padding)
    return mask.flatten().bool()


def test_masks_of_files_with_padding_are_fastmris():
    generator, emptied = np.random.default_rng(0), 0
    for number in range(200):
        kind = list(SAMPLINGS)[number % 3]
        rows, width = (int(side) for side in generator.integers(24, 420, 2))
        left, right = sorted(int(place) for place in generator.choice(width + 1, 2, replace=False))
        acceleration, name = int(generator.choice([2, 3, 4, 6, 8])), f"file_brain_AXT2_{number}.h5"
        settings = {"acceleration": acceleration, "center_fraction": 0.32 / acceleration}
        expected = fastmris(kind, *settings.values(), name, (rows, width), (left, right))
        sampling = SAMPLINGS[kind](**settings)
        acquired = acquired_region((rows, width), columns=(left, right))
        if not expected.any():
            emptied += 1
            with pytest.raises(ValueError, match="none of them was acquired; take a mask that samples more"):
                sampling.drawn((rows, width), name_seed(name), acquired)
            continue
        mask = sampling.drawn((rows, width), name_seed(name), acquired)
        assert torch.equal(mask, expected)
        assert true_acceleration(mask, acquired) == (right - left) / int(expected.sum())
    assert emptied < 20


@pytest.mark.parametrize(
    ("kind", "full", "inside"), [("random", 32, 23), ("equispaced", 34, 25), ("equispaced-fraction", 28, 21)]
)
def test_the_mask_is_empty_where_nothing_was_acquired(kind, full, inside):
    sampling = SAMPLINGS[kind](acceleration=4, center_fraction=0.08)
    seed, acquired = name_seed("padded.h5"), acquired_region((64, 112), columns=(18, 94))
    mask = sampling.drawn((64, 112), seed, acquired)
    assert torch.equal(mask, fastmris(kind, 4, 0.08, "padded.h5", (64, 112), (18, 94)))
    assert not mask[:18].any()
    assert not mask[94:].any()
    assert (int(sampling.draw((64, 112), seed).sum()), int(mask.sum())) == (full, inside)
    assert true_acceleration(mask, acquired) == 76 / inside


def test_redraws_aim_at_the_acceleration_among_what_was_acquired():
    sampling = Random(acceleration=4, center_fraction=0.08, redraw=0.03)
    seed = name_seed("padded.h5")
    acquired = acquired_region((64, 112), columns=(18, 94))
    mask = sampling.drawn((64, 112), seed, acquired)
    assert true_acceleration(mask, acquired) == 4.0
    # with rows left out, too: the share of columns is the share of entries
    part = acquired_region((64, 112), rows=(10, 64), columns=(18, 94))
    rows = sampling.drawn((64, 112), seed, part)
    assert torch.equal(rows, part & mask)
    assert true_acceleration(rows, part) == 4.0
    # everything was acquired: as `draw`
    assert torch.equal(sampling.drawn((64, 112), seed), sampling.draw((64, 112), seed))


def test_where_no_mask_is_near_enough_the_nearest_is_taken():
    shape, seed = (64, 112), name_seed("padded.h5")
    acquired = acquired_region(shape, columns=(18, 93))
    mask = Random(acceleration=4, center_fraction=0.08, redraw=0.03).drawn(shape, seed, acquired)
    assert true_acceleration(mask, acquired) == 75 / 19
    spaced = EquispacedFraction(acceleration=4, center_fraction=0.08, redraw=0.03)
    mask = spaced.drawn(shape, seed, acquired)
    assert true_acceleration(mask, acquired) == max(
        true_acceleration(
            column_mask(
                112, acceleration=4, center_fraction=0.08, kind="equispaced-fraction", seed=(*seed, draw)
            )
            & acquired,
            acquired,
        )
        for draw in range(200)
    )


class Corner(Sampling):
    """A user's own masks, which know nothing of what was acquired."""

    def draw(self, shape, seed):
        mask = torch.zeros(shape, dtype=torch.bool)
        mask[:4, :6] = True
        return mask


def test_own_masks_are_cut_as_well():
    shape = (8, 10)
    acquired = acquired_region(shape, columns=(2, 10))
    assert int(Corner().drawn(shape, 0, acquired).sum()) == 4 * 4
    assert int(Corner().drawn(shape, 0, acquired.expand(shape)).sum()) == 4 * 4
    assert int(Corner().drawn(shape, 0).sum()) == 4 * 6
    radial = Radial(lines=5)
    assert torch.equal(radial.drawn(shape, 0, acquired), radial.draw(shape, 0) & acquired)
    with pytest.raises(ValueError, match=r"samples 24 entries of \(8, 10\), and none of them was acquired"):
        Corner().drawn(shape, 0, acquired_region(shape, rows=(4, 8)))


def test_columns_stay_columns_where_all_rows_were_acquired():
    sampling, shape = Equispaced(acceleration=2, center_fraction=0.1), (8, 20)
    columns = acquired_region(shape, columns=(3, 20))
    assert sampling.drawn(shape, 1, columns.expand(shape)).shape == (20,)
    assert torch.equal(sampling.drawn(shape, 1, columns.expand(shape)), sampling.drawn(shape, 1, columns))
    rows = acquired_region(shape, rows=(2, 8))
    mask = sampling.drawn(shape, 1, rows)
    assert mask.shape == shape
    assert torch.equal(mask[2:], sampling.draw(shape, 1).expand(6, 20))
    assert not mask[:2].any()


def test_acquired_regions():
    assert acquired_region((8, 10)) is None
    assert acquired_region((8, 10), rows=(0, 8), columns=(0, 10)) is None
    assert acquired_region((8, 10), columns=(2, 9)).tolist() == [2 <= place < 9 for place in range(10)]
    part = acquired_region((8, 10), rows=(1, 5), columns=(2, 9))
    assert part.shape == (8, 10)
    assert part[1:5, 2:9].all()
    assert int(part.sum()) == 4 * 7
    for columns in ((-1, 5), (5, 5), (2, 11)):
        with pytest.raises(ValueError, match=rf"the first of 10 columns .* got \({columns[0]}, {columns[1]}"):
            acquired_region((8, 10), columns=columns)


def test_accelerations_count_what_was_acquired():
    mask = torch.tensor([True, False, True, False, False])
    acquired = torch.tensor([True, True, True, False, False])
    assert true_acceleration(mask, acquired) == 1.5
    assert true_acceleration(mask.expand(4, 5), acquired) == 1.5
    rows = acquired.expand(4, 5).clone()
    rows[0] = False
    assert true_acceleration(mask, rows) == 1.5
    with pytest.raises(ValueError, match="samples nothing"):
        true_acceleration(~acquired, acquired)


@pytest.mark.usefixtures("unchecked")
def test_refuses_what_was_acquired_of_another_size():
    sampling = Random(acceleration=4, center_fraction=0.08)
    for acquired in (torch.ones(20, dtype=torch.bool), torch.ones(8, 24, dtype=torch.bool), torch.ones(24)):
        with pytest.raises(ValueError, match="expected acquired"):
            sampling.drawn((64, 24), 0, acquired)
        with pytest.raises(ValueError, match=r"expected acquired as a boolean tensor \(24,\) or \(64, 24\)"):
            Radial(lines=3).drawn((64, 24), 0, acquired)
