"""The application behind API Gateway and Function URLs, buffered by Mangum.

A stream is answered as a window: with new events at once, else with the first that come within
`MILLRACE_WINDOW_S`, then `bye` and a `retry:`. Clients need no other code and no other cursor.
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
# Problem documents and JWTs are text. Some gateways would pass them on as base64.
TEXT = [*DEFAULT_TEXT_MIME_TYPES, PROBLEM_MEDIA_TYPE, JWT_MEDIA_TYPE]
handler = Mangum(app, lifespan="off", text_mime_types=TEXT)  # type: ignore[arg-type]  # narrower
freeze_heap()
