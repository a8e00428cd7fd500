"""Keeps numpy's linear algebra on the thread that asks: to be imported before numpy is.

The server multiplies small matrices, many at a time. OpenBLAS's own threads help none of them, and
wait by spinning: on busy cores the slowest in a hundred took eight times as long. Whoever sets the
variable knows better.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
