"""The shape of a market file: every key that it may have, and what stands behind each."""
