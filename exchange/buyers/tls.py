"""The secure connections to buyers: whom they trust, and how a known buyer's handshake is made short."""

import ssl

import httpx

PROTOCOLS = ["http/1.1"]


def trusting_context() -> ssl.SSLContext:
    """A context that checks certificates and names against the same authorities as for posts."""
    context = bare_context()
    context.set_alpn_protocols(PROTOCOLS)
    return context


def bare_context() -> ssl.SSLContext:
    """As `trusting_context`, for what is not HTTP."""
    return httpx.create_ssl_context(trust_env=False)
