"""How long to wait before something that failed is tried again."""

EVEN_SHARE = 0.5
"""The part of a pause that is the same for everybody; the rest is spread, so that no crowd comes back at once."""


def pause_s(tries: int, first_s: float, longest_s: float, luck: float) -> float:
    """The pause after so many tries: doubled each time up to the longest, less up to half of it by luck (0 to 1)."""
    doubled = first_s * 2.0 ** min(tries - 1, 60)
    return min(doubled, longest_s) * (EVEN_SHARE + (1 - EVEN_SHARE) * luck)
