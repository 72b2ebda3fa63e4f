import math

import pytest
import torch

from mrilib.attacks.kinds.localized import localized_attack
from mrilib.attacks.objectives import disk_windows, grid_locations
from mrilib.attacks.places import grid_places, nearest_place
from mrilib.attacks.searches.gradient import GradientAscent
from mrilib.attacks.target import NoPlaceError
from mrilib.operators.coils import CoilFourier
from mrilib.operators.fourier import MaskedFourier
from mrilib.reconstructors.linear import ZeroFilled

HEIGHT, WIDTH = 24, 20


@pytest.fixture
def operator():
    return MaskedFourier(mask=torch.ones(HEIGHT, WIDTH, dtype=torch.bool))


def ring(height=18, width=16):
    """Reference of 18×16, cropped from 24×20: an object off the centre, with a hole and faint air."""
    image = torch.full((height, width), 0.02)
    image[4:16, 1:13] = 1.0
    image[8:12, 5:9] = 0.049
    image[2, 2] = 0.04
    return image


def expected_places(reference, grid):
    """Cell by cell, in plain numbers."""
    above = [(r, c) for r in range(18) for c in range(16) if float(reference[r, c]) > 0.05]
    top, left = min(r for r, _ in above), min(c for _, c in above)
    tall, wide = max(r for r, _ in above) + 1 - top, max(c for _, c in above) + 1 - left
    found = {}
    for i in range(grid):
        for j in range(grid):
            row, column = top + int((i + 0.5) * tall / grid), left + int((j + 0.5) * wide / grid)
            # 3 rows and 2 columns of the measured image lie before the reference
            found[(i, j)] = (row + 3, column + 2) if (row, column) in above else None
    return found


def test_the_grid_spans_the_object(operator):
    cells, kept = grid_places(operator, 4, "object", ring())
    expected = expected_places(ring(), 4)
    holes = [cell for cell, place in expected.items() if place is None]
    assert holes == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert [tuple(place) for place in cells[kept].tolist()] == [place for place in expected.values() if place]
    assert torch.equal(kept, torch.tensor([place is not None for place in expected.values()]))


def test_the_attack_keeps_to_the_object(operator):
    kspace = operator.forward(torch.rand(HEIGHT, WIDTH))
    settings = {"radius": 0.5, "grid": 4, "seed": 0, "search": GradientAscent(rounds=[[3, 4], [3, 1]])}
    for reference in (ring(), ring()[None]):
        result = localized_attack(
            ZeroFilled(), kspace, operator, **settings, region="object", reference=reference, restarts=2
        )
        expected = expected_places(ring(), 4)
        for severities in (result.severities, result.severities_first_round):
            assert torch.isnan(severities[1:3, 1:3]).all()
            assert int(torch.isnan(severities).sum()) == 4
        assert tuple(result.location.tolist()) in {place for place in expected.values() if place}
    # one reference for all items, or one an item
    batch = torch.stack([kspace, kspace])
    moved = torch.stack([ring(), ring().flip(0)])
    both = localized_attack(ZeroFilled(), batch, operator, **settings, region="object", reference=moved)
    assert int(torch.isnan(both.severities).sum()) == 8
    shared = localized_attack(ZeroFilled(), batch, operator, **settings, region="object", reference=ring())
    assert torch.equal(shared.location[0], both.location[0])


def test_what_no_coil_sees_is_no_place():
    maps = torch.ones(2, HEIGHT, WIDTH, dtype=torch.complex64)
    maps[:, :, : WIDTH // 2] = 0
    operator = CoilFourier(mask=torch.ones(WIDTH, dtype=torch.bool), coil_maps=maps)
    cells, kept = grid_places(operator, 4, "image", None)
    assert torch.equal(cells, grid_locations(HEIGHT, WIDTH, 4))
    assert torch.equal(kept, cells[:, 1] >= WIDTH // 2)
    cells, kept = grid_places(operator, 4, "object", ring())
    assert kept.any()
    assert (cells[kept][:, 1] >= WIDTH // 2).all()
    assert nearest_place(torch.tensor([[3, 3], [13, 10], [12, 11]]), HEIGHT, WIDTH).tolist() == [13, 10]


def test_no_place_at_all(operator):
    with pytest.raises(NoPlaceError, match="the reference is zero"):
        grid_places(operator, 4, "object", torch.zeros(HEIGHT, WIDTH))
    hollow = torch.zeros(HEIGHT, WIDTH)
    hollow[4:13, 4:13] = 1.0
    hollow[5:12, 5:12] = 0.0
    with pytest.raises(NoPlaceError, match="none of the 1×1 places is inside the object"):
        grid_places(operator, 1, "object", hollow)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"region": "object"}, "region='object' goes with reference"),
        ({"reference": torch.ones(4, 4)}, "region='object' goes with reference"),
        ({"region": "head"}, "expected region 'image' or 'object', got 'head'"),
        (
            {"region": "object", "reference": torch.ones(25, 20)},
            "expected reference as a real image of at most 24",
        ),
        (
            {"region": "object", "reference": torch.ones(3, 24, 20)},
            "expected reference as a real image of at most",
        ),
        ({"select": "truth", "truth": torch.ones(24, 21)}, "expected truth as a real image of at most 24×20"),
    ],
)
def test_refuses_other_regions_and_images(operator, changed, message):
    kspace = operator.forward(torch.rand(HEIGHT, WIDTH))
    with pytest.raises(ValueError, match=f"localized_attack: {message}"):
        localized_attack(ZeroFilled(), kspace, operator, radius=0.5, seed=0, **changed)


def test_the_disk_grows_with_the_image(operator):
    kspace = operator.forward(torch.rand(HEIGHT, WIDTH))
    seen = []

    class Watched(GradientAscent):
        def begin(self, task):
            seen.append(task.windows)
            super().begin(task)

    for disk_radius in (None, 5 * WIDTH / 256, 5.0):
        search = Watched(rounds=[[1, 1]])
        localized_attack(
            ZeroFilled(),
            kspace,
            operator,
            radius=0.5,
            seed=0,
            grid=2,
            objective="disk",
            disk_radius=disk_radius,
            search=search,
        )
    assert torch.equal(seen[0], seen[1])
    assert torch.equal(seen[0], disk_windows(grid_locations(HEIGHT, WIDTH, 2), HEIGHT, WIDTH, 100 / 256))
    assert [int(windows[0].sum()) for windows in seen] == [1, 1, 81]


def test_the_truth_may_be_cropped(operator):
    image = torch.ones(HEIGHT, WIDTH)
    kspace = operator.forward(image)
    cells = grid_locations(HEIGHT, WIDTH, 2)
    for row, column in cells.tolist():
        truth = image[2:22, 1:19].clone()
        # too bright here already, and more so after an attack at this place
        truth[row - 2, column - 1] = 0.0
        result = localized_attack(
            ZeroFilled(),
            kspace,
            operator,
            radius=0.5,
            grid=2,
            seed=0,
            search=GradientAscent(rounds=[[2, None]]),
            select="truth",
            truth=truth,
        )
        assert result.location.tolist() == [row, column]
        assert float(result.severity) == pytest.approx(0.5, rel=1e-4)
    assert math.isfinite(float(result.severities.sum()))
