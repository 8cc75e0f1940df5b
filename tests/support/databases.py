"""Databases on the tests' own server."""

from urllib.parse import urlsplit, urlunsplit

import asyncpg

from exchange.embedded.lease import Services


def database_url(url: str, name: str) -> str:
    """The same server, another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


async def execute(servers: Services, statement: str) -> None:
    connection = await asyncpg.connect(servers.postgres_url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
