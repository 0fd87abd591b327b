"""The query parameters and headers of chat's routes, as the OpenAPI document describes them."""

from typing import Annotated, Literal

from litestar.params import HeaderParameter, QueryParameter

from api.chat.http.models import MAX_LIMIT

NO_STORE = {"Cache-Control": "no-store"}

Scope = Annotated[
    Literal["mine", "public"],
    QueryParameter(name="scope", description="`mine`: with invitations; `public`: all to join."),
]
After = Annotated[
    str, QueryParameter(name="after", max_length=64, description="Public rooms after this id.")
]
Offset = Annotated[
    int, QueryParameter(name="offset", ge=0, le=1_000_000, description="So many are skipped.")
]
PageLimit = Annotated[
    int, QueryParameter(name="limit", ge=1, le=MAX_LIMIT, description="On a page at most.")
]
BeforeMessage = Annotated[
    str | None,
    QueryParameter(name="before", max_length=4096, description="`before` of the last page."),
]
Rooms = Annotated[
    str | None,
    QueryParameter(name="rooms", description="Only these rooms, comma separated."),
]
Format = Annotated[
    str | None,
    QueryParameter(name="format", description="`jwt` for a JWT instead of a token request."),
]
Ttl = Annotated[
    str | None,
    QueryParameter(name="ttl", description="Milliseconds; only what is shorter counts."),
]
Signature = Annotated[
    str | None,
    HeaderParameter(name="X-Ably-Signature", description="Of a batch, with the key's secret."),
]
SignatureKey = Annotated[
    str | None, HeaderParameter(name="X-Ably-Key", description="The name of that key.")
]
WebhookSecret = Annotated[
    str | None,
    HeaderParameter(
        name="X-Webhook-Secret", description="MILLRACE_CHAT_WEBHOOK_SECRET, for single deliveries."
    ),
]
