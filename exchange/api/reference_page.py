"""The page at `/docs`: Swagger UI over the OpenAPI document, with files of our own, so that no other host is needed."""

import hashlib
from base64 import b64encode
from importlib.resources import files

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

PATH = "/docs"
FILES = files("fastapi_offline") / "static"
"""Copies of those in npm's swagger-ui-dist."""

_START = (
    'const dark=matchMedia("(prefers-color-scheme: dark)"),'
    'paint=()=>document.documentElement.classList.toggle("dark-mode",dark.matches);'
    'paint();dark.addEventListener("change",paint);'
    'SwaggerUIBundle({url:"openapi.json",dom_id:"#page",layout:"BaseLayout",deepLinking:true,validatorUrl:null,'
    'tagsSorter:(a,b)=>(b==="sellers")-(a==="sellers"),presets:[SwaggerUIBundle.presets.apis]})'
)
"""Light or dark as its reader's system is; what sellers use stands first."""

_PAGE = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>Lead exchange</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/files/swagger-ui.css">
<style>.swagger-ui .opblock-body{{overflow-x:auto}}</style>
<div id="page"></div>
<script src="docs/files/swagger-ui-bundle.js"></script>
<script>{_START}</script>
</html>
"""
_ONLY_OURSELVES = "; ".join(
    (
        "default-src 'none'",
        f"script-src 'self' 'sha256-{b64encode(hashlib.sha256(_START.encode()).digest()).decode()}'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)


def install(app: FastAPI) -> None:
    """Adds the page and its files to an application. Addresses are relative: a proxy may serve it under any path."""
    app.add_route(PATH, _page, ["GET"], include_in_schema=False)
    app.mount(f"{PATH}/files", StaticFiles(directory=str(FILES)))


async def _page(_: Request) -> Response:
    return HTMLResponse(_PAGE, headers={"Content-Security-Policy": _ONLY_OURSELVES})
