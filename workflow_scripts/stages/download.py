"""One file from the network: a volume of mridata.org, or an archive by the links of fastMRI's e-mail."""

from workflow_scripts.job import run


def main(inputs, outputs, params):
    from mrilib.data.downloads.mail import read_mail, read_manifest
    from mrilib.data.downloads.resumable import download

    url, sha256 = params.get("url"), params.get("sha256")
    if url is None:
        name, links = params["name"], read_mail(inputs["mail"])
        if name not in links:
            raise ValueError(f"{inputs['mail']}: no link to {name}; it has {', '.join(sorted(links))}")
        url = links[name].url
        if params["manifest"] is not None:
            sums = read_manifest(params["manifest"])
            if name not in sums:
                raise ValueError(
                    f"{params['manifest']}: no checksum of {name}; it has {', '.join(sorted(sums))}"
                )
            sha256 = sums[name]
    path = download(url, outputs["file"], sha256=sha256, kind=params["kind"])
    checked = "checksum compared" if sha256 else "no checksum given"
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, {checked}")


if "snakemake" in globals():
    run(snakemake, main)
