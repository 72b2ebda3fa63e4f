"""An archive of fastMRI, by the links of its e-mail."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from mrilib.data.downloads.mail import read_mail
    from mrilib.data.downloads.manifest import read_manifest
    from mrilib.data.downloads.resumable import download

    name, links, sha256 = params["name"], read_mail(inputs["mail"]), None
    if name not in links:
        raise ValueError(f"{inputs['mail']}: no link to {name}; it has {', '.join(sorted(links))}")
    if params["manifest"] is not None:
        sums = read_manifest(params["manifest"])
        if name not in sums:
            raise ValueError(f"{params['manifest']}: no checksum of {name}; it has {', '.join(sorted(sums))}")
        sha256 = sums[name]
    path = download(links[name].url, outputs["file"], sha256=sha256, kind=params["kind"])
    checked = "checksum compared" if sha256 else "no checksum given"
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, {checked}")


if "snakemake" in globals():
    run(snakemake, main)
