"""The ADMM step for batches and for devices other than one core: `fused` in torch.

A step is two FFTs and three passes over the batch, on memory that stays where it is. On CUDA the passes are
compiled, so that each reads and writes its tensors once, and after some steps all is captured in CUDA graphs,
since a step of a small batch takes less time than its launches; elsewhere the passes run as they stand, and
are what the tests compare with.
"""

import functools
import inspect
import warnings
from collections.abc import Callable, Mapping

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from mrilib.solvers.couplings import Field
from mrilib.solvers.total_variation.passes import RULES, clip_paired, passes_for
from mrilib.solvers.total_variation.problem import OVER_RELAXATION, VariationProblem

# Of a loop: its name, and which of the two states it reads.
Work = tuple[str, int]

# Steps before the capture, which costs as much as some ten steps of a small batch. Our choice, not measured.
CAPTURE_AFTER = 10
# Largest relative difference, in the 2-norm, of a captured step to the same step without a graph.
SAME = {torch.float32: 1e-5, torch.float64: 1e-12}


class Captured:
    """Pieces of work on fixed memory as CUDA graphs; `captured(name)` does one again.

    Each is done once before, on the stream of the capture: what torch compiles, and the plans of cuFFT, must
    exist by then. The graphs use those plans, so torch's cache of plans must not be cleared while they live.
    What the work allocates, the work areas of cuFFT too, belongs to the graphs. They share one pool of it,
    and so must not run at once.

    Args:
        works: the pieces in the order in which they run; each reads and writes tensors that stay where they
            are, or what an earlier one made. What they write is anything after this, which may raise.
        device: where.
    """

    def __init__(self, works: Mapping[Work, Callable[[], None]], device: torch.device) -> None:
        self._graphs = {name: torch.cuda.CUDAGraph() for name in works}
        with torch.cuda.device(device):
            stream, pool = torch.cuda.Stream(), torch.cuda.graph_pool_handle()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for work in works.values():
                    work()
            torch.cuda.current_stream().wait_stream(stream)
            # The outer `with` as well: after a capture that failed torch leaves its stream the current one.
            with torch.cuda.stream(stream):
                for name, work in works.items():
                    with torch.cuda.graph(self._graphs[name], pool=pool, stream=stream):
                        work()

    def __call__(self, name: Work) -> None:
        self._graphs[name].replay()


Do = Callable[[Work], None]
# By type of device; where there is none, work is always done as it stands.
CAPTURES: dict[str, Callable[[Mapping[Work, Callable[[], None]], torch.device], Do]] = {"cuda": Captured}


class BatchLoop:
    """The step for a batch, with the interface of `FusedLoop`.

    Everything that a step reads has its memory from `load` on, until `keep`. `CAPTURE_AFTER` steps later two
    steps are done without graphs, captured, and done again by graphs from the same state. Where the capture
    fails or the two differ by more than `SAME`, a warning says so, and this loop goes on without graphs.

    Five graphs are captured: one for `solve`, since callers put new data between it and `update`, and one
    for `update` and for `average` from each of the two states, which take turns so that no pass writes what
    it reads. Graphs of more steps would save launches alone, two a step.

    Args:
        problem, paired, inverse, relaxation: as those of `FusedLoop`, with or without a batch axis.
        graphs: whether graphs may be used, where the device has them.

    Attributes:
        reflected: `∇ᵀv` of the latest `update`.
        image: of the latest `solve`, as long as there was no other.
        captured: does a piece of work by its graph; none before the capture.
    """

    reflected: Complex[Tensor, "batch y x"]
    image: Complex[Tensor, "batch y x"]

    def __init__(
        self,
        problem: VariationProblem,
        *,
        paired: bool,
        inverse: Tensor | None = None,
        relaxation: float = OVER_RELAXATION,
        graphs: bool = True,
    ) -> None:
        self._data = problem.data
        self._source: Tensor | None = None
        self._pixels = problem.data.shape[-2] * problem.data.shape[-1]
        inverse = problem.inverse() if inverse is None else inverse
        # The inverse transform's factor goes with the filter, which saves a pass over the image.
        self._inverse = inverse[..., None] / self._pixels
        self._rho = problem.rho[..., None, None, None]
        self._threshold = problem.threshold[..., None]
        self._share, self._share_now = torch.zeros_like(problem.spectrum[0, 0]), 0.0
        self._paired, self._relax = paired, relaxation
        self._clip = inspect.unwrap(clip_paired if paired else RULES[problem.coupling])
        device = problem.data.device.type
        self._move, self._turn, self._blend, self._filtered = passes_for(device, self._clip)
        self._capture = CAPTURES.get(device) if graphs else None
        self._states: tuple[Tensor, ...] = ()
        self._mean: Tensor | None = None
        self.captured: Do | None = None
        self._now = self._taken = 0

    def load(self, state: Field, mean: Field | None = None) -> None:
        """Start from `state`, complex `(batch, 2, y, x)`; `mean` is where `average` starts, else there."""
        parts = _real(state).clone(memory_format=torch.contiguous_format)
        mean = state if mean is None and not self._paired else mean  # attacks do not average
        self._states = parts, torch.empty_like(parts)
        self._mean = None if mean is None else _real(mean).clone(memory_format=torch.contiguous_format)
        pixels = (state.shape[0], *state.shape[-2:])
        self._data = _held(self._data, pixels)
        self._source = None if self._source is None else _held(self._source, pixels)
        self.reflected = torch.empty_like(self._data)
        self.captured, self._now, self._taken = None, 0, 0
        self._turned(0)

    @property
    def data(self) -> Complex[Tensor, "*batch y x"]:
        """`fft2(Aᴴy)`; what is assigned between steps is copied."""
        return self._data

    @data.setter
    def data(self, data: Complex[Tensor, "*batch y x"]) -> None:
        if self._states:
            self._data.copy_(data)
        else:
            self._data = data

    @property
    def source(self) -> Complex[Tensor, "*batch y x"] | None:
        """With `paired`, `d/ρ` as a complex image with no real part, added to `reflected`; copied too."""
        return self._source

    @source.setter
    def source(self, source: Complex[Tensor, "*batch y x"] | None) -> None:
        if self._states and source is not None:
            if self._source is not None:
                self._source.copy_(source)
                return
            source = _held(source, self._data.shape)
        self._source, self.captured, self._taken = source, None, 0

    @property
    def spectrum(self) -> Complex[Tensor, "batch y x"]:
        """Unnormalised transform of the latest image."""
        return self._spectrum * self._pixels

    def solve(self) -> None:
        """`image` from `reflected`."""
        if self.captured is None and self._capture is not None and self._taken >= CAPTURE_AFTER:
            self._try_capture(self._capture)
        self._do(("solve", 0))

    def update(self) -> None:
        """The new state, and `reflected` from `image`."""
        self._do(("update", self._now))
        self._now = 1 - self._now
        self._taken += 1

    def change_penalty(self, problem: VariationProblem) -> None:
        """Go on with another penalty of the same problem: `S(s)` and `ρ(s − S(s))` stay; the mean is `v`."""
        state, threshold = self._states[self._now], problem.threshold[..., None]
        clipped = self._clip(state, self._threshold)
        state.sub_((1.0 - threshold / self._threshold) * clipped)
        self._rho.copy_(problem.rho[..., None, None, None])
        self._threshold.copy_(threshold)
        self._inverse.copy_(problem.inverse()[..., None] / self._pixels)
        if self._mean is not None:
            self._mean.copy_(state - 2.0 * self._clip(state, self._threshold))
        self._turned(self._now)

    def step(self) -> None:
        """One step."""
        self.solve()
        self.update()

    def average(self, share: float) -> None:
        """Move the mean by `share` of its distance to `v = 2S(s) − s`."""
        if self._mean is None:
            raise ValueError("BatchLoop.average: expected a mean, got none; give one to load")
        if share != self._share_now:
            self._share_now = share
            self._share.fill_(share)
        self._do(("average", self._now))

    def state(self) -> Field:
        """The state as a complex tensor `(batch, 2, y, x)`."""
        return torch.view_as_complex(self._states[self._now]).clone()

    def clipped(self) -> Field:
        """`s − S(s)`, likewise."""
        return torch.view_as_complex(self._clip(self._states[self._now], self._threshold))

    def mean(self) -> Field:
        """What `average` has come to, likewise; the state where there is none."""
        return self.state() if self._mean is None else torch.view_as_complex(self._mean).clone()

    def keep(self, items: Tensor) -> None:
        """Drop the others, of the data and the source as well."""
        parts = self._states[self._now][items]
        self._states = parts, torch.empty_like(parts)
        self._mean = None if self._mean is None else self._mean[items]
        self._source = None if self._source is None else self._source[items]
        self._data, self.reflected = self._data[items], self.reflected[items]
        if self._rho.ndim > 3:
            self._rho, self._threshold = self._rho[items], self._threshold[items]
        if self._inverse.ndim > 3:
            self._inverse = self._inverse[items]
        self.captured, self._now, self._taken = None, 0, 0

    def _do(self, work: Work) -> None:
        if self.captured is None:
            self._as_it_stands(work)
        else:
            self.captured(work)

    def _as_it_stands(self, work: Work) -> None:
        name, now = work
        if name == "solve":
            spectrum = torch.view_as_real(torch.fft.fft2(self.reflected))
            filtered = self._filtered(spectrum, _real(self._data), self._rho, self._inverse)
            self._spectrum = torch.view_as_complex(filtered)
            self.image = torch.fft.ifft2(self._spectrum, norm="forward")
        elif name == "update":
            image = torch.view_as_real(self.image)
            state, new = self._states[now], self._states[1 - now]
            self._move(new, image, state, self._threshold, self._relax, self._clip)
            self._turned(1 - now)
        else:
            self._blend(self._mean, self._states[now], self._threshold, self._share, self._clip)

    def _turned(self, now: int) -> None:
        source = None if self._source is None else _real(self._source)
        self._turn(_real(self.reflected), self._states[now], self._threshold, self._clip, source)

    def _two_steps(self, do: Do) -> list[Tensor]:
        """What two steps from the present state come to, each with an average where there is a mean."""
        for now in (self._now, 1 - self._now):
            do(("solve", 0))
            do(("update", now))
            if self._mean is not None:
                do(("average", 1 - now))
        return [tensor.clone() for tensor in (*self._fixed(), torch.view_as_real(self.image))]

    def _fixed(self) -> list[Tensor]:
        """What a step writes and the next one reads."""
        return [*self._states, _real(self.reflected), *([] if self._mean is None else [self._mean])]

    def _try_capture(self, capture: Callable[..., Do]) -> None:
        """Capture the work and compare it; the state is as before."""
        kinds = ("update",) if self._mean is None else ("update", "average")
        names = [("solve", 0), *((kind, now) for kind in kinds for now in (0, 1))]
        works = {name: functools.partial(self._as_it_stands, name) for name in names}
        saved: list[Tensor] = []
        try:
            saved += [tensor.clone() for tensor in self._fixed()]
            expected = self._two_steps(self._as_it_stands)
            captured = capture(works, self._data.device)
            self._restore(saved)
            difference = _difference(self._two_steps(captured), expected)
            if not difference <= SAME[self._share.dtype]:
                raise ArithmeticError(f"its steps differ by {difference:.1e} from those without")
            self.captured = captured
        except Exception as error:  # noqa: BLE001 - whatever a driver raises, want of memory too
            self._capture, reason = None, (str(error).splitlines() or [""])[0]
            warnings.warn(
                f"BatchLoop: no CUDA graph ({type(error).__name__}: {reason}); goes on without, slower where "
                "batches are small",
                RuntimeWarning,
                stacklevel=3,
            )
        finally:
            self._restore(saved)

    def _restore(self, saved: list[Tensor]) -> None:
        for tensor, values in zip(self._fixed(), saved, strict=False):  # none where memory was short
            tensor.copy_(values)


def _difference(found: list[Tensor], expected: list[Tensor]) -> float:
    """Largest `‖a − b‖/‖b‖`; NaN if one is."""
    tiny, norm = torch.finfo(expected[0].dtype).tiny, torch.linalg.vector_norm
    pairs = zip(found, expected, strict=True)
    return float(torch.stack([norm(a - b) / norm(b).clamp(min=tiny) for a, b in pairs]).max())


def _held(values: Complex[Tensor, "*batch y x"], shape: tuple[int, ...]) -> Complex[Tensor, "batch y x"]:
    """A copy of its own for every item."""
    return values.resolve_conj().expand(shape).clone(memory_format=torch.contiguous_format)


def _real(values: Complex[Tensor, "*batch y x"]) -> Float[Tensor, "*batch y x 2"]:
    return torch.view_as_real(values.resolve_conj())
