"""Total variation of one coil: the alternating directions, their fused and batched loops, the certificate."""
