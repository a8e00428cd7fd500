"""What a million pictures cost. Pure maths on measured rates.

    hours = 1,000,000 / rate / 3600      cost = hours * processors * price of one for an hour

The machine is paid whether it is busy or not, so the price follows from the rate at saturation; the
load generator's share of the machine is included, which a real server would have for itself.
"""

from typing import Any

MILLION = 1_000_000


def per_million(rate: float, cores: int, price: float) -> float:
    """USD for a million pictures.

    Args:
        rate: pictures a second of the whole machine, > 0.
        cores: processors that are paid for.
        price: USD of one for an hour.

    Raises:
        ValueError: the rate is not positive.
    """
    if rate <= 0:
        raise ValueError(f"rate {rate}; allowed: > 0")
    return MILLION / rate / 3600 * cores * price


def table(results: dict[str, dict[str, Any]], cores: int, price: float) -> dict[str, Any]:
    """Cost and processor time of each way of asking."""
    return {
        name: {
            "usd_per_million": round(per_million(one["rate"], cores, price), 3),
            "server_cpu_s_per_picture": round(one["server_cpu_ms_per_picture"] / 1000, 6),
        }
        for name, one in results.items()
        if one["rate"] > 0
    }
