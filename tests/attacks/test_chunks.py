import pytest
import torch

from mrilib.attacks import chunks
from mrilib.attacks.chunks import Chunks

CPU = torch.device("cpu")


def limited(most, seen):
    """A function that has memory for `most` candidates."""

    def function(part):
        seen.append(part.tolist())
        if part.numel() > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return part.square()

    return function


def test_every_candidate_comes_once_and_in_order():
    seen = []
    squares = Chunks(3, CPU).map(limited(3, seen), 8)
    assert torch.cat(squares).tolist() == [index**2 for index in range(8)]
    assert seen == [[0, 1, 2], [3, 4, 5], [6, 7]]


def test_a_part_without_memory_comes_again_in_halves(capsys):
    seen, halving = [], Chunks(8, CPU)
    squares = torch.cat(halving.map(limited(2, seen), 5))
    assert squares.tolist() == [0, 1, 4, 9, 16]
    assert seen == [[0, 1, 2, 3, 4], [0, 1], [2, 3], [4]]
    assert capsys.readouterr().out == "no memory for 5 candidates at once: from here 2\n"
    # it is not tried again
    seen.clear()
    halving.map(limited(2, seen), 4)
    assert seen == [[0, 1], [2, 3]]
    assert capsys.readouterr().out == ""


def test_a_single_candidate_without_memory_is_an_error():
    single = Chunks(4, CPU)
    with pytest.raises(torch.OutOfMemoryError):
        single.map(limited(0, []), 4)
    assert single.size == 1


def test_a_part_is_done_before_the_next_begins():
    values = torch.arange(5)
    for part, found in Chunks(2, CPU).parts(lambda part: values[part] + values.sum(), 5):
        values[part] = found
    # the second part sees what became of the first, the third of both
    assert values.tolist() == [10, 11, 32, 33, 94]


def test_other_errors_are_not_its_business():
    seen = []

    def broken(part):
        seen.append(part)
        raise RuntimeError("shape mismatch")

    with pytest.raises(RuntimeError, match="shape mismatch"):
        Chunks(4, CPU).map(broken, 8)
    assert len(seen) == 1


def test_parts_are_as_large_as_what_is_kept_for_them_allows(monkeypatch):
    monkeypatch.setattr(chunks, "gradient_room", lambda device: 100)
    sizes = {each: Chunks(None, CPU, bytes_each=each).size for each in (1, 25, 26, 50, 51, 1000)}
    assert sizes == {1: 4, 25: 4, 26: 3, 50: 2, 51: 1, 1000: 1}
    assert Chunks(7, CPU, bytes_each=1000).size == 7


def test_sizes():
    assert Chunks(None, CPU).size == 4
    assert Chunks(None, torch.device("cuda")).size == 64
    with pytest.raises(ValueError, match="Chunks: expected size >= 1, got 0"):
        Chunks(0, CPU)
