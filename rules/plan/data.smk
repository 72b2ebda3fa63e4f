# What the rules of raw data ask of the config: files, params, costs.
from workflow_scripts.config.scans import Control, Hardest

LINKED, CONVERTED, SIMULATED = (
    {name: dataset for name, dataset in cfg.datasets.items() if dataset.way == way}
    for way in ("linked", "converted", "simulated")
)
ARCHIVES = sorted({archive for dataset in LINKED.values() for archive in dataset.archives})
# UUID to its URL and SHA-256, where one is given.
STANFORD_VOLUMES = {
    volume: (dataset.url + volume, dataset.sha256.get(volume))
    for dataset in cfg.datasets.values()
    if dataset.kind == "stanford"
    for volume in dataset.volumes
}
HARDEST, CONTROLS = (
    {name: scans.test for name, scans in cfg.scans.items() if isinstance(scans.test, kind)}
    for kind in (Hardest, Control)
)
# Sources whose sets are selected from datasets, all of them.
SELECTED = [name for name in cfg.scans if name not in HARDEST and name not in CONTROLS]


def unpacked_listings(wildcards):
    archives = cfg.datasets[wildcards.dataset].archives
    return [f"{cfg.downloads}/fastmri/{wildcards.dataset}/{archive}.txt" for archive in archives]


def raw_file(wildcards):
    """The file that a volume is converted from, or the receipt beside one that is fetched."""
    dataset = CONVERTED[wildcards.dataset]
    if wildcards.volume not in dataset.names:
        return {}
    file = dataset.raw_file(wildcards.volume, cfg.downloads)
    return {"fetched": str(Path(file).with_suffix(".json"))} if dataset.kind == "stanford" else {"file": file}


def reader_of(wildcards):
    """Class and arguments of what converts a volume."""
    return canonical(CONVERTED[wildcards.dataset].reader(wildcards.volume))


def by_reader(script, rule_name):
    """Params of a rule whose code is that of a volume's reader as well."""

    @functools.cache
    def described(*roots):
        return stage(script, rule_name, roots)

    def of(wildcards):
        reader = reader_of(wildcards)
        return described(reader["class"], *modules_of(reader["arguments"]))

    return {
        "stage": of,
        "code": lambda wildcards: code_of(of(wildcards)),
        "reader": reader_of,
    }


def drawn_files(wildcards):
    """The image file of a simulated volume, unless a package has it."""
    drawn = cfg.datasets[wildcards.dataset].volumes[wildcards.volume]
    return [] if ":" in drawn.file else drawn.file


def simulation_settings(wildcards):
    return cfg.datasets[wildcards.dataset].model_dump(include={"coils", "rows", "columns", "noise", "shrink"})


def receipts(wildcards):
    """What says how the volumes of a dataset were had."""
    if wildcards.dataset in LINKED:
        return [f"{RUN}/volumes/{wildcards.dataset}.json"]
    names = cfg.datasets[wildcards.dataset].names
    return [f"{RUN}/volumes/{wildcards.dataset}/{name}.json" for name in names]


def selection_of(wildcards):
    return cfg.scans[wildcards.source].sets[wildcards.part]


def selected_catalogue(wildcards):
    return f"{RUN}/catalogue/{selection_of(wildcards).dataset}.csv"


def catalogues_apart(wildcards):
    """Datasets with which a set for training or validation may share nothing: those of the test sets of all scans that
    its methods are applied to, and, for training, that of the validation set. Parts of one dataset are apart by its
    split. Whole datasets and not sets: one test slice more is no reason to train again."""
    if wildcards.part == "test":
        return []
    tested = {
        each.source for each in cfg.applications if cfg.domain(each.domain).source == wildcards.source
    } | {wildcards.source}
    others = [cfg.sets_of(source)["test"] for source in cfg.scans if source in tested]
    if wildcards.part == "train":
        others += filter(None, [cfg.scans[wildcards.source].validation])
    names = dict.fromkeys(each.dataset for each in others)
    return [f"{RUN}/catalogue/{name}.csv" for name in names if name != selection_of(wildcards).dataset]


def pool_set(wildcards):
    """The set that hard slices, or their control, are chosen from."""
    return f"{RUN}/sets/{cfg.pool_of(wildcards.source)}/test.csv"


def pool_scores(wildcards):
    """Scores of the methods by which a pool is judged."""
    chosen = HARDEST[wildcards.source]
    (mask,) = cfg.masks_for(chosen.hardest_of)
    return [score_file(cfg.usually_applied(method, chosen.hardest_of, mask)) for method in chosen.by]


def by_quantity(script, rule_name):
    """Params of a rule whose code is that of the metric as well, where slices are judged by one of the config's."""

    @functools.cache
    def described(quantity):
        return stage(script, rule_name, modules_of(METRICS.get(quantity, {})))

    def of(wildcards):
        return described(HARDEST[wildcards.source].quantity)

    return {"stage": of, "code": lambda wildcards: code_of(of(wildcards))}


def compression_of(dataset):
    """Virtual coils of a dataset, as jobs are told."""
    found = cfg.datasets[dataset].coil_compression
    return None if found is None else found.model_dump()


def data_outputs():
    """The catalogue with its pictures, annotations, and the sets of slices."""
    tables = ["catalogue"] if cfg.datasets else []
    figures = [f"thumbnails-{dataset}" for dataset in cfg.datasets]
    figures += [f"annotations-{name}" for name in cfg.annotations]
    sets = [f"{RUN}/sets/{source}/{part}.csv" for source in cfg.scans for part in cfg.sets_of(source)]
    return kinds_of(tables, figures) + sets
