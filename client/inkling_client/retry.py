"""When a call that failed is tried again, and after how long.

Tagging and reading are safe to repeat: the server keeps nothing of them. So is storing an item,
which replaces it, recording an engagement, which has an id of its own, and deleting. What is tried
again is what may pass by itself: no connection (UNAVAILABLE, which includes ENCODER_DOWN and
STORAGE_DOWN) and a full server (OVERLOADED, not before the server's own RetryInfo). A deadline that
passed is never tried again.

The loop is ours and not gRPC's service config: that one does not know RetryInfo, and the two
together would multiply their attempts.

This module does not know calls or clocks: it answers questions, `client.py` and `aio.py` wait.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from inkling_client.errors import InklingClientError, Overloaded, Unavailable

# How the transport, and not the server's own code, reports a stream that broke.
_BROKEN_STREAM_REASONS = frozenset({"UNAVAILABLE", "CANCELLED", "INTERNAL"})


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how patiently.

    Args:
        max_attempts: attempts in all, the first one included; 1 turns retries off.
        initial_backoff_s: mean wait before the second attempt.
        max_backoff_s: no mean wait is longer, unless the server asks for it.
        multiplier: how much longer each wait is than the one before.
        jitter: each wait is drawn from its mean times [1 - jitter, 1 + jitter], so that clients
            that failed together do not come back together.
    """

    max_attempts: int = 5
    initial_backoff_s: float = 0.1
    max_backoff_s: float = 3.0
    multiplier: float = 3.0
    jitter: float = 0.25

    def __post_init__(self) -> None:
        if self.max_attempts < 1 or self.multiplier < 1 or not 0 <= self.jitter <= 1:
            raise ValueError(f"not a retry policy: {self}")
        if self.initial_backoff_s < 0 or self.max_backoff_s < 0:
            raise ValueError(f"waits are not negative: {self}")

    def backoff_s(
        self, attempt: int, draw: Callable[[float, float], float] = random.uniform
    ) -> float:
        """The wait after failed attempt number `attempt` (1 is the first)."""
        # The exponent is bounded: a stream may count many more failures than a float can raise.
        mean_s = self.initial_backoff_s * self.multiplier ** min(attempt - 1, 64)
        return min(mean_s, self.max_backoff_s) * draw(1 - self.jitter, 1 + self.jitter)

    def wait_s(
        self,
        error: InklingClientError,
        attempt: int,
        *,
        remaining_s: float = float("inf"),
        draw: Callable[[float, float], float] = random.uniform,
    ) -> float | None:
        """Seconds to wait before the next attempt, or None where `error` is final.

        Args:
            error: what attempt number `attempt` ended with.
            attempt: 1 for the first.
            remaining_s: what is left until the caller's deadline. A retry that could not start
                before it is not made: the caller hears the true reason at once.
            draw: uniform random numbers between two bounds.
        """
        if attempt >= self.max_attempts or not isinstance(error, Unavailable | Overloaded):
            return None
        wait_s = self.backoff_s(attempt, draw) + (error.retry_after_s or 0.0)
        return wait_s if wait_s < remaining_s else None


UNARY_RETRY = RetryPolicy()
# For what is not safe to repeat: it may have been done although the answer was lost.
NO_RETRY = RetryPolicy(max_attempts=1)
# A stream carries hours of work: it sits out a restarted server or encoder (18 s in all).
STREAM_RETRY = RetryPolicy(max_attempts=10, max_backoff_s=4.0, multiplier=2.0)


def stream_may_reconnect(error: InklingClientError) -> bool:
    """Whether a stream that ended with `error` is worth opening again."""
    return isinstance(error, Unavailable | Overloaded) or error.reason in _BROKEN_STREAM_REASONS
