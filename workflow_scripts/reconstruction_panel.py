"""What every method makes of one slice, with errors and close-ups."""

from workflow_scripts.job import run

# Errors of a per cent or two of the maximum are to be seen.
ERROR_SCALE = 5.0


def main(inputs, outputs, params):
    from pathlib import Path

    from mrilib.experiments.assessment import assess
    from mrilib.report import figures_reconstructions, style
    from mrilib.store.arrays import read_group

    measured = read_group(inputs["measurement"], arrays=["target"])
    target, about = measured.arrays["target"], measured.attributes
    images, scores = {}, {}
    for path in inputs["reconstructions"]:
        found = read_group(path)
        name = params["labels"][found.attributes["method"]]
        failed = found.attributes.get("failed")
        images[name], scores[name] = None, failed
        if failed is None:
            images[name] = found.arrays["reconstruction"]
            quality = assess(images[name], target, maximum=about["maximum"])
            scores[name] = figures_reconstructions.score_text(quality["ssim"], quality["psnr"])
    made = ", simulated" if about["simulated"] else ""
    figure = figures_reconstructions.reconstruction_panel(
        target,
        images,
        scores=scores,
        close_up=tuple(side // 2 for side in target.shape),
        error_scale=ERROR_SCALE,
        title=f"{about['volume']}, slice {about['slice']}{made}: acceleration {about['acceleration']:.2f}",
    )
    style.save(figure, Path(outputs["pdf"]).with_suffix(""))


if "snakemake" in globals():
    run(snakemake, main)
