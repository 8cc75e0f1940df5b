"""The doors: HTTP for sellers, operators and probes. Everything is parsed here, once, into frozen values."""
