"""FFTs of single images: equal to torch's, chosen by the processor, and by plans that all processes share."""

import importlib.util
import multiprocessing
import os
import warnings

import pytest
import torch

from mrilib.operators import plans, processor, transforms

INSTALLED = importlib.util.find_spec("pyfftw") is not None
needs_fftw = pytest.mark.skipif(not INSTALLED, reason="pyfftw is not installed")
SHAPE = (20, 12)


@pytest.fixture
def chosen(monkeypatch, tmp_path):
    """`chosen(engine)` with plans in a folder of the test."""

    def choose(engine=None):
        if engine is None:
            monkeypatch.delenv(transforms.VARIABLE, raising=False)
        else:
            monkeypatch.setenv(transforms.VARIABLE, engine)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        transforms.engine.cache_clear()
        monkeypatch.setattr(transforms, "_made", transforms.threading.local())

    yield choose
    transforms.engine.cache_clear()


def files():
    return sorted(path.name for path in plans.folder().glob("*.txt"))


@pytest.mark.parametrize("engine", ["torch", pytest.param("fftw", marks=needs_fftw)])
@pytest.mark.parametrize("shape", [(8, 8), (1, 5), (6, 11), (20, 12), (13, 4)])
@pytest.mark.parametrize(("dtype", "close"), [(torch.complex64, 1e-5), (torch.complex128, 1e-13)])
def test_transforms_equal_those_of_torch(engine, shape, dtype, close, chosen, draw):
    chosen(engine)
    image = draw(*shape).to(dtype)
    spectrum, room = transforms.fft2(image), torch.empty_like(image)
    exact = torch.fft.fft2(image.to(torch.complex128))
    torch.testing.assert_close(spectrum, exact.to(dtype), rtol=0, atol=close * float(exact.abs().max()))
    for found in (transforms.ifft2(spectrum), transforms.ifft2(spectrum, room)):
        assert (found - image).abs().max() <= close
    unscaled = transforms.ifft2(spectrum, room, scaled=False)
    assert (unscaled / image.numel() - image).abs().max() <= close


@needs_fftw
def test_fftw_takes_images_as_torch_does(chosen, draw):
    chosen("fftw")
    wide = draw(*SHAPE)
    expected = torch.fft.fft2(wide)
    odd = torch.empty(wide.numel() + 1, dtype=wide.dtype)[1:].view(SHAPE).copy_(wide)
    room = torch.empty_like(wide)
    for image in (wide, wide.conj().conj(), wide.mT.contiguous().mT, odd):
        torch.testing.assert_close(transforms.fft2(image), expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(transforms.fft2(wide.conj()), torch.fft.fft2(wide.conj()), rtol=0, atol=1e-12)
    assert transforms.fft2(wide, room) is room
    assert files() == ["20x12-complex128-measure.txt"]


@pytest.mark.parametrize(
    ("machine", "vendor", "expected"),
    [
        ("x86_64", "GenuineIntel", "torch"),
        ("x86_64", "AuthenticAMD", "fftw"),
        ("x86_64", "HygonGenuine", "fftw"),
        ("x86_64", "", "torch"),
        ("aarch64", "", "fftw"),
        ("arm64", "", "fftw"),
        ("ppc64le", "", "torch"),
    ],
)
def test_the_processor_decides(machine, vendor, expected, chosen, monkeypatch):
    chosen()
    monkeypatch.setattr(processor.platform, "machine", lambda: machine)
    monkeypatch.setattr(processor, "_first", lambda: {"vendor_id": vendor})
    monkeypatch.setattr(transforms.importlib.util, "find_spec", lambda name: name)
    assert transforms.engine() == expected
    transforms.engine.cache_clear()
    monkeypatch.setattr(transforms.importlib.util, "find_spec", lambda name: None)
    assert transforms.engine() == "torch"


def test_the_user_decides_otherwise(chosen, monkeypatch):
    chosen("torch")
    assert transforms.engine() == "torch"
    chosen("mkl")
    with pytest.raises(ValueError, match="MRI_ROBUSTNESS_FFT: expected torch or fftw, got 'mkl'"):
        transforms.engine()
    chosen("fftw")
    monkeypatch.setattr(transforms.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="needs pyfftw, which is not installed"):
        transforms.engine()


def test_models_of_processors_differ_by_what_plans_depend_on(monkeypatch, tmp_path):
    def identity(text):
        monkeypatch.setattr(processor, "INFORMATION", tmp_path / "cpuinfo")
        processor.INFORMATION.write_text(text)
        processor._first.cache_clear()
        return processor.identity()

    first = "vendor_id\t: AuthenticAMD\nmodel\t: 1\nmodel name: Some AMD\ncpu MHz: 2400\nflags: fpu avx\n\n"
    try:
        known = identity(first + first.replace("Some", "Other"))
        assert (processor.vendor(), processor.name()) == ("amd", "Some AMD")
        assert identity(first.replace("2400", "3100").replace("fpu", "fpu sep")) == known
        assert identity(first.replace("avx", "avx avx2")) != known
        assert identity(first.replace("model\t: 1", "model\t: 2")) != known
    finally:
        processor._first.cache_clear()


@needs_fftw
def test_large_images_in_single_precision_are_planned_patiently(chosen, monkeypatch):
    chosen("fftw")
    monkeypatch.setattr(plans, "PATIENT", range(SHAPE[0] * SHAPE[1], 10**6))
    transforms.fft2(torch.ones(SHAPE, dtype=torch.complex64))
    transforms.fft2(torch.ones(SHAPE, dtype=torch.complex128))
    transforms.fft2(torch.ones(4, 4, dtype=torch.complex64))
    assert files() == [
        "20x12-complex128-measure.txt",
        "20x12-complex64-patient.txt",
        "4x4-complex64-measure.txt",
    ]


@needs_fftw
def test_plans_come_from_what_is_kept_alone(chosen, monkeypatch, draw):
    import pyfftw

    chosen("fftw")
    image = draw(*SHAPE).to(torch.complex64)
    first = transforms.fft2(image)
    (kept,) = plans.folder().glob("*.txt")
    text = kept.read_text()
    # of this process, of another size, and planned at length: must neither count nor be lost
    pyfftw.forget_wisdom()
    pyfftw.FFTW(*(pyfftw.empty_aligned(24, "complex64") for _ in range(2)), flags=("FFTW_PATIENT",))
    own = pyfftw.export_wisdom()
    chosen("fftw")
    monkeypatch.setattr(plans, "_found", None)
    assert torch.equal(transforms.fft2(image), first)
    assert pyfftw.export_wisdom() == own
    assert kept.read_text() == text
    pyfftw.forget_wisdom()


def _transform(folder, ready, start, found):
    """In a process of its own: plan when all are ready, and give back the bits of a round trip."""
    os.environ["XDG_CACHE_HOME"], os.environ[transforms.VARIABLE] = folder, "fftw"
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(160, 96, generator=generator, dtype=torch.complex64)
    ready.put(os.getpid())
    start.wait()
    spectrum = transforms.fft2(image)
    found.put((spectrum.numpy().tobytes(), transforms.ifft2(spectrum).numpy().tobytes()))


@needs_fftw
def test_processes_that_start_together_have_one_plan(chosen, tmp_path):
    context = multiprocessing.get_context("spawn")
    ready, found, start = context.Queue(), context.Queue(), context.Event()
    arguments = (str(tmp_path), ready, start, found)
    workers = [context.Process(target=_transform, args=arguments) for _ in range(2)]
    for worker in workers:
        worker.start()
    for _ in workers:
        ready.get()
    start.set()
    bits = [found.get() for _ in workers]
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    # one that comes later, when the plan is there
    chosen("fftw")
    _transform(str(tmp_path), ready, start, found)
    bits.append(found.get())
    assert len(set(bits)) == 1
    assert len(list(tmp_path.rglob("*.txt"))) == 1


@needs_fftw
@pytest.mark.parametrize(
    "content", ["", "nonsense", "\udcff\udcfe", "(fftw-3.3.5 fftwf_wisdom #x0 #x0 #x0 #x0\n)\n", "other"]
)
def test_a_broken_file_is_replaced_and_said(content, chosen, draw):
    chosen("fftw")
    image = draw(*SHAPE).to(torch.complex64)
    transforms.fft2(image)
    (kept,) = plans.folder().glob("*.txt")
    whole = kept.read_text()
    if content == "other":  # readable, and of another size
        transforms.fft2(image[:4, :4].contiguous())
        content = (plans.folder() / "4x4-complex64-measure.txt").read_text()
    kept.write_bytes(content.encode(errors="surrogateescape"))
    chosen("fftw")
    with pytest.warns(RuntimeWarning, match="20x12-complex64-measure.txt: FFTW cannot read this plan"):
        transforms.fft2(image)
    assert kept.read_text().splitlines()[0] == whole.splitlines()[0]
    chosen("fftw")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        transforms.fft2(image)


@needs_fftw
def test_where_plans_cannot_be_kept_torch_transforms_and_it_is_said(chosen, tmp_path, monkeypatch, draw):
    chosen("fftw")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    (tmp_path / "file").write_text("in the way")
    image = draw(*SHAPE)
    with pytest.warns(RuntimeWarning, match="20×12 cannot be kept .*torch's FFT takes its place"):
        found = transforms.fft2(image)
    assert torch.equal(found, torch.fft.fft2(image))
    with warnings.catch_warnings():  # once
        warnings.simplefilter("error")
        transforms.fft2(image)


@needs_fftw
def test_without_a_home_torch_transforms(chosen, monkeypatch, draw):
    chosen("fftw")
    monkeypatch.delenv("XDG_CACHE_HOME")

    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(plans.Path, "home", homeless)
    with pytest.warns(RuntimeWarning, match="cannot be kept .*home directory"):
        transforms.fft2(draw(*SHAPE))


@needs_fftw
def test_a_plan_that_was_kept_needs_no_writing(chosen, monkeypatch, draw):
    chosen("fftw")
    image = draw(*SHAPE)
    first = transforms.fft2(image)
    chosen("fftw")

    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(plans, "write_text", full)
    assert torch.equal(transforms.fft2(image), first)
    with pytest.warns(RuntimeWarning, match="No space left"):
        transforms.fft2(image[:4, :4].contiguous())
    assert files() == ["20x12-complex128-measure.txt"]


def test_sizes_that_fftw_is_slow_at_are_left_to_torch(chosen, monkeypatch, draw):
    chosen("fftw")
    monkeypatch.setattr(transforms.importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(plans, "plans_of", None)
    image = draw(8, 23)
    assert torch.equal(transforms.fft2(image), torch.fft.fft2(image))
    assert [transforms._largest_factor(size) for size in (1, 2, 256, 320, 368, 97, 210)] == [
        1,
        2,
        2,
        5,
        23,
        97,
        7,
    ]
