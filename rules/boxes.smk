# Annotated boxes: how methods reconstruct them, and what that looks like.


localrules:
    score_boxes,
    draw_boxes,


rule score_boxes:
    input:
        slices=f"{RUN}/sets/{{source}}/test.csv",
        annotations=annotation_tables,
        measurements=test_measurements,
        reconstructions=files_of("reconstructions"),
    output:
        boxes=f"{RUN}/boxes/{APPLIED}.csv",
    log:
        f"{RUN}/logs/boxes/{APPLIED}.log",
    wildcard_constraints:
        source=any_of(ANNOTATED),
    conda:
        "../envs/environment.yaml"
    params:
        **fixed(stage("score_boxes.py", "boxes.smk:score_boxes")),
        annotations=lambda wildcards: ANNOTATED[wildcards.source],
    message:
        "Score the boxes on what {wildcards.method} of {wildcards.domain} made of {wildcards.source} under {wildcards.mask}."
    script:
        "../workflow_scripts/stages/score_boxes.py"


rule draw_boxes:
    input:
        boxes=lambda wildcards: [boxes_file(each) for each in shown_with_boxes(wildcards)],
        measurements=test_measurements,
        reconstructions=reconstructions_with_boxes,
    output:
        pdf=f"{RUN}/figures/boxes-{{source}}-{{mask}}.pdf",
        png=f"{RUN}/figures/boxes-{{source}}-{{mask}}.png",
    log:
        f"{RUN}/logs/figures/boxes-{{source}}-{{mask}}.log",
    wildcard_constraints:
        source=any_of(ANNOTATED),
    conda:
        "../envs/environment.yaml"
    params:
        **fixed(stage("box_panel.py", "boxes.smk:draw_boxes")),
        labels=LABELS,
        mask=lambda wildcards: wildcards.mask,
        about=lambda wildcards: MASKS[wildcards.mask],
        source_name=lambda wildcards: wildcards.source,
    message:
        "Draw what every method makes of boxes on {wildcards.source} under {wildcards.mask}."
    script:
        "../workflow_scripts/stages/box_panel.py"
