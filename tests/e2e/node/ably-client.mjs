// What the ably-*.mjs scripts share: a client of the local server, its controls, and an end.
import * as Ably from "ably";

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

/** Resolves with the reason of the next change to `state`. */
export const state = (emitter, name) =>
  new Promise((done) => emitter.once(name, (change) => done(change.reason)));

export async function until(isTrue) {
  while (!(await isTrue())) await new Promise((done) => setTimeout(done, 5));
}

/** The error code that a promise is rejected with; null when it is fulfilled. */
export const code = (promise) => promise.then(() => null, (error) => error.code);

export async function close(...clients) {
  await Promise.all(
    clients.map((client) => {
      const closed = state(client.connection, "closed");
      client.close();
      return closed;
    }),
  );
}

/** Prints the results and ends: timers of the SDK would hold the process for ten more seconds. */
export function report(results) {
  process.stdout.write(JSON.stringify(results), () => process.exit(0));
}
