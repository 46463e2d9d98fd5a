"""Names for arrays. They are numpy's, which takes long to load: ``types`` gives them to whoever works on arrays."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]
VectorArray: TypeAlias = NDArray[np.float32]
IndexArray: TypeAlias = NDArray[np.int64]
MaskArray: TypeAlias = NDArray[np.bool_]
Rng: TypeAlias = np.random.Generator
