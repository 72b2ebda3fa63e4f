"""The classes that a config names, and their arguments, held against the classes themselves."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from mrilib.metrics.base import metric_from
from mrilib.store.classes import arguments_model, load_class
from mrilib.store.functions import load_function
from workflow_scripts.config.attacks import FACTOR
from workflow_scripts.config.config import Config
from workflow_scripts.config.entries import FAMILIES, NESTED, Entry
from workflow_scripts.config.errors import ConfigError, explained, suggestion
from workflow_scripts.config.scans import Converted, Scans
from workflow_scripts.provenance import check_import_path


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


def check_classes(config: Config) -> None:
    """See that every class exists and takes its arguments. The classes are imported.

    Raises:
        ConfigError: with one line for every mistake.
    """
    wrong = [line for named in classes_of(config) for line in _wrong(named)]
    wrong = wrong or list(_misfits(config))
    if wrong:
        raise ConfigError("the config is wrong:\n" + "\n".join(f"  {line}" for line in dict.fromkeys(wrong)))


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
        added = {} if method.tune is None else {method.tune.parameter: method.tune.grid.low}
        where = f"methods.{name}"
        yield from _nested(
            Named(f"{where}.parameters", "method", method.reconstructor, method.arguments, added),
            [key for key, value in method.parameters.items() if value != method.arguments[key]],
        )
        if method.search is not None:
            yield Named(f"{where}.search_arguments", "search", method.search, method.search_arguments)
    for name, attack in config.attacks.items():
        yield _named(f"attacks.{name}", attack)
        for argument, values in attack.vary.items():
            for value in values if argument != FACTOR else ():
                arguments = attack.arguments | {argument: value}
                yield Named(f"attacks.{name}.vary", "attack", attack.path, arguments)
        if attack.search is not None:
            yield Named(f"attacks.{name}.search", "search", attack.search, {})
    for name, metric in config.metrics.items():
        yield _named(f"metrics.{name}", metric)
    for name, experiment in config.experiments.items():
        yield _named(f"experiments.{name}", experiment)


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
        yield f"{named.where.removesuffix('.arguments')}: {error}"
        return
    for name in named.added:
        if name not in model.model_fields:
            where = named.where.removesuffix("parameters")
            known = suggestion(name, list(model.model_fields))
            yield f"{where}tune.parameter: {model.__name__} takes no {name!r}{known}"
            return
    given = {**named.arguments, **named.added}
    try:
        taken = model.model_validate(given)
    except ValidationError as error:
        for detail in error.errors():
            yield f"{named.where}.{explained(model, given, detail)}"
        return
    for name, value in given.items():
        found = getattr(taken, name, value)
        if (
            isinstance(value, str | float)
            and isinstance(found, int | float)
            and type(value) is not type(found)
        ):
            # What the class is given is what YAML read, and YAML reads 1e-3 as text.
            wanted = "a whole number" if isinstance(value, float) else "a number"
            mend = "" if isinstance(value, float) else " as text; write 1.0e-3 for 1e-3"
            yield f"{named.where}.{name}: expected {wanted}, got {value!r}{mend}"


def _misfits(config: Config) -> Iterator[str]:
    """What is right by itself and does not fit the rest of the config."""
    yield from _masks(config)
    for name, metric in config.metrics.items():
        try:
            metric_from(metric.described)
        except ValueError as error:
            yield f"metrics.{name}: {error}"
    for name, experiment in config.experiments.items():
        found = load_class(experiment.path, object)
        for function in filter(None, (found.table, found.figure)):
            try:
                load_function(function)
            except ValueError as error:
                yield f"experiments.{name}: {error}"
        for argument in found.names_attacks:
            given = experiment.arguments.get(argument, [])
            for attack in [given] if isinstance(given, str) else given:
                if attack not in config.attacks:
                    known = suggestion(attack, list(config.attacks))
                    yield f"experiments.{name}.{argument}: {attack!r} is not defined{known}"


def _masks(config: Config) -> Iterator[str]:
    """Masks that there are not for the images of a run; what scans measure is not known yet."""
    for name, mask in config.masks.items():
        sources = [
            source for source in config.sources_of(name) if not isinstance(config.images[source], Scans)
        ]
        if not sources:
            continue
        try:
            drawn = load_class(mask.path, object)(**mask.arguments)
            drawn.check((config.size, config.size))
        except (TypeError, ValueError) as error:
            yield f"masks.{name}: {error}"
