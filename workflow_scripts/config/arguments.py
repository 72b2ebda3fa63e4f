"""The classes that a config names, and their arguments, held against the classes themselves."""

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from mrilib.metrics.base import metric_from
from mrilib.metrics.quantities import QUANTITIES
from mrilib.store.classes import arguments_model, load_class
from mrilib.store.functions import load_function
from workflow_scripts.config.attacks import FACTOR, SearchTune
from workflow_scripts.config.config import Config
from workflow_scripts.config.entries import FAMILIES, NESTED, Entry, word_of, words
from workflow_scripts.config.errors import explained, suggestion
from workflow_scripts.config.methods import Tune
from workflow_scripts.config.scans import Converted
from workflow_scripts.config.sizes import misfitting_sizes
from workflow_scripts.config.strict import as_number
from workflow_scripts.provenance import check_import_path, class_attribute

# What the constructor of a class of a user's may raise.
FAULTS = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError)
FAULTS += (OSError, RuntimeError, ImportError)
# What measures one coil, and several.
OPERATORS = ("mrilib.operators.fourier:MaskedFourier", "mrilib.operators.coil_fourier:CoilFourier")


class Named(NamedTuple):
    """A class that a config names.

    Args:
        where: path of the key in the config that has the arguments.
        family: of the class, or "" for any.
        path: its import path.
        arguments: those that the config gives.
        added: what jobs add, such as a value of the tuned parameter.
    """

    where: str
    family: str
    path: str
    arguments: Mapping[str, Any]
    added: Mapping[str, Any] = {}


def classes_wrong(config: Config) -> Iterator[str]:
    """One line for every class that does not exist, or does not take its arguments. Classes are imported."""
    return (line for named in classes_of(config) for line in _wrong(named))


def classes_of(config: Config) -> Iterator[Named]:
    """Every class that a config names, with those that its arguments name."""
    for name, dataset in config.datasets.items():
        for volume in dataset.names if isinstance(dataset, Converted) else ():
            reader = dataset.reader(volume)
            where = f"datasets.{name}.volumes.{volume}"
            yield from _nested(Named(where, "reader", reader["class"], reader["arguments"]))
    for name, mask in config.masks.items():
        yield _named(f"masks.{name}", mask)
    for name, method in config.methods.items():
        where = f"methods.{name}"
        by_word = {key for key, value in method.parameters.items() if _is_word(value)}
        for added in _ends(method.tune):
            own = Named(f"{where}.parameters", "method", method.reconstructor, method.arguments, added)
            yield from _nested(own, by_word)
        sources = {each.source for each in config.applications if each.method == name}
        searches = {config.own_search(name, source) for source in sources if method.search_arguments}
        for search in sorted(filter(None, {*searches, method.search})):
            yield Named(f"{where}.search_arguments", "search", search, method.search_arguments)
    for name, attack in config.attacks.items():
        yield _named(f"attacks.{name}", attack)
        for argument, values in attack.vary.items():
            for value in values if argument != FACTOR else ():
                arguments = attack.arguments | {argument: value}
                yield Named(f"attacks.{name}.vary", "attack", attack.path, arguments)
        if attack.search is not None:
            where = f"attacks.{name}.search_arguments"
            for added in _ends(attack.tune):
                yield Named(where, "search", attack.search, attack.search_arguments, added)
    for name, feature in config.features.items():
        yield _named(f"features.{name}", feature)
    for name, metric in config.metrics.items():
        yield _named(f"metrics.{name}", metric)
    for name, experiment in config.experiments.items():
        yield _named(f"experiments.{name}", experiment)


def _ends(tune: Tune | SearchTune | None) -> list[dict[str, float]]:
    """The smallest and the largest value that an argument may be given; nothing where none is tuned."""
    return [{}] if tune is None else [{tune.parameter: end} for end in (tune.grid.low, tune.grid.high)]


def _is_word(value: Any) -> bool:
    return isinstance(value, Mapping) and "kind" in value


def _named(where: str, entry: Entry) -> Named:
    inside = where if entry.by_word else f"{where}.arguments"
    return Named(inside, entry.family, entry.path, entry.arguments)


def _nested(named: Named, by_word: Collection[str] = ()) -> Iterator[Named]:
    """A class with those that its arguments name, some of them by a word, so that theirs stand beside it."""
    yield named
    for name, value in named.arguments.items():
        if isinstance(value, Mapping) and isinstance(value.get("class"), str):
            where = f"{named.where}.{name}" + ("" if name in by_word else ".arguments")
            inner = value.get("arguments") or {}
            yield from _nested(Named(where, NESTED.get(name, ""), value["class"], inner))


def _wrong(named: Named) -> Iterator[str]:
    try:
        check_import_path(named.path)
        base = FAMILIES[named.family][1] if named.family else None
        found = load_class(named.path, object if base is None else load_class(base, object))
        model = arguments_model(found)
    except ValueError as error:
        yield f"{named.where.removesuffix('.arguments').removesuffix('_arguments')}: {error}"
        return
    entry, _, beside = named.where.rpartition(".")
    for name in named.added:
        if name not in model.model_fields:
            known = suggestion(name, list(model.model_fields))
            yield f"{entry}.tune.parameter: {model.__name__} takes no {name!r}{known}"
            return
        if name in named.arguments:
            yield f"{entry}.tune.parameter: {name!r} stands in {beside} as well; leave one of them out"
            return
    given = {**named.arguments, **named.added}
    try:
        taken = model.model_validate(given)
    except ValidationError as error:
        for detail in error.errors():
            yield f"{named.where}.{explained(model, given, detail)}"
        return
    mistyped = [
        line
        for name, value in given.items()
        for line in _mistyped(f"{named.where}.{name}", value, getattr(taken, name, value))
    ]
    yield from mistyped
    if not mistyped and is_made(named):
        try:
            found(**given)
        except FAULTS as error:
            told = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
            yield f"{named.where}: {told}"


def is_made(named: Named) -> bool:
    """Whether a class is made to see that it takes its arguments: not networks, nor what holds them."""
    if named.family in ("network", ""):
        return False
    if named.family == "method":
        # A user's may read large files.
        whole = not {"network", "inverse"} & named.arguments.keys() or named.path.endswith(":Untrained")
        return named.path.startswith("mrilib.") and whole
    return True


def _mistyped(where: str, given: Any, taken: Any) -> Iterator[str]:
    """What pydantic would convert: a class is given what YAML read, and YAML reads 1e-3 as text."""
    if isinstance(given, Mapping):
        for name, value in given.items():
            inside = taken[name] if isinstance(taken, Mapping) and name in taken else value
            yield from _mistyped(f"{where}.{name}", value, inside)
    elif isinstance(given, list):
        same = isinstance(taken, list | tuple) and len(taken) == len(given)
        for number, value in enumerate(given):
            yield from _mistyped(f"{where}.{number}", value, taken[number] if same else value)
    elif isinstance(given, float) and math.isnan(given):
        yield f"{where}: expected a number, got NaN; write digits, or leave the key out"
    elif isinstance(given, str | float | int) and type(given) is not type(taken):
        if isinstance(taken, bool):
            yield f"{where}: expected true or false, got {given!r}; write it without quotes"
        elif isinstance(taken, int) and isinstance(given, float):
            yield f"{where}: expected a whole number, got {given!r}; write it without a point"
        elif isinstance(taken, int | float) and isinstance(given, str | bool):
            yield f"{where}: expected a number, got {given!r}{as_number(given)}"


def misfits(config: Config) -> Iterator[str]:
    """What is right by itself and does not fit the rest of the config."""
    yield from misfitting_sizes(config)
    yield from _networks(config)
    yield from _searches(config)
    yield from _experiments(config)
    for name, metric in config.metrics.items():
        try:
            metric_from(metric.described)
        except ValueError as error:
            yield f"metrics.{name}: {error}"


def _networks(config: Config) -> Iterator[str]:
    """Networks that a method cannot call, and inverses of one coil's k-space where there are several."""
    for name, method in config.methods.items():
        taken = getattr(load_class(method.reconstructor, object), "network_takes", None)
        network = method.arguments.get("network")
        if taken and isinstance(network, Mapping) and _takes(network["class"]) not in (None, *taken):
            fitting = [word for word, path in words("network").items() if _takes(path) in taken]
            yield (
                f"methods.{name}.parameters.network: {word_of('method', method.reconstructor)} cannot call "
                f"{word_of('network', network['class'])}; it calls {', '.join(fitting)}"
            )
        if method.arguments.get("inverse") is None:
            continue
        for each in config.applications:
            if each.method == name and each.source in config.scans:
                yield (
                    f"methods.{name}.parameters.inverse: it is of a single coil's k-space, and "
                    f"{each.source} has several coils; name the sources of the method without it"
                )
                break


def _takes(network: str) -> str | None:
    """What a network is called with; `None` of a user's that does not say so. Ours take images by default."""
    own = class_attribute(network, "takes")
    return own or ("image" if network in words("network").values() else None)


def _searches(config: Config) -> Iterator[str]:
    """Searches that are named and cannot attack what they are named for."""
    refused = set()
    for each in config.usual:
        method, several = config.methods[each.method], each.source in config.scans
        for name in config.attacks_of(each.method, each.source, each.mask):
            attack = config.attacks[name]
            path = attack.search or method.search
            if path is None or not attack.needs_derivative:
                continue
            where = f"attacks.{name}.search" if attack.search else f"methods.{each.method}.search"
            if (where, each.method, several) in refused:
                continue
            refused.add((where, each.method, several))
            # Searches ask for the class of both, and for nothing that is in them.
            kind, operator = (
                load_class(found, object) for found in (method.reconstructor, OPERATORS[several])
            )
            asked = (object.__new__(kind), object.__new__(operator), attack.artifact)
            if told := load_class(path, object).refusal(*asked):
                serving = [
                    word
                    for word, other in words("search").items()
                    if load_class(other, object).refusal(*asked) is None
                ]
                takes = f"it takes {', '.join(serving)}" if serving else "no search of ours serves it"
                yield f"{where}: {each.method} on {each.source}: {told}; {takes}; or name other methods"


def _conditions(found: Any, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Conditions of an experiment; none where its arguments are wrong, which is told elsewhere."""
    try:
        made: Mapping[str, Any] = found(**arguments).conditions
    except FAULTS:
        return {}
    return made


def _experiments(config: Config) -> Iterator[str]:
    known = {*QUANTITIES, *config.metrics}
    for name, experiment in config.experiments.items():
        where = f"experiments.{name}"
        found = load_class(experiment.path, object)
        for function in filter(None, (found.table, found.figure)):
            try:
                load_function(function)
            except ValueError as error:
                yield f"{where}: {error}"
        quantity = experiment.arguments.get("quantity")
        if isinstance(quantity, str) and quantity not in known and experiment.path.startswith("mrilib."):
            yield f"{where}.quantity: {quantity!r} is not measured{suggestion(quantity, list(known))}"
        for argument, condition in _conditions(found, experiment.arguments).items():
            if (told := config.unmeasured(condition.source, condition.mask, condition.domain)) is not None:
                yield f"{where}{'.' * bool(argument)}{argument}{told}"
        for argument in found.names_boxes:
            source = experiment.arguments.get(argument)
            if source in config.images and not config.annotations_of(source):
                yield (
                    f"{where}.{argument}: expected a source of scans with annotations of the dataset that "
                    f"its test slices are from, got {source!r}, which has none; add an entry to annotations"
                )
        for attribute, known_entries in (
            ("names_features", config.features),
            ("names_theory", config.theory),
        ):
            for argument in getattr(found, attribute):
                given = experiment.arguments.get(argument, [])
                for entry in [given] if isinstance(given, str) else given:
                    if entry not in known_entries:
                        told = suggestion(entry, list(known_entries))
                        yield f"{where}.{argument}: {entry!r} is not defined{told}"
        for argument in found.names_attacks:
            given = experiment.arguments.get(argument, [])
            for attack in [given] if isinstance(given, str) else given:
                if attack not in config.attacks:
                    known_attacks = suggestion(attack, list(config.attacks))
                    yield f"{where}.{argument}: {attack!r} is not defined{known_attacks}"
                elif bool(config.attacks[attack].vary) != (argument in found.names_varied):
                    wanted = "with vary" if argument in found.names_varied else "without vary"
                    yield f"{where}.{argument}: expected an attack {wanted}, got {attack!r}; name another"
                elif argument in found.names_tuned and config.attacks[attack].tune is None:
                    yield f"{where}.{argument}: expected an attack with tune, got {attack!r}; name another"
