"""Dialects: pure functions from pings and posts to request bytes, and from a buyer's answer to its meaning."""
