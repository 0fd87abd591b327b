"""An account-free server that speaks Upstash's Redis REST protocol over an embedded Valkey."""
