"""What halving embeddings costs."""

import numpy as np

from inkling_server.storage.vectors import HalfVector, to_matrix
from tests.server.storage_kit import random_units


def test_inner_products_hardly_move() -> None:
    embeddings_ND = random_units(500, 512)
    back_ND = to_matrix([HalfVector(row_D).wire for row_D in embeddings_ND], 512)
    assert back_ND.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(back_ND, axis=1), 1, atol=1e-6)
    error_NN = np.abs(back_ND @ back_ND.T - embeddings_ND @ embeddings_ND.T)
    assert error_NN.max() < 2e-4
    assert np.sqrt((error_NN**2).mean()) < 4e-5


def test_a_missing_embedding_is_a_row_of_zeros() -> None:
    matrix = to_matrix([None, HalfVector(np.array([3, 4], np.float32)).wire], 2)
    np.testing.assert_allclose(matrix, np.array([[0, 0], [0.6, 0.8]], np.float32), atol=1e-3)
    assert to_matrix([], 4).shape == (0, 4)
