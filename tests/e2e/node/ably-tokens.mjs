// Tokens of a running connection: renewed in time, after expiry, after revocation, and refused.
import { createHmac } from "node:crypto";
import * as Ably from "ably";
import { close, code, control, realtime, report, rest, state, tokens } from "./ably-client.mjs";

const capability = { "room:*": ["publish", "subscribe"] };
const results = {};
const cause = (reason) => (reason.cause ?? reason).code;
const changed = (client) => new Promise((done) => client.connection.once((change) => done(change)));
const hold = async (params, options) => {
  const client = realtime(params, options);
  const states = ["connected", "disconnected", "failed"];
  const reason = await Promise.race(states.map((one) => state(client.connection, one)));
  return { client, reason };
};

{
  const { client } = await hold({ clientId: "alice", capability, ttl: 60_000 });
  const before = client.auth.tokenDetails.token;
  const change = changed(client);
  await control("PUT", "clock", { offset_ms: 31_000 });
  const { previous, current } = await change;
  results.prompted = [previous, current];
  results.renewed = client.auth.tokenDetails.token !== before;
  const leap = state(client.connection, "disconnected");
  await control("PUT", "clock", { offset_ms: 95_000 });
  results.expired = (await leap)?.code;
  await state(client.connection, "connected");
  await control("PUT", "clock", { offset_ms: 0 });
  await close(client);
}
for (const [name, act] of [
  ["forcedExpiry", () => control("POST", "expire")],
  ["revoked", () => rest.request("POST", `/keys/${process.env.KEY.split(":")[0]}/revokeTokens`, 3, null, { targets: ["clientId:alice"] })],
]) {
  const { client } = await hold({ clientId: "alice", capability });
  const id = client.connection.id;
  const cut = state(client.connection, "disconnected");
  await act();
  results[name] = [(await cut).code];
  await state(client.connection, "connected");
  results[name].push(client.connection.id === id);
  await close(client);
}
{
  const allowed = { ...capability };
  const { client } = await hold({ clientId: "alice", capability: allowed });
  const before = await code(client.channels.get("club").attach());
  allowed.club = ["subscribe"];
  await client.auth.authorize();
  await client.channels.get("club").attach();
  results.upgraded = [before, client.channels.get("club").state];
  const bob = { authCallback: tokens({ clientId: "bob", capability }) };
  results.otherClient = await code(client.auth.authorize(null, bob));
  results.afterOtherClient = client.connection.state;
}
{
  const sign = (params) => new Promise((done, fail) => tokens(params)(null, (e, r) => (e ? fail(e) : done(r))));
  const request = await sign({ clientId: "alice", capability });
  await rest.auth.requestToken(null, { authCallback: (_, done) => done(null, request) });
  const replayed = { authCallback: (_, done) => done(null, request) };
  results.replayed = cause((await hold({}, replayed)).reason);
  const tampered = { ...(await sign({ clientId: "alice", capability })), clientId: "root" };
  const forged = { authCallback: (_, done) => done(null, tampered) };
  results.tampered = cause((await hold({}, forged)).reason);
}
{
  const [kid, secret] = process.env.KEY.split(":");
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const now = Math.floor(Date.now() / 1000);
  const head = part({ alg: "HS256", typ: "JWT", kid });
  const body = part({ iat: now, exp: now + 600, "x-ably-clientId": "jo", "x-ably-capability": JSON.stringify(capability) });
  const jwt = `${head}.${body}.${createHmac("sha256", secret).update(`${head}.${body}`).digest("base64url")}`;
  const { client } = await hold({}, { authCallback: (_, done) => done(null, jwt) });
  results.jwt = client.auth.clientId;
  await close(client);
}
report(results);
