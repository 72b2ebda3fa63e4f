def compress_coils(kspace, *, share):
    raise NotImplementedError
