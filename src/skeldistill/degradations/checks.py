"""What the options of degradations may be; every refusal is one line of the same form."""

import operator


def share(name: str, value: float) -> None:
    """Refuse anything but a number from 0 to 1."""
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must lie between 0 and 1, got {value}")


def not_negative(name: str, value: float) -> None:
    """Refuse negative and infinite numbers."""
    if not 0 <= value < float("inf"):
        raise ValueError(f"{name} must be a number of at least 0, got {value}")


def burst(name: str, value: float) -> None:
    """Refuse a mean length below one frame, or without end."""
    if not 1 <= value < float("inf"):
        raise ValueError(f"{name} must be a number of frames of at least 1, got {value}")


def whole(name: str, value: int, least: int) -> None:
    """Refuse anything but a whole number from `least` on."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or operator.index(value) < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")
