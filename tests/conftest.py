"""What several tests share: real data, a composed config, a small trained network."""

import os
from pathlib import Path

import pytest

from rnnscope.terminal import without_greeting

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def mnist() -> Path:
    """The real MNIST, which is not part of the repository."""
    path = PROJECT.parent / "shared" / "data" / "mnist.npz"
    if not path.is_file():
        message = "mnist.npz is not at ../shared/data beside the checkout"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return path


@pytest.fixture(scope="session")
def tensorflow() -> None:
    """Start TensorFlow, quietly."""
    with without_greeting():
        from rnnscope.models import device

        device()
