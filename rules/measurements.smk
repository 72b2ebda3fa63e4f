# Measurements: one file an image under a mask, of phantoms, image files and scans alike.


localrules:
    measure_image,
    tabulate_spectra,


rule measure_image:
    input:
        files=local_files,
    output:
        measurement=measurement_file("{source}", "{mask}", "{part}", "{position}"),
    log:
        f"{RUN}/logs/measurements/{{source}}/{{mask}}/{{part}}/{{position}}.log",
    wildcard_constraints:
        source=any_of(IMAGES),
    conda:
        "../envs/environment.yaml"
    params:
        **measured("measure_image.py", "measurements.smk:measure_image"),
        image=image_settings,
    message:
        "Measure {wildcards.part} image {wildcards.position} of {wildcards.source} under {wildcards.mask}"
    script:
        "../workflow_scripts/stages/measure_image.py"


rule measure_scan:
    input:
        slices=f"{RUN}/sets/{{source}}/{{part}}.csv",
    output:
        measurement=measurement_file("{source}", "{mask}", "{part}", "{position}"),
    log:
        f"{RUN}/logs/measurements/{{source}}/{{mask}}/{{part}}/{{position}}.log",
    benchmark:
        f"{RUN}/benchmarks/measurements/{{source}}/{{mask}}/{{part}}/{{position}}.tsv"
    wildcard_constraints:
        source=any_of(cfg.scans),
    conda:
        "../envs/environment.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 15 * attempt,
    params:
        **measured("measure_scan.py", "measurements.smk:measure_scan"),
    message:
        "Measure {wildcards.part} slice {wildcards.position} of {wildcards.source} under {wildcards.mask}"
    script:
        "../workflow_scripts/stages/measure_scan.py"


rule tabulate_spectra:
    input:
        measurements=test_measurements,
    output:
        spectra=spectra_file("{source}", "{mask}"),
    log:
        f"{RUN}/logs/spectra/{{source}}/{{mask}}.log",
    conda:
        "../envs/environment.yaml"
    params:
        **fixed(stage("tabulate_spectra.py", "measurements.smk:tabulate_spectra")),
    message:
        "Tabulate the energy by frequency of {wildcards.source} under {wildcards.mask}"
    script:
        "../workflow_scripts/stages/tabulate_spectra.py"
