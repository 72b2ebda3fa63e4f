"""Classes that a config names: by a short word of ours, or by `class: package.module:Name`."""

import ast
import difflib
import functools
from typing import Any, ClassVar

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from workflow_scripts.config.errors import suggestion
from workflow_scripts.config.strict import ImportPath, Strict, expanded
from workflow_scripts.provenance import ROOT

# Kind of a class to the package whose modules are searched for words, and to the class that it extends.
FAMILIES = {
    "mask": ("mrilib.data.sampling", "mrilib.data.sampling.base:Sampling"),
    "reader": ("mrilib.data.volumes", "mrilib.data.volumes.base:Reader"),
    "metric": ("mrilib.metrics", "mrilib.metrics.base:Metric"),
    "basis": ("mrilib.operators", "mrilib.operators.bases:Basis"),
    "network": ("mrilib.networks", "torch.nn:Module"),
    "method": ("mrilib.reconstructors", "mrilib.reconstructors.base:Reconstructor"),
    "search": ("mrilib.attacks.searches", "mrilib.attacks.searches.base:Search"),
    "attack": ("mrilib.attacks.kinds", "mrilib.attacks.kinds.base:AttackKind"),
    "feature": ("mrilib.features.kinds", "mrilib.features.kinds.base:FeatureKind"),
    "experiment": ("mrilib.experiments", "mrilib.experiments.base:Experiment"),
}


@functools.cache
def words(family: str) -> dict[str, str]:
    """Short words of ours to import paths: the class attribute `word` of every class of a family's package.

    Read from the text: nothing is imported, and a new module needs no list to stand in.
    """
    package = FAMILIES[family][0]
    found = {}
    for file in sorted((ROOT / package.replace(".", "/")).glob("[!.]*.py")):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and (word := _word(node)) is not None:
                found[word] = f"{package}.{file.stem}:{node.name}"
    return found


def _word(node: ast.ClassDef) -> str | None:
    for statement in node.body:
        named = isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
        if named and statement.target.id == "word" and isinstance(statement.value, ast.Constant):
            return str(statement.value.value)
    return None


def import_path(family: str, name: str) -> str:
    """The import path that a short word stands for; an import path stands for itself.

    Raises:
        ValueError: for a word that is none of ours.
    """
    if ":" in name or name in words(family):
        return words(family).get(name, name)
    raise ValueError(
        f"{name!r} is no {family} of ours{suggestion(name, list(words(family)))}; or name your own by its "
        "import path, package.module:Name"
    )


def word_of(family: str, path: str) -> str:
    """The short word of a class of ours, else the name of the class."""
    return next((word for word, other in words(family).items() if other == path), path.partition(":")[2])


class Entry(Strict):
    """A class with its arguments: `{kind: word, argument: value, ...}`, or `{class: path, arguments: {...}}`.

    What else an entry may say are the fields of a subclass. Arguments are checked against the class itself
    when the workflow is planned (`workflow_scripts.config.arguments`).
    """

    model_config = ConfigDict(populate_by_name=True)
    family: ClassVar[str]

    path: ImportPath = Field(alias="class")
    arguments: dict[str, Any] = {}
    by_word: bool = Field(default=False, exclude=True)

    @model_validator(mode="before")
    @classmethod
    def _by_word(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        if "kind" not in values:
            if "class" in values or any(difflib.get_close_matches(key, ("class", "kind")) for key in values):
                return values
            raise ValueError(
                f"kind: expected one of our {cls.family}s ({', '.join(words(cls.family))}), or class: "
                "package.module:Name, got neither"
            )
        if given := {"class", "arguments"} & values.keys():
            raise ValueError(
                f"kind: expected kind or class, got both ({', '.join(sorted(given))}); leave one out"
            )
        word = values["kind"]
        if not isinstance(word, str):
            raise ValueError(f"kind: expected a word, got {word!r}")
        try:
            path = import_path(cls.family, word)
        except ValueError as error:
            raise ValueError(f"kind: {error}") from None
        own = {*cls.model_fields} - {"path", "by_word"}
        arguments = {key: value for key, value in values.items() if key not in {*own, "kind"}}
        about = {key: value for key, value in values.items() if key in own}
        return about | {"class": path, "arguments": arguments, "by_word": True}

    @property
    def word(self) -> str:
        """What the class is called in scores and tables."""
        return word_of(self.family, self.path)

    @property
    def described(self) -> dict[str, Any]:
        """Class and arguments, as jobs are told."""
        return {"class": self.path, "arguments": self.arguments}


def named(family: str) -> AfterValidator:
    """Validator of a text that names a class: it becomes the import path."""
    return AfterValidator(functools.partial(import_path, family))


# Arguments of methods that are classes themselves, and their families.
NESTED = {"network": "network", "inverse": "network", "basis": "basis"}
# Arguments of methods that are files.
CHECKPOINTS = ("checkpoint", "published")


def spelled_out(arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments of a method with `class` and `arguments` where they name a class by a short word."""
    found = dict(arguments)
    for name, family in NESTED.items():
        value = found.get(name)
        if isinstance(value, dict) and isinstance(value.get("kind"), str) and "class" not in value:
            inner = {key: each for key, each in value.items() if key != "kind"}
            found[name] = {"class": import_path(family, value["kind"]), "arguments": inner}
    return found


def known_words(parameters: dict[str, Any]) -> dict[str, Any]:
    """Validator of a method's parameters: words that name classes are ours, and paths come in full."""
    spelled_out(parameters)
    found = dict(parameters)
    for name in [name for name in CHECKPOINTS if isinstance(found.get(name), str)]:
        try:
            found[name] = expanded(found[name])
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    return found


def modules_of(value: Any) -> list[str]:
    """Import paths of all classes that arguments name, at any depth."""
    if isinstance(value, dict):
        here = [value["class"]] if isinstance(value.get("class"), str) else []
        return here + [path for inner in value.values() for path in modules_of(inner)]
    if isinstance(value, list):
        return [path for inner in value for path in modules_of(inner)]
    return []
