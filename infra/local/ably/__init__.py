"""An account-free server that speaks Ably's protocols, for development."""
