"""The interactive docs: the page at `/api/docs`, and the files of Swagger UI from a package.

Nothing is loaded from the network.
"""

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
SIGN_IN = "sign-in.js"
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
{sign_in}<div id="docs"></div>
<script src="/api/docs/swagger-ui-bundle.js"></script>
<script src="/api/docs/start.js"></script>
"""
SIGN_IN_BUTTON = """\
<p class="swagger-ui"><button id="sign-in" class="btn authorize">Sign in as alice, admin</button>
<script defer src="/api/docs/sign-in.js"></script>
"""
# The answer sets the session cookie. The token is for the `curl` lines that the page shows.
SIGN_IN_SCRIPT = """\
const button = document.querySelector('#sign-in')
button.addEventListener('click', async () => {
  const answer = await fetch('/api/dev/session', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ user: 'alice', roles: ['admin'] }),
  })
  if (answer.ok) window.ui.preauthorizeApiKey('bearer', (await answer.json()).token)
  button.textContent = answer.ok ? 'Signed in as alice, admin' : `Refused: ${answer.status}`
})
"""
SCRIPT = """\
window.ui = SwaggerUIBundle({
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
    """A file of the interactive docs, as it is sent."""

    content: bytes
    media_type: str


def page(*, is_local: bool) -> str:
    """Return the HTML of the docs page, or of one that says how to install Swagger UI if it is not.

    With `is_local` the page has a button that signs in.
    """
    sign_in = SIGN_IN_BUTTON if is_local else ""
    return PAGE.format(sign_in=sign_in) if find_spec(PACKAGE) else MISSING


def find_asset(name: str, *, is_local: bool) -> Asset | None:
    """Return the file of the docs page with this name; None if the page has no such file.

    With `is_local` the script of the button that signs in exists too.
    """
    if name == START:
        return Asset(SCRIPT.encode(), "text/javascript")
    if name == SIGN_IN and is_local:
        return Asset(SIGN_IN_SCRIPT.encode(), "text/javascript")
    if name not in TYPES or not find_spec(PACKAGE):
        return None
    return Asset(files(PACKAGE).joinpath("static", name).read_bytes(), TYPES[name])
