from pathlib import Path

from snakemake.utils import min_version

min_version("9.0")

# Snakemake merges config files; no key of the demo may survive in a run with another file.
if not workflow.config_settings.configfiles:

    configfile: "config.yaml"


include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/masks.smk"
include: "rules/scans.smk"


# A run has methods for images, methods for scans, or data alone.
if cfg.methods and cfg.scans:

    include: "rules/quality.smk"

elif cfg.methods:

    include: "rules/tuning.smk"
    include: "rules/training.smk"
    include: "rules/attacks.smk"
    include: "rules/report.smk"


rule all:
    default_target: True
    input:
        all_outputs(),


# Not in dry-runs, nor in the processes of jobs. The lock goes when this process ends; that of a killed one is
# taken over.
onstart:
    lock_run()
