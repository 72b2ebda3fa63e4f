"""One image of a source of files."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from mrilib.data.images import list_images, read_image
    from mrilib.store.arrays import Group, write_groups

    paths = list_images(params["files"])
    position = params["position"]
    if position >= len(paths):
        raise ValueError(
            f"position {position}: only {len(paths)} images in {params['files']}; "
            "lower images.*.test in the config"
        )
    path = paths[position]
    image = read_image(path, size=params["size"], slice_index=params["slice"], resize=params["resize"])
    print(f"{path}: {image.shape}, resized by {params['resize']}")
    write_groups(
        outputs["image"],
        {
            "": Group(
                arrays={"image": image},
                attributes={"description": path.name, "patient": path.name},
                units={"image": "image maximum"},
            )
        },
    )


if "snakemake" in globals():
    run(snakemake, main)
