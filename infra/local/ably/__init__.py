"""An account-free server that speaks Ably's protocols, for development and tests.

In the order of the protocol: `keys_and_tokens`, `rest`, `connection`, `channel`, `presence`,
`webhooks`. `protocol` has what all of them speak in. `server` starts it, `gateway` takes what
comes in, `apps` holds what is kept, and `control` is for tests.
"""
