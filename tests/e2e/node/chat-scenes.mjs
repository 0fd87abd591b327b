// What a client does in a room, with ably-js as Node or a browser has it. Nothing is imported:
// a page gets the text of this file.

const until = async (isTrue) => {
  while (!(await isTrue())) await new Promise((done) => setTimeout(done, 10));
};
/** Resolves with the reason of the next change to `name`. */
const next = (client, name) =>
  new Promise((done) => client.connection.once(name, (change) => done(change.reason ?? null)));
const end = (client) => {
  const closed = next(client, "closed");
  client.close();
  return closed;
};

/** One of `count` in a room: hears everybody, says one thing, knows who is there and what was. */
export async function takePart({ connect, channel: name, as, count }) {
  const client = connect();
  const channel = client.channels.get(name);
  const heard = [];
  await channel.subscribe((message) => heard.push([message.clientId, message.data]));
  await channel.presence.enter();
  await until(async () => (await channel.presence.get()).length >= count);
  const present = (await channel.presence.get()).map((one) => one.clientId).sort();
  await channel.publish("said", { from: as });
  await until(() => heard.length >= count);
  const past = (await channel.history({ limit: count })).items.map((one) => one.clientId).sort();

  // Who comes later asks for the last two.
  const later = connect();
  const rewound = [];
  const back = later.channels.get(name, { params: { rewind: "2" } });
  await back.subscribe((message) => rewound.push(message.id));
  await until(() => rewound.length >= 2);
  await Promise.all([end(client), end(later)]);
  return { heard, present, past, rewound: rewound.length };
}

/** Ably asks for another token thirty seconds before the end: this one ends three later. */
async function renewsInTime(connect) {
  const client = connect({ defaultTokenParams: { ttl: 33_000 } });
  await next(client, "connected");
  const before = client.auth.tokenDetails.token;
  const change = await new Promise((done) => client.connection.once((one) => done(one.current)));
  const renewed = [change, client.auth.tokenDetails.token !== before];
  await end(client);
  return renewed;
}

async function renewsAfterTheEnd(connect) {
  const client = connect({ defaultTokenParams: { ttl: 2_000 } });
  const ended = next(client, "disconnected");
  await next(client, "connected");
  const id = client.connection.id;
  const reason = (await ended).code;
  await next(client, "connected");
  const isTheSame = client.connection.id === id;
  await end(client);
  return [reason, isTheSame];
}

async function resumesAfterACut(connect, name) {
  const [client, other] = [connect(), connect({ useBinaryProtocol: false })];
  const [channel, theirs] = [client, other].map((one) => one.channels.get(name));
  const heard = [];
  await channel.subscribe((message) => heard.push(message.name));
  await theirs.publish("1", null);
  await until(() => heard.length === 1);
  const id = client.connection.id;
  const gone = next(client, "disconnected");
  // As when the network goes: no word of Ably's protocol to anybody.
  const socket = client.connection.connectionManager.activeProtocol.getTransport().wsConnection;
  (socket.terminate ?? socket.close).call(socket);
  await gone;
  for (const one of ["2", "3", "4"]) await theirs.publish(one, null);
  await until(() => client.connection.state === "connected");
  await theirs.publish("5", null);
  await until(() => heard.includes("5"));
  const resumed = [client.connection.id === id, heard];
  await Promise.all([end(client), end(other)]);
  return resumed;
}

/** A connection that outlives its tokens, and the cut of its socket. */
export async function outlive({ connect, channel }) {
  return {
    renewed: await renewsInTime(connect),
    expired: await renewsAfterTheEnd(connect),
    resumed: await resumesAfterACut(connect, channel),
  };
}
