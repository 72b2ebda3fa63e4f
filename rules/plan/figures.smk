# What the rules of figures ask of the config: which there are, and what each reads, writes and is told.
from workflow_scripts.config.entries import import_path
from workflow_scripts.config.figures import OWN

IMAGE_PICTURES = ["noise", "mask"]


def attack_pictures():
    """Pictures of an attack; of severities by place where it has places."""
    places = cfg.figures and cfg.attacks[cfg.figures.attack].has_places
    return ["attack", "levels", *(["map"] if places else [])]


# Sources and masks under which methods are applied.
USUAL_PLACES = list(dict.fromkeys((each.source, each.mask) for each in cfg.usual))
# The first example under each mask; its image's pictures show the whole run.
EXAMPLES = (
    {
        f"{example.source}-{example.position}": (
            example.source,
            example.position,
            example.mask or cfg.figures.mask,
        )
        for example in cfg.figures.examples
    }
    if cfg.figures
    else {}
)


# Methods that are shown side by side, under which attack and level.
COMPARISONS = cfg.figures.compared if cfg.figures else {}


def drawn_method():
    """The method whose choice of the parameter by level is drawn."""
    names = cfg.figures.methods if cfg.figures else []
    return next((name for name in names if name in cfg.tuned and cfg.tuned_for(name) != ["clean"]), None)


def drawn_tunings():
    """Masks and files of its tunings on the first source of phantoms."""
    method, source = drawn_method(), next(iter(PUBLISHED_SOURCES), None)
    domains = [cfg.domain(domain) for name, domain in cfg.tunings if name == method]
    return {
        domain.mask: tuning_file(method, cfg.domain_name(domain.source, domain.mask))
        for domain in domains
        if domain.source == source
    }


def level_curves():
    """Figures against the level, with what each shows: errors under all attacks, the rest under few."""
    noise = [name for name, attack in cfg.attacks.items() if not attack.needs_derivative and name in ATTACKS]
    few = [cfg.figures.attack, *noise] if cfg.figures else None
    drawn = {name: {"quantity": name, "attacks": few} for name in ("ssim", "psnr", "severity")}
    return {"error": {"quantity": "relative_error", "attacks": None}} | drawn if cfg.attacks else {}


LEVEL_CURVES = level_curves()
CURVES = [*LEVEL_CURVES, "amplification", *(["weight"] if drawn_tunings() else [])] if cfg.attacks else []
# Experiments whose records are drawn as a matrix of methods.
TRANSFER = import_path("experiment", "transfer")
MATRICES = [name for name, each in USUAL_EXPERIMENTS.items() if each["class"] == TRANSFER and cfg.figures]


def trained_on(domain):
    """The trained methods of a domain."""
    return [method for method, other in cfg.trainings if other == domain]


def figure_file(name):
    """The PDF of a figure; the PNG is written beside it."""
    return f"{RUN}/figures/{name}.pdf"


def example_title(example):
    source, position, mask = EXAMPLES[example]
    return f"{source} {position}, {MASK_LABELS[mask]}"


def example_file(stage_name, method, example):
    source, position, mask = EXAMPLES[example]
    return applied_file(stage_name, cfg.usually_applied(method, source, mask), position)


def example_measurement(example):
    source, position, mask = EXAMPLES[example]
    return measurement_file(source, mask, "test", position)


def example_methods(example, comparison=OWN):
    """The methods of a comparison that an example is shown with; by default those of the figures."""
    source, _, mask = EXAMPLES[example]
    shown = COMPARISONS[comparison]
    return [
        name
        for name in shown.methods
        if cfg.applies(name, source, mask) and shown.attack in cfg.shown_attacks(name, source, mask)
    ]


def transferred(method, example):
    """Whether a method's attacks, as they count, stand in its transfer file: where it is not alone."""
    source, position, mask = EXAMPLES[example]
    return shared(cfg.usually_applied(method, source, mask), position)


def image_piece(example):
    """An image's noise and mask."""
    source, position, mask = EXAMPLES[example]
    return {
        "inputs": {"measurement": example_measurement(example)},
        "outputs": {name: figure_file(f"{name}-{example}") for name in IMAGE_PICTURES},
        "params": {"mask": mask, "about": MASKS[mask], "title": f"{source} {position}"},
    }


def attack_piece(method, example):
    """A method's attacks on an image."""
    return {
        "inputs": {
            "measurement": example_measurement(example),
            "reconstruction": example_file("reconstructions", method, example),
            "attacks": example_file("attacks", method, example),
            "transfer": example_file("transfer", method, example) if transferred(method, example) else [],
        },
        "outputs": {name: figure_file(f"{name}-{method}-{example}") for name in attack_pictures()},
        "params": {"title": f"{example_title(example)}, {LABELS[method]}"},
    }


def transfer_piece(example):
    """What every method makes of an image's perturbations."""
    methods = example_methods(example)
    stages = {"reconstructions": "reconstructions", "attacks": "attacks", "transfers": "transfer"}
    return {
        "inputs": {"measurement": example_measurement(example)}
        | {
            name: [example_file(each, method, example) for method in methods] for name, each in stages.items()
        },
        "outputs": {"pdf": figure_file(f"transfer-{example}")},
        "params": {
            "methods": methods,
            "title": f"{example_title(example)}, level {100 * cfg.figures.level:g} %",
        },
    }


def perturbed_piece(comparison, example):
    """Methods under the perturbations made for each of them."""
    methods = example_methods(example, comparison)
    with_transfer = [method for method in methods if transferred(method, example)]
    _, _, mask = EXAMPLES[example]
    return {
        "inputs": {
            "measurement": example_measurement(example),
            "reconstructions": [example_file("reconstructions", method, example) for method in methods],
            "attacks": [example_file("attacks", method, example) for method in methods],
            "transfers": [example_file("transfer", method, example) for method in with_transfer],
        },
        "outputs": {"pdf": figure_file(f"perturbed-{comparison}-{example}")},
        "params": {
            "attack": COMPARISONS[comparison].attack,
            "level": COMPARISONS[comparison].level,
            "methods": methods,
            "transferred": with_transfer,
            "mask": mask,
            "about": MASKS[mask],
        },
    }


def matrix_piece(experiment):
    """An experiment's records as a matrix of methods."""
    return {
        "inputs": {"records": f"{RUN}/records/{experiment}.json"},
        "outputs": {"pdf": figure_file(experiment)},
        "params": {"quantity": USUAL_EXPERIMENTS[experiment]["arguments"]["quantity"]},
    }


def quality_piece(mask):
    """The quality of every image under a mask."""
    return {
        "inputs": {"scores": [score_file(each) for each in cfg.applications if each.mask == mask]},
        "outputs": {"pdf": figure_file(f"quality-{mask}")},
        "params": {"mask": mask, "about": MASKS[mask]},
    }


def shift_piece(name):
    """One method of every family on the first image of a shift, of its own domain and of the other."""
    shift = cfg.shifts[name]
    pair = cfg.domain(shift.domain)
    domain = cfg.domain_name(pair.source, pair.mask)
    here = [each for each in cfg.applications if (each.source, each.mask) == (shift.source, shift.mask)]
    usual = {each.method: each for each in here if each not in cfg.shifted}
    moved = {each.method: each for each in here if each in cfg.shifted and each.domain == domain}
    # Of a family that which the shift touches, if there is one.
    first = {FAMILIES[method]: method for method in [*reversed(usual), *reversed(moved)]}
    shown = [method for method in cfg.methods if method in first.values()]
    return {
        "inputs": {
            "measurement": measurement_file(shift.source, shift.mask, "test", 0),
            "reconstructions": [
                applied_file("reconstructions", usual[each], 0) for each in shown if each in usual
            ],
            "shifted": [applied_file("reconstructions", moved[each], 0) for each in shown if each in moved],
        },
        "outputs": {"pdf": figure_file(f"shift-{name}")},
        "params": {
            "mask": shift.mask,
            "about": MASKS[shift.mask],
            "domain": (
                pair.source if domain == f"{pair.source}@{shift.mask}" else DOMAIN_LABELS.get(domain, domain)
            ),
        },
    }


def shown_reconstructions(wildcards):
    """What every method makes of one image."""
    return [
        applied_file("reconstructions", each, wildcards.position)
        for each in cfg.usual
        if (each.source, each.mask) == (wildcards.source, wildcards.mask)
    ]


# Figures of a kind are pieces of one job.
IMAGE_PIECES = [image_piece(example) for example in EXAMPLES]
ATTACK_PIECES = [attack_piece(method, example) for example in EXAMPLES for method in example_methods(example)]
PERTURBED_PIECES = [
    perturbed_piece(comparison, example)
    for example in EXAMPLES
    for comparison in COMPARISONS
    if example_methods(example, comparison)
]
TRANSFER_PIECES = [transfer_piece(example) for example in EXAMPLES if len(example_methods(example)) > 1]
MATRIX_PIECES = [matrix_piece(experiment) for experiment in MATRICES]
SHIFT_PIECES = [shift_piece(name) for name in cfg.shifts]
QUALITY_PIECES = [quality_piece(mask) for mask in dict.fromkeys(mask for _, mask in USUAL_PLACES)]


def method_figures():
    """Names of the figures of the methods and attacks."""
    figures = [f"reconstructions-{source}-{mask}-0" for source, mask in USUAL_PLACES]
    figures += [f"boxes-{source}-{mask}" for source, mask in BOX_PLACES]
    figures += [f"training-{domain}" for domain in dict.fromkeys(domain for _, domain in cfg.trainings)]
    kinds = (QUALITY_PIECES, MATRIX_PIECES, IMAGE_PIECES, ATTACK_PIECES, PERTURBED_PIECES, TRANSFER_PIECES)
    kinds += (SHIFT_PIECES,)
    files = [file for pieces in kinds for piece in pieces for file in piece["outputs"].values()]
    return figures + CURVES + [Path(file).stem for file in files]
