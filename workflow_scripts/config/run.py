"""What a run is made of, and what follows from it: which method of which domain is applied where."""

from functools import cached_property
from typing import Annotated, Any

from pydantic import Field

from workflow_scripts.config.attacks import Attack
from workflow_scripts.config.domains import Application, Domain, Shift
from workflow_scripts.config.entries import import_path
from workflow_scripts.config.errors import suggestion
from workflow_scripts.config.experiments import ExperimentEntry, MetricEntry
from workflow_scripts.config.features import Feature
from workflow_scripts.config.figures import Figures
from workflow_scripts.config.images import Source
from workflow_scripts.config.masks import Mask
from workflow_scripts.config.methods import Method
from workflow_scripts.config.scans import Annotations, Control, Dataset, Hardest, Scans, Selection
from workflow_scripts.config.strict import FilePath, Fraction, Name, Strict, not_empty
from workflow_scripts.config.theory import Theory
from workflow_scripts.provenance import MISSING, class_attribute

# Serves every method with a derivative, under every operator.
DEFAULT_SEARCH = import_path("search", "gradient")


class Run(Strict):
    """A run. `size` is of phantoms and of images from files; scans have their own."""

    run: Name
    seed: Annotated[int, Field(ge=0)]
    size: Annotated[int, Field(ge=8)] = 256
    downloads: FilePath = "results/downloads"
    datasets: dict[Name, Dataset] = {}
    annotations: dict[Name, Annotations] = {}
    images: dict[Name, Source] = {}
    masks: dict[Name, Mask] = {}
    domains: dict[Name, Domain] = {}
    shifts: dict[Name, Shift] = {}
    levels: Annotated[list[Fraction], not_empty("leave the key out for a run without noise")] = []
    methods: dict[Name, Method] = {}
    attacks: dict[Name, Attack] = {}
    features: dict[Name, Feature] = {}
    metrics: dict[Name, MetricEntry] = {}
    theory: dict[Name, Theory] = {}
    experiments: dict[Name, ExperimentEntry] = {}
    figures: Figures | None = None

    def _domain(self, where: str, name: str) -> Domain:
        """The pair that a domain's name, or `source@mask`, stands for."""
        if name in self.domains:
            return self.domains[name]
        source, _, mask = name.partition("@")
        if source not in self.images or mask not in self.masks:
            known = [*self.domains, *(f"{each}@{other}" for each in self.images for other in self.masks)]
            self._known(where, name, known)
        return Domain(source=source, mask=mask)

    def _known(self, where: str, value: str, allowed: Any) -> None:
        if value not in allowed:
            raise ValueError(f"{where}: {value!r} is not defined{suggestion(value, list(allowed))}")

    @property
    def scans(self) -> dict[str, Scans]:
        """Sources of raw multi-coil data."""
        return {name: source for name, source in self.images.items() if isinstance(source, Scans)}

    def pool_of(self, source: str) -> str:
        """Whose slices a source of scans has for its tests: its own, or those of the pool of hard slices."""
        test = self.scans[source].test
        if isinstance(test, Control):
            test = self.scans[test.control_of].test
        return test.hardest_of if isinstance(test, Hardest) else source

    def sets_of(self, source: str) -> dict[str, Selection]:
        """The selections from datasets that the slices of a source of scans are from, by part."""
        return {"test": self.scans[self.pool_of(source)].sets["test"]} | self.scans[source].sets

    def annotations_of(self, source: str) -> list[str]:
        """Annotations of the dataset that a source's test slices are from; none of images and phantoms."""
        if source not in self.scans:
            return []
        dataset = self.sets_of(source)["test"].dataset
        return [name for name, each in self.annotations.items() if each.dataset == dataset]

    @property
    def trained(self) -> list[str]:
        """Methods with a training."""
        return [name for name, method in self.methods.items() if method.training is not None]

    @property
    def tuned(self) -> list[str]:
        """Methods with a tuned parameter."""
        return [name for name, method in self.methods.items() if method.tune is not None]

    @property
    def adapted(self) -> list[str]:
        """Methods that know a domain: tuned or trained ones."""
        return [name for name in self.methods if name in {*self.tuned, *self.trained}]

    def unmeasured(self, source: str, mask: str | None, domain: str | None) -> str | None:
        """Why nothing reconstructs a source under a mask by methods of a domain; `None` if something does.

        Without a mask it is the only one, without a domain the usual one; `source@mask` is that of these.
        """
        if source not in self.images:
            return f".source: {source!r} is not defined{suggestion(source, list(self.images))}"
        masks = self.masks_for(source)
        if mask is None and len(masks) > 1:
            return f".mask: {source} is measured under {', '.join(masks)}; name one of them"
        mask = masks[0] if mask is None else mask
        if mask not in masks:
            return f".mask: {source} is not measured under {mask!r}{suggestion(mask, masks)}"
        here = [each.domain for each in self.applications if (each.source, each.mask) == (source, mask)]
        at, _, under = str(domain).partition("@")
        if at in self.images and under in self.masks:
            domain = self.usual_domain(at, under)
        if domain is not None and domain not in here:
            return (
                f".domain: no method of {domain!r} is applied to {source} under {mask}"
                f"{suggestion(domain, list(dict.fromkeys(here)))}; say so among the shifts"
            )
        return None

    def count(self, source: str) -> int:
        """Number of test images."""
        return self.images[source].count

    def masks_for(self, source: str) -> list[str]:
        """Masks of a source: those that it names, or all that are usual for its number of coils."""
        found = self.images[source]
        coils = "several coils" if isinstance(found, Scans) else "one coil"

        def usual(mask: Mask) -> bool:
            return (class_attribute(mask.path, "usual_for") or "both") in (coils, "both")

        return found.masks or [name for name, mask in self.masks.items() if usual(mask)]

    def sources_of(self, mask: str) -> list[str]:
        """Sources that are measured under a mask."""
        return [name for name in self.images if mask in self.masks_for(name)]

    def masks_of(self, method: str) -> list[str]:
        return self.methods[method].masks or list(self.masks)

    def takes(self, source: str, method: str) -> bool:
        """Whether a method is among those that a source names, if it names any."""
        return method in (self.images[source].methods or [method])

    def applies(self, method: str, source: str, mask: str) -> bool:
        """Whether a method is applied to a source under a mask, as a method of the usual domain."""
        sources = self.methods[method].sources
        return (
            mask in self.masks_for(source)
            and mask in self.masks_of(method)
            and source in (sources or [source])
            and self.takes(source, method)
        )

    @cached_property
    def _named(self) -> dict[tuple[str, str], str]:
        """Pairs that the config names."""
        return {(domain.source, domain.mask): name for name, domain in self.domains.items()}

    def domain_name(self, source: str, mask: str) -> str:
        """Name of the domain that is a pair: that of its entry, or `source@mask`."""
        return self._named.get((source, mask), f"{source}@{mask}")

    def domain(self, name: str) -> Domain:
        """The pair that a domain's name stands for."""
        return self._domain("domain", name)

    def usual_domain(self, source: str, mask: str) -> str:
        """The domain whose methods are applied to a source under a mask, where nothing is shifted."""
        return self.domain_name(self.images[source].tuned_on or source, self.masks[mask].tuned_on or mask)

    def usually_applied(self, method: str, source: str, mask: str) -> Application:
        """A method on a source under a mask, with the usual domain."""
        return Application(method, self.usual_domain(source, mask), source, mask)

    @cached_property
    def usual(self) -> list[Application]:
        """Every method on every source and mask that it is applied to, with the usual domain."""
        return [
            self.usually_applied(method, source, mask)
            for source in self.images
            for mask in self.masks_for(source)
            for method in self.methods
            if self.applies(method, source, mask)
        ]

    @cached_property
    def shifted(self) -> dict[Application, bool]:
        """Tuned and trained methods where they are not at home, and whether they are attacked there."""
        found: dict[Application, bool] = {}
        for shift in self.shifts.values():
            pair = self.domain(shift.domain)
            name = self.domain_name(pair.source, pair.mask)
            for method in shift.methods or self.adapted:
                if self.applies(method, pair.source, pair.mask) and self.takes(shift.source, method):
                    applied = Application(method, name, shift.source, shift.mask)
                    found[applied] = found.get(applied, False) or shift.attacks
        return found

    @cached_property
    def applications(self) -> list[Application]:
        """The usual ones, then the shifted ones."""
        return [*self.usual, *self.shifted]

    @cached_property
    def tunings(self) -> list[tuple[str, str]]:
        """Every tuned method with the domains that it is tuned on."""
        found = [(each.method, each.domain) for each in self.applications if each.method in self.tuned]
        return list(dict.fromkeys(found))

    @cached_property
    def trainings(self) -> list[tuple[str, str]]:
        """Every trained method with the domains that it is trained on."""
        found = [(each.method, each.domain) for each in self.applications if each.method in self.trained]
        return list(dict.fromkeys(found))

    def tuned_for(self, method: str) -> list[str]:
        """What a method's parameter is tuned for, as files name it: every level, or clean data."""
        tune = self.methods[method].tune
        if tune is None or tune.at == "clean":
            return ["clean"]
        return [f"{level:g}" for level in self.levels]

    def kept_epochs(self, method: str) -> list[int]:
        """Epochs of a method's training that others start from."""
        starts = [self.methods[name].training.start for name in self.trained]  # type: ignore[union-attr]
        return sorted({start.epoch for start in starts if start is not None and start.method == method})

    def search_of(self, method: str, attack: str, source: str) -> str | None:
        """Import path of the search of an attack; none for noise, nor for a method without derivative.

        Where the class's own search does not take the artifact, one that serves everything takes its place,
        as in Python.
        """
        found = self.attacks[attack]
        if not found.needs_derivative:
            return None
        own = self.own_search(method, source)
        if found.search or own is None:
            return found.search
        served = class_attribute(own, "artifacts")
        if self.methods[method].search or found.artifact in (("complex",) if served is MISSING else served):
            return own
        return DEFAULT_SEARCH

    def own_search(self, method: str, source: str) -> str | None:
        """The search that the config, or else the class, names for a method on a source."""
        found = self.methods[method]
        if found.search is not None:
            return found.search
        own = class_attribute(found.reconstructor, "search")
        if own is None:
            return None
        if source in self.scans:
            own = class_attribute(found.reconstructor, "search_on_coils")
        return DEFAULT_SEARCH if own in (None, MISSING) else own

    def is_seeded(self, method: str) -> bool:
        """Whether a method draws something in every call, as its class says."""
        return class_attribute(self.methods[method].reconstructor, "seeded") is True

    def attacks_of(self, method: str, source: str, mask: str, position: int = 0) -> list[str]:
        """The attacks on a method on an image of a source under a mask.

        Methods without derivative have only those that need none, and methods without a seed none that needs
        one.
        """
        return [
            name
            for name, attack in self.attacks.items()
            if _is_on(attack, method, source, mask, position)
            and (not attack.needs_derivative or self.search_of(method, name, source) is not None)
            and (not attack.needs_seed or self.is_seeded(method))
        ]

    def features_of(self, method: str, source: str, mask: str, position: int = 0) -> list[str]:
        """The studies of small features by a method on an image of a source under a mask."""
        return [
            name
            for name, feature in self.features.items()
            if _is_on(feature, method, source, mask, position)
            and (not feature.needs_boxes or self.annotations_of(source))
            and (not feature.needs_steps or self.in_steps(method))
        ]

    def in_steps(self, method: str) -> bool:
        """Whether a method is fitted in steps, as its class says."""
        return class_attribute(self.methods[method].reconstructor, "in_steps") is True

    def attacked_count(self, method: str, source: str, mask: str) -> int:
        """How many of a source's test images, the first of them, have an attack on a method."""
        limits = [self.attacks[name].images for name in self.attacks_of(method, source, mask)]
        count = self.count(source)
        return max((count if limit is None else limit for limit in limits), default=0)

    def shown_attacks(self, method: str, source: str, mask: str, position: int = 0) -> list[str]:
        """Those of the attacks that vary nothing, which tables and figures show."""
        return [
            name for name in self.attacks_of(method, source, mask, position) if not self.attacks[name].vary
        ]

    def searched(self, method: str, source: str, mask: str, position: int = 0) -> list[str]:
        """Those of the attacks whose perturbations are given to other methods."""
        return [
            name
            for name in self.shown_attacks(method, source, mask, position)
            if self.attacks[name].needs_derivative
        ]

    @cached_property
    def search_tunings(self) -> list[tuple[str, str, str]]:
        """Every attack with a tuned argument of its search, with the methods and domains that it is for."""
        found = [
            (name, each.method, each.domain)
            for each in self.applications
            if self.shifted.get(each, True)
            for name in self.attacks_of(each.method, each.source, each.mask)
            if self.attacks[name].tune is not None
        ]
        return list(dict.fromkeys(found))

    def tuned_at(self, attack: str) -> float:
        """The level at which an argument of an attack's search is chosen."""
        return self.attacks[attack].tune.level or max(self.levels_of(attack))  # type: ignore[union-attr]

    def levels_of(self, attack: str) -> list[float]:
        """The levels of an attack, as the run has them in order."""
        wanted = self.attacks[attack].levels
        return [level for level in self.levels if wanted is None or level in wanted]

    def rivals_of(self, method: str, source: str, mask: str, position: int = 0) -> list[str]:
        """The other methods on an image of a source under a mask, whose perturbations this one is given."""
        return [
            name
            for name in self.methods
            if name != method
            and self.applies(name, source, mask)
            and self.searched(name, source, mask, position)
        ]


def _is_on(entry: Attack | Feature, method: str, source: str, mask: str, position: int) -> bool:
    """Whether an entry is for a method on an image of a source under a mask: for all if it names none."""
    return (
        mask in (entry.masks or [mask])
        and method in (entry.methods or [method])
        and source in (entry.sources or [source])
        and (entry.images is None or position < entry.images)
    )
