// A connection that outlives its tokens, and the cut of its socket.
import { CHANNEL, close, realtime, report, state, until } from "./chat-client.mjs";

const results = {};
const changed = (client) => new Promise((done) => client.connection.once((change) => done(change.current)));

{
  // Ably asks for another token thirty seconds before the end.
  const client = realtime({ defaultTokenParams: { ttl: 33_000 } });
  await state(client.connection, "connected");
  const before = client.auth.tokenDetails.token;
  results.renewed = [await changed(client), client.auth.tokenDetails.token !== before];
  await close(client);
}
{
  const client = realtime({ defaultTokenParams: { ttl: 2_000 } });
  const ended = state(client.connection, "disconnected");
  await state(client.connection, "connected");
  const id = client.connection.id;
  results.expired = [(await ended).code];
  await state(client.connection, "connected");
  results.expired.push(client.connection.id === id);
  await close(client);
}
{
  const [client, other] = [realtime(), realtime({ useBinaryProtocol: false })];
  const [channel, theirs] = [client, other].map((one) => one.channels.get(CHANNEL));
  const heard = [];
  await channel.subscribe((message) => heard.push(message.name));
  await theirs.publish("1", null);
  await until(() => heard.length === 1);
  const id = client.connection.id;
  const gone = state(client.connection, "disconnected");
  // As when the network goes: no word to anybody.
  client.connection.connectionManager.activeProtocol.getTransport().wsConnection.terminate();
  await gone;
  for (const name of ["2", "3", "4"]) await theirs.publish(name, null);
  await until(() => client.connection.state === "connected");
  await theirs.publish("5", null);
  await until(() => heard.includes("5"));
  results.resumed = [client.connection.id === id, heard];
  await close(client, other);
}
report(results);
