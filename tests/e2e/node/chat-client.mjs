// What the chat-*.mjs scripts share: a client whose tokens come from our endpoint.
import * as Ably from "ably";

export { close, code, report, state, until } from "./sdk.mjs";

export const { AUTH_URL, TOKEN, ROOM, CHANNEL } = process.env;
export const address = JSON.parse(process.env.ABLY);
export const authHeaders = { Authorization: `Bearer ${TOKEN}` };

/** As the documentation says: the address of the endpoint, and the session. */
export const options = (more = {}) => ({
  authUrl: AUTH_URL,
  authHeaders,
  disconnectedRetryTimeout: 100,
  logLevel: 0,
  ...address,
  ...more,
});
export const realtime = (more) => new Ably.Realtime(options(more));
export const rest = (more) => new Ably.Rest(options(more));

export const cause = (reason) => (reason.cause ?? reason).code;
