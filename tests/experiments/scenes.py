"""Images under a method, stored as the jobs store them."""

from pathlib import Path

import torch

from mrilib.data.images.ellipses import ellipse_phantoms
from mrilib.data.masks import radial_mask
from mrilib.data.measurement import Measurement, measure_image
from mrilib.data.measurement_files import write_measurement
from mrilib.jobs.attack import perturbed_unit
from mrilib.jobs.subjects import Subject
from mrilib.operators.base import fft2c
from mrilib.operators.coil_images import center_crop, rss
from mrilib.reconstructors.base import observed
from mrilib.solvers.solution import NotConvergedError, Solution
from mrilib.store.arrays import Group, write_groups
from tests.jobs.entries import attack_of

SIZE, LEVEL = 32, 0.05
PEAK = {"kind": "localized", "objective": "peak", "grid": 2, "disk_radius": 5.0, "select": "clean"}
ASCENT = {"search": "mrilib.attacks.searches.gradient:GradientAscent"}


def phantom(position=0):
    """A phantom under radial lines."""
    image = ellipse_phantoms(1, size=SIZE, seed=3, first=position)[0]
    return measure_image(image, radial_mask(SIZE, 12), about={"patient": f"p{position}"})


def scan(*, rows=24, columns=20, shape=(16, 14), coils=3, seed=0):
    """An object under random columns, with smooth maps that are zero in a quarter of the image."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.zeros(rows, columns)
    image[8:18, 5:15] = 1.0
    image[10:13, 8:12] = 0.3
    y, x = torch.meshgrid(torch.linspace(-1, 1, rows), torch.linspace(-1, 1, columns), indexing="ij")
    places = torch.linspace(0, 2 * torch.pi, coils + 1)[:-1]
    maps = torch.stack([torch.exp(-((y - p.sin()) ** 2) - (x - p.cos()) ** 2 + 0.5j * x) for p in places])
    maps = maps / rss(maps)
    maps[:, : rows // 2, : columns // 2] = 0
    mask = (torch.rand(columns, generator=generator) < 0.4) | (torch.arange(columns) - columns // 2).abs().le(
        2
    )
    coil_images = maps * image
    peak = float(rss(coil_images).max()) / 1.25
    return Measurement(
        kspace=(fft2c(coil_images) * mask / peak).to(torch.complex64),
        mask=mask,
        coil_maps=maps.to(torch.complex64),
        reference=center_crop(rss(coil_images), shape) / peak,
        scale=peak,
        maximum=1.3,
        about={"patient": "0012", "volume": "v", "slice": 4, "anatomy": "knee", "simulated": True},
    )


class Stored:
    """Files of one image under one method; `units` are added to them by hand."""

    def __init__(self, folder: Path, measurement, method, *, name="m", source="set", mask="mask", position=0):
        self.place = {"source": source, "mask": mask, "position": position}
        self.folder = folder / f"{name}-{source}-{mask}-{position}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.measurement, self.method, self.operator = measurement, method, measurement.operator
        coils = measurement.kspace.shape[0] if measurement.kspace.ndim == 3 else 0
        self.root = dict(measurement.about) | self.place | {"method": name, "domain": f"{source}@{mask}"}
        self.root |= {"output": method.output, "through_adjoint": method.through_adjoint, "coils": coils}
        self.root["acceleration"] = measurement.acceleration
        self.path = self.folder / "measurement.h5"
        write_measurement(self.path, measurement, **self.place)
        self.clean = self._clean()

    def _clean(self) -> Solution | str:
        path = self.folder / "reconstruction.h5"
        about = {"weight": 0.25, "factor": 1.0, "seconds": 2.0, "steps": 7.0}
        try:
            solution = self.method.solve(self.measurement.kspace, self.operator)
        except NotConvergedError as error:
            about["failed"] = str(error)
            write_groups(path, {"": Group(attributes=self.root), "clean": Group(attributes=about)})
            return f"clean reconstruction failed: {error}"
        value = observed(self.method, solution.value, self.operator)
        unit = Group({"reconstruction": value.numpy()}, about)
        write_groups(path, {"": Group(attributes=self.root), "clean": unit})
        return Solution(value, solution.status, solution.stats, state=solution.state)

    @property
    def subject(self) -> Subject:
        return Subject(self.measurement, self.method, LEVEL, "clean", None, 1.0, [0, "set", 0], self.clean)

    def attacked(self, **attacks) -> tuple[Path, Path, Path]:
        """Attack, and name the three files."""
        units = {name: perturbed_unit(self.subject, attack_of(attack)) for name, attack in attacks.items()}
        return self.with_units({f"perturbed/{name}/{LEVEL:g}/1": unit for name, unit in units.items()})

    def with_units(self, groups, name="attacks.h5") -> tuple[Path, Path, Path]:
        """Write units as a job does: each with the attack that its group is of."""
        units = {group: _entered(group, unit) for group, unit in groups.items()}
        write_groups(self.folder / name, {"": Group(attributes=self.root)} | units)
        return self.path, self.folder / "reconstruction.h5", self.folder / name


def _entered(group, unit):
    if group.startswith("clean/"):
        return unit
    _, *made_for, attack, _, _ = group.split("/")
    about = {"attack": attack} | ({"made_for": made_for[0]} if made_for else {})
    return Group(unit.arrays, about | unit.attributes, unit.units)
