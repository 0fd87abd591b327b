"""The application behind Function URLs and REST APIs that stream, on the loop of `runtime`.

A stream is held as in a container until shortly before the invocation's deadline. Then come
`bye deadline` and a `retry:`, and the client continues in another invocation.
"""

from api.app import create_app
from functions.deadline import invocation_end
from functions.memory import freeze_heap
from functions.settings import read_settings
from functions.snapshots import survive_snapshots
from functions.sqs import queue_of

settings = read_settings()
app = create_app(settings, deadlines=invocation_end, queue=queue_of(settings))
survive_snapshots(app.state.services)
freeze_heap()
