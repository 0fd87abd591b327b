// What all scripts with Ably's SDK share: waiting for it, and the end.

/** Resolves with the reason of the next change to `state`; null if it has none. */
export const state = (emitter, name) =>
  new Promise((done) => emitter.once(name, (change) => done(change.reason ?? null)));

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
