"""The interactive docs: Swagger UI's files from the package that carries them, no network."""

from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec

PACKAGE = "swagger_ui"
TYPES = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
START = "start.js"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Millrace API</title>
<link rel="icon" href="/api/docs/favicon-32x32.png">
<link rel="stylesheet" href="/api/docs/swagger-ui.css">
<div id="docs"></div>
<script src="/api/docs/swagger-ui-bundle.js"></script>
<script src="/api/docs/start.js"></script>
"""
SCRIPT = """\
SwaggerUIBundle({
  url: '/api/openapi.json',
  dom_id: '#docs',
  deepLinking: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
})
"""
MISSING = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Millrace API</title>
<p>The interactive docs need one more package: <code>pip install 'millrace[container]'</code>.
<p>The documents themselves are here:
<a href="/api/openapi.json">OpenAPI</a>, <a href="/api/asyncapi.json">AsyncAPI</a>.
"""


@dataclass(frozen=True, slots=True)
class Asset:
    content: bytes
    media_type: str


def page() -> str:
    """The docs page, or how to install what it needs."""
    return PAGE if find_spec(PACKAGE) else MISSING


def find_asset(name: str) -> Asset | None:
    """One of the page's files; None for every other name."""
    if name == START:
        return Asset(SCRIPT.encode(), "text/javascript")
    if name not in TYPES or not find_spec(PACKAGE):
        return None
    return Asset(files(PACKAGE).joinpath("static", name).read_bytes(), TYPES[name])
