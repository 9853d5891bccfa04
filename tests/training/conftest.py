"""What tests of training share."""

from collections.abc import Iterator

import pytest

from tests.builders import kept_process_state


@pytest.fixture(scope="module")
def deepspeed_environment() -> Iterator[None]:
    """What a worker's shim does before it imports the loop; one thread, as a worker has."""
    import torch

    from training.loop.deepspeed_op import prepare_deepspeed

    threads = torch.get_num_threads()
    with kept_process_state():
        prepare_deepspeed("cpu")
        yield
    torch.set_num_threads(threads)
