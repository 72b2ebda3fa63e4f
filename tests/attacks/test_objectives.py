import torch

from mrilib.attacks.objectives import disk_windows, grid_locations, localized_windows


def test_centres_of_the_papers_grid():
    locations = grid_locations(256, 256, 8).reshape(8, 8, 2)
    centres = torch.arange(16, 256, 32)
    assert torch.equal(locations[:, 3, 0], centres)
    assert torch.equal(locations[5, :, 1], centres)


def test_centres_of_another_shape():
    assert grid_locations(6, 10, 2).tolist() == [[1, 2], [1, 7], [4, 2], [4, 7]]


def test_disks():
    locations = torch.tensor([[20, 9], [0, 0]])
    windows = disk_windows(locations, 40, 30, 5.0)
    # 81 pixels lie within 5 of a pixel
    assert windows.sum(dim=(1, 2)).tolist() == [81, 26]
    rows, columns = torch.nonzero(windows[0], as_tuple=True)
    assert ((rows - 20) ** 2 + (columns - 9) ** 2).max() == 25
    assert windows.unique().tolist() == [0, 1]


def test_peak_is_the_smallest_disk():
    locations = torch.tensor([[20, 9], [0, 0]])
    peaks = localized_windows(locations, 40, 30, objective="peak", disk_radius=5.0)
    assert torch.nonzero(peaks).tolist() == [[0, 20, 9], [1, 0, 0]]
    disks = localized_windows(locations, 40, 30, objective="disk", disk_radius=5.0)
    assert torch.equal(disks, disk_windows(locations, 40, 30, 5.0))
