"""The application behind API Gateway and Function URLs, buffered by Mangum.

A stream is answered as a window: what is new at once, else what comes first within
`MILLRACE_WINDOW_S`, then `bye` and a `retry:`. The same client code and the same cursor serve.
"""

import asyncio

from mangum import Mangum
from mangum.adapter import DEFAULT_TEXT_MIME_TYPES

from api.app import create_app
from api.chat.tokens.issuer import JWT_MEDIA_TYPE
from api.events import window
from api.problem_json import PROBLEM_MEDIA_TYPE
from functions.memory import freeze_heap
from functions.runtime.lifespan import start_once
from functions.settings import read_settings
from functions.snapshots import survive_snapshots
from functions.sqs import queue_of

settings = read_settings()
app = create_app(settings, deadlines=window(settings.window_s), queue=queue_of(settings))
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)  # Mangum runs every invocation on it
# Mangum's own lifespan support starts and stops the app for each request.
lifespan = start_once(app, loop)
survive_snapshots(app.state.services)
# Problem documents and JWTs are text; as base64 some gateways would hand them on undecoded.
TEXT = [*DEFAULT_TEXT_MIME_TYPES, PROBLEM_MEDIA_TYPE, JWT_MEDIA_TYPE]
handler = Mangum(app, lifespan="off", text_mime_types=TEXT)  # type: ignore[arg-type]  # narrower
freeze_heap()
