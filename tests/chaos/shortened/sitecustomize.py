"""On PYTHONPATH it gives the exchange's processes, and those that they start, leases that run out within a test."""

from chaos.short_leases import shorten

shorten()
