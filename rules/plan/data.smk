# What the rules of raw data ask of the config: files, params, costs.


PARTS = ("train", "validation", "test")
FASTMRI, STANFORD, SIMULATED = (
    {name: dataset for name, dataset in cfg.datasets.items() if dataset.kind == kind}
    for kind in ("fastmri", "stanford", "simulated")
)
CONVERTED = [name for name, dataset in cfg.datasets.items() if dataset.kind in ("stanford", "raw")]
ARCHIVES = sorted({archive for dataset in FASTMRI.values() for archive in dataset.archives})
# UUID to its URL and SHA-256, where one is given.
STANFORD_VOLUMES = {
    volume: (dataset.url + volume, dataset.sha256.get(volume))
    for dataset in STANFORD.values()
    for volume in dataset.volumes
}


def unpacked_listings(wildcards):
    archives = cfg.datasets[wildcards.dataset].archives
    return [f"{cfg.downloads}/fastmri/{wildcards.dataset}/{archive}.txt" for archive in archives]


def raw_file(wildcards):
    """The file that a volume is converted from."""
    dataset = cfg.datasets[wildcards.dataset]
    if dataset.kind == "stanford":
        return f"{cfg.downloads}/stanford/{wildcards.volume}.h5"
    return dataset.volumes[wildcards.volume].file if wildcards.volume in dataset.names else []


def conversion_options(wildcards):
    """What the header of a BART file does not say."""
    dataset = cfg.datasets[wildcards.dataset]
    if dataset.kind == "stanford" or wildcards.volume not in dataset.names:
        return {}
    return dataset.volumes[wildcards.volume].model_dump(exclude={"file"})


def drawn_files(wildcards):
    """The image file of a simulated volume, unless a package has it."""
    drawn = cfg.datasets[wildcards.dataset].volumes[wildcards.volume]
    return [] if ":" in drawn.file else drawn.file


def simulation_settings(wildcards):
    return cfg.datasets[wildcards.dataset].model_dump(include={"coils", "rows", "columns", "noise"})


def receipts(wildcards):
    """What says how the volumes of a dataset were had."""
    if wildcards.dataset in FASTMRI:
        return [f"{RUN}/volumes/{wildcards.dataset}.json"]
    names = cfg.datasets[wildcards.dataset].names
    return [f"{RUN}/volumes/{wildcards.dataset}/{name}.json" for name in names]


def selection_of(wildcards):
    return cfg.scans[wildcards.source].sets[wildcards.part]


def selected_catalogue(wildcards):
    return f"{RUN}/catalogue/{selection_of(wildcards).dataset}.csv"


def data_outputs():
    """The catalogue with its pictures, annotations, and the sets of slices."""
    tables = ["catalogue"] if cfg.datasets else []
    figures = [f"thumbnails-{dataset}" for dataset in cfg.datasets]
    figures += [f"annotations-{name}" for name in cfg.annotations]
    sets = [f"{RUN}/sets/{source}/{part}.csv" for source, scans in cfg.scans.items() for part in scans.sets]
    return kinds_of(tables, figures) + sets
