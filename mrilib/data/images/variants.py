"""One image drawn several times, each turned, scaled and shifted: for demos that have a single real image."""

import numpy as np
from jaxtyping import Float, Float32
from scipy.ndimage import gaussian_filter
from skimage.transform import AffineTransform, warp

# Our choice: as far as a patient may lie differently; degrees, factor, share of the field of view.
TURN, SCALE, SHIFT = 10.0, 0.1, 0.05


def drawn_variants(
    image: Float[np.ndarray, "y x"], count: int, *, rows: int, columns: int, seed: int
) -> list[Float32[np.ndarray, "{rows} {columns}"]]:
    """Draw `count` variants of an image on a grid of `rows × columns`.

    The image is scaled so that it just fits the grid, then turned about the middle by `U(−10°, 10°)`, scaled
    by `U(0.9, 1.1)` and shifted by `U(−0.05, 0.05)` of the grid's sides, with bilinear interpolation after
    smoothing where it shrinks. Variants of one image are no further patients: statistics over them say
    nothing about others. Our choice.

    Args:
        image: magnitudes.
        count: number of variants.
        rows, columns: of each variant.
        seed: variant `i` depends on `(seed, i)` alone.

    Returns:
        Variants, each with maximum 1.

    Raises:
        ValueError: if a number is out of range or a variant is empty.
    """
    if count < 1 or min(rows, columns) < 2:
        raise ValueError(
            "drawn_variants: expected count >= 1, rows and columns >= 2, "
            f"got count={count}, rows={rows}, columns={columns}"
        )
    fit = max(image.shape[0] / rows, image.shape[1] / columns)
    # As `skimage.transform.resize` smooths what it shrinks.
    smooth = gaussian_filter(image, max(0.0, (fit - 1.0) / 2.0))
    variants = []
    for position in range(count):
        generator = np.random.default_rng([seed, position])
        turn, scale = np.deg2rad(generator.uniform(-TURN, TURN)), generator.uniform(1 - SCALE, 1 + SCALE)
        shift = generator.uniform(-SHIFT, SHIFT, 2) * (columns, rows)
        # From a pixel of the variant to one of the image.
        place = (
            AffineTransform(translation=-(np.array([columns, rows]) - 1) / 2 - shift)
            + AffineTransform(scale=fit / scale, rotation=turn)
            + AffineTransform(translation=(np.array(image.shape[::-1]) - 1) / 2)
        )
        variant = warp(smooth, place, output_shape=(rows, columns), order=1, mode="constant", cval=0.0)
        if not variant.max() > 0:
            raise ValueError("drawn_variants: expected an image with something in it, got zeros")
        variants.append((variant / variant.max()).astype(np.float32))
    return variants
