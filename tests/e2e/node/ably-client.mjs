// What the ably-*.mjs scripts share: a client of the local server, and its controls.
import * as Ably from "ably";

export { close, code, report, state, until } from "./sdk.mjs";

const { PORT, KEY } = process.env;
export const address = { endpoint: "127.0.0.1", port: Number(PORT), tls: false };
const [keyName, keySecret] = KEY.split(":");
const signer = new Ably.Rest({ key: KEY, ...address });

export const rest = signer;
export const errors = [];

/** Signed token requests, as an application's server would make them. */
export const tokens = (params) => (_, done) =>
  // A copy: the SDK writes into what it is given.
  signer.auth.createTokenRequest({ ...params }).then((request) => done(null, request), done);

export function realtime(params, options = {}) {
  return new Ably.Realtime({
    authCallback: tokens(params),
    ...address,
    transports: ["web_socket"],
    disconnectedRetryTimeout: 100,
    logHandler: (text) => errors.push(text),
    ...options,
  });
}

export async function control(method, name, body = {}) {
  const authorization = `Basic ${btoa(`${keyName}:${keySecret}`)}`;
  const headers = { authorization, "content-type": "application/json" };
  const url = `http://127.0.0.1:${PORT}/_local/${name}`;
  const answer = await fetch(url, { method, headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}
