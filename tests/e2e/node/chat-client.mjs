// What the chat-*.mjs scripts share: a client whose tokens come from our endpoint.
import * as Ably from "ably";

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

/** Resolves with the reason of the next change to `state`. */
export const state = (emitter, name) =>
  new Promise((done) => emitter.once(name, (change) => done(change.reason ?? null)));

export async function until(isTrue) {
  while (!(await isTrue())) await new Promise((done) => setTimeout(done, 10));
}

/** The error code that a promise is rejected with; null when it is fulfilled. */
export const code = (promise) => promise.then(() => null, (error) => error.code);

export const cause = (reason) => (reason.cause ?? reason).code;

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
