import torch

from mrilib.metrics.artifacts import amplification, severity


def test_severity_is_the_largest_modulus():
    artifact = torch.tensor([[[3 + 4j, 0], [1, -2]], [[0.5, 0], [0, -1j]]])
    assert torch.equal(severity(artifact), torch.tensor([5.0, 1.0]))
    assert float(severity(artifact[0].real)) == 3.0


def test_amplification_is_the_ratio_of_severities():
    artifact = torch.tensor([[3 + 4j, 0], [1, -2]])
    perturbation = torch.tensor([[0, 0], [0, -2j]])
    assert float(amplification(artifact, perturbation)) == 2.5
    assert amplification(artifact[None], perturbation[None]).shape == (1,)


def test_amplification_of_nothing_is_nan():
    nothing = torch.zeros(2, 2)
    assert amplification(nothing, nothing).isnan()
    assert amplification(nothing + 1, nothing).isinf()
