# What the rules of annotated boxes ask of the config: which sources have any, and what is scored and drawn of them.

# Sources of scans whose test slices may have boxes, with the entries of the config that place them.
ANNOTATED = {source: names for source in cfg.scans if (names := cfg.annotations_of(source))}
# Every method where its images may have boxes.
BOXED = [each for each in cfg.applications if each.source in ANNOTATED]
BOX_PLACES = list(dict.fromkeys((each.source, each.mask) for each in cfg.usual if each.source in ANNOTATED))


def annotation_tables(wildcards):
    """The placed boxes of the dataset of a source."""
    return [annotation_file(name) for name in ANNOTATED[wildcards.source]]


def shown_with_boxes(wildcards):
    """The methods of the usual domain at a place, in order."""
    place = (wildcards.source, wildcards.mask)
    return [each for each in cfg.usual if (each.source, each.mask) == place]


def reconstructions_with_boxes(wildcards):
    """What they make of every test image: those of one image together."""
    return [
        applied_file("reconstructions", each, position)
        for position in positions(wildcards.source)
        for each in shown_with_boxes(wildcards)
    ]
