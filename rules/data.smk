# Raw multi-coil data: downloads, volumes in the fastMRI schema, their catalogue, sets of slices.
#
# Downloads have no code hash: what they fetch does not depend on how, and an edit must not fetch 100 GB again.


localrules:
    download_stanford,
    download_archive,
    unpack_archive,
    link_volumes,
    select_slices,
    select_hardest,
    select_control,
    tabulate_volumes,
    draw_volumes,
    place_annotations,


# What it leaves is a receipt, and beside it the volume, unless its content is no good.
rule download_stanford:
    output:
        receipt=f"{cfg.downloads}/stanford/{{volume}}.json",
    log:
        f"{RUN}/logs/downloads/stanford/{{volume}}.log",
    wildcard_constraints:
        volume=any_of(STANFORD_VOLUMES),
    conda:
        "../envs/environment.yaml"
    params:
        url=lambda wildcards: STANFORD_VOLUMES[wildcards.volume][0],
        sha256=lambda wildcards: STANFORD_VOLUMES[wildcards.volume][1],
    message:
        "Download volume {wildcards.volume} from mridata.org"
    script:
        "../workflow_scripts/stages/download_volume.py"


# `ancient`: a new e-mail with fresh links is no reason to fetch again what is there.
rule download_archive:
    input:
        mail=lambda wildcards: ancient(cfg.datasets[wildcards.dataset].mail),
    output:
        file=f"{cfg.downloads}/fastmri/{{dataset}}/{{archive}}",
    log:
        f"{RUN}/logs/downloads/fastmri/{{dataset}}/{{archive}}.log",
    wildcard_constraints:
        dataset=any_of(LINKED),
        archive=any_of(ARCHIVES),
    conda:
        "../envs/environment.yaml"
    params:
        name=lambda wildcards: wildcards.archive,
        manifest=lambda wildcards: cfg.datasets[wildcards.dataset].manifest,
        kind="archive",
    message:
        "Download {wildcards.archive} of fastMRI for {wildcards.dataset}"
    script:
        "../workflow_scripts/stages/download.py"


rule unpack_archive:
    input:
        archive=f"{cfg.downloads}/fastmri/{{dataset}}/{{archive}}",
    output:
        listing=f"{cfg.downloads}/fastmri/{{dataset}}/{{archive}}.txt",
    log:
        f"{RUN}/logs/unpack/{{dataset}}/{{archive}}.log",
    wildcard_constraints:
        dataset=any_of(LINKED),
        archive=any_of(ARCHIVES),
    conda:
        "../envs/environment.yaml"
    params:
        volumes=lambda wildcards: cfg.datasets[wildcards.dataset].volumes,
    message:
        "Unpack what {wildcards.dataset} wants of {wildcards.archive}"
    script:
        "../workflow_scripts/stages/unpack.py"


rule link_volumes:
    input:
        listings=unpacked_listings,
    output:
        receipt=f"{RUN}/volumes/{{dataset}}.json",
    log:
        f"{RUN}/logs/volumes/{{dataset}}.log",
    wildcard_constraints:
        dataset=any_of(LINKED),
    conda:
        "../envs/environment.yaml"
    params:
        **fixed(stage("link_volumes.py", "data.smk:link_volumes")),
        folders=lambda wildcards: cfg.datasets[wildcards.dataset].folders,
        volumes=lambda wildcards: cfg.datasets[wildcards.dataset].volumes,
    message:
        "Link the volumes of {wildcards.dataset}"
    script:
        "../workflow_scripts/stages/link_volumes.py"


rule convert_volume:
    input:
        unpack(raw_file),
    output:
        receipt=f"{RUN}/volumes/{{dataset}}/{{volume}}.json",
    log:
        f"{RUN}/logs/volumes/{{dataset}}/{{volume}}.log",
    benchmark:
        f"{RUN}/benchmarks/volumes/{{dataset}}/{{volume}}.tsv"
    wildcard_constraints:
        dataset=any_of(CONVERTED),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        **by_reader("convert.py", "data.smk:convert_volume"),
        strict=lambda wildcards: cfg.datasets[wildcards.dataset].strict,
    message:
        "Convert volume {wildcards.volume} of {wildcards.dataset} to the fastMRI schema"
    script:
        "../workflow_scripts/stages/convert.py"


rule simulate_volume:
    input:
        files=drawn_files,
    output:
        receipt=f"{RUN}/volumes/{{dataset}}/{{volume}}.json",
    log:
        f"{RUN}/logs/volumes/{{dataset}}/{{volume}}.log",
    wildcard_constraints:
        dataset=any_of(SIMULATED),
    conda:
        "../envs/environment.yaml"
    params:
        **fixed(stage("simulate.py", "data.smk:simulate_volume")),
        volume=lambda wildcards: cfg.datasets[wildcards.dataset].volumes[wildcards.volume].model_dump(),
        settings=simulation_settings,
        strict=lambda wildcards: cfg.datasets[wildcards.dataset].strict,
        seed=cfg.seed,
        name=lambda wildcards: [wildcards.dataset, wildcards.volume],
    message:
        "Simulate volume {wildcards.volume} of {wildcards.dataset}"
    script:
        "../workflow_scripts/stages/simulate.py"


rule list_volumes:
    input:
        receipts=receipts,
    output:
        catalogue=f"{RUN}/catalogue/{{dataset}}.csv",
    log:
        f"{RUN}/logs/catalogue/{{dataset}}.log",
    benchmark:
        f"{RUN}/benchmarks/catalogue/{{dataset}}.tsv"
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 120 * attempt,
    params:
        **fixed(stage("list_volumes.py", "data.smk:list_volumes")),
        dataset=lambda wildcards: wildcards.dataset,
        anatomy=lambda wildcards: cfg.datasets[wildcards.dataset].anatomy,
        strict=lambda wildcards: cfg.datasets[wildcards.dataset].strict,
        coil_compression=lambda wildcards: compression_of(wildcards.dataset),
        units=f"{RUN}/units",
    message:
        "Check and list the volumes of {wildcards.dataset}"
    script:
        "../workflow_scripts/stages/list_volumes.py"


rule tabulate_volumes:
    input:
        catalogues=expand(f"{RUN}/catalogue/{{dataset}}.csv", dataset=cfg.datasets),
    output:
        csv=f"{RUN}/tables/catalogue.csv",
        md=f"{RUN}/tables/catalogue.md",
        tex=f"{RUN}/tables/catalogue.tex",
    log:
        f"{RUN}/logs/tables/catalogue.log",
    conda:
        "../envs/environment.yaml"
    params:
        **fixed(stage("tabulate_volumes.py", "data.smk:tabulate_volumes")),
    message:
        "Tabulate the volumes of all datasets"
    script:
        "../workflow_scripts/stages/tabulate_volumes.py"


rule draw_volumes:
    input:
        catalogue=f"{RUN}/catalogue/{{dataset}}.csv",
    output:
        pdf=f"{RUN}/figures/thumbnails-{{dataset}}.pdf",
        png=f"{RUN}/figures/thumbnails-{{dataset}}.png",
    log:
        f"{RUN}/logs/figures/thumbnails-{{dataset}}.log",
    conda:
        "../envs/environment.yaml"
    params:
        **fixed(stage("draw_volumes.py", "data.smk:draw_volumes")),
        dataset=lambda wildcards: wildcards.dataset,
    message:
        "Draw the volumes of {wildcards.dataset}"
    script:
        "../workflow_scripts/stages/draw_volumes.py"


rule select_slices:
    input:
        catalogue=selected_catalogue,
        apart=catalogues_apart,
    output:
        slices=f"{RUN}/sets/{{source}}/{{part}}.csv",
    log:
        f"{RUN}/logs/sets/{{source}}/{{part}}.log",
    wildcard_constraints:
        source=any_of(SELECTED),
    conda:
        "../envs/environment.yaml"
    params:
        **fixed(stage("select_slices.py", "data.smk:select_slices")),
        selection=lambda wildcards: selection_of(wildcards).model_dump(),
        fractions=lambda wildcards: cfg.datasets[selection_of(wildcards).dataset].split,
        seed=cfg.seed,
    message:
        "Select the slices of {wildcards.source} for {wildcards.part}"
    script:
        "../workflow_scripts/stages/select_slices.py"


rule select_hardest:
    input:
        pool=pool_set,
        scores=pool_scores,
    output:
        slices=f"{RUN}/sets/{{source}}/test.csv",
    log:
        f"{RUN}/logs/sets/{{source}}/test.log",
    wildcard_constraints:
        source=any_of(HARDEST),
    conda:
        "../envs/environment.yaml"
    params:
        **by_quantity("select_hardest.py", "data.smk:select_hardest"),
        selection=lambda wildcards: HARDEST[wildcards.source].model_dump(),
        metric=lambda wildcards: METRICS.get(HARDEST[wildcards.source].quantity),
    message:
        "Select the hardest slices for {wildcards.source}"
    script:
        "../workflow_scripts/stages/select_hardest.py"


rule select_control:
    input:
        pool=pool_set,
        hard=lambda wildcards: f"{RUN}/sets/{CONTROLS[wildcards.source].control_of}/test.csv",
    output:
        slices=f"{RUN}/sets/{{source}}/test.csv",
    log:
        f"{RUN}/logs/sets/{{source}}/test.log",
    wildcard_constraints:
        source=any_of(CONTROLS),
    conda:
        "../envs/environment.yaml"
    params:
        **fixed(stage("select_control.py", "data.smk:select_control")),
        selection=lambda wildcards: CONTROLS[wildcards.source].model_dump(),
    message:
        "Select a control of the same SNR for {wildcards.source}"
    script:
        "../workflow_scripts/stages/select_control.py"


rule place_annotations:
    input:
        file=lambda wildcards: cfg.annotations[wildcards.name].file,
        catalogue=lambda wildcards: f"{RUN}/catalogue/{cfg.annotations[wildcards.name].dataset}.csv",
    output:
        table=annotation_file("{name}"),
        pdf=f"{RUN}/figures/annotations-{{name}}.pdf",
        png=f"{RUN}/figures/annotations-{{name}}.png",
    log:
        f"{RUN}/logs/annotations/{{name}}.log",
    wildcard_constraints:
        name=any_of(cfg.annotations),
    conda:
        "../envs/environment.yaml"
    params:
        **fixed(stage("place_annotations.py", "data.smk:place_annotations")),
    message:
        "Place the boxes of {wildcards.name} on their volumes"
    script:
        "../workflow_scripts/stages/place_annotations.py"
