// A connection until it ends for good; says so when it stands.
import { CHANNEL, cause, realtime, report, state } from "./chat-client.mjs";

const client = realtime();
const failed = state(client.connection, "failed");
await client.channels.get(CHANNEL).attach();
// Whoever started this bans us once we are in the presence of the room.
await client.channels.get(CHANNEL).presence.enter();
const reason = await failed;
report({ code: reason.code, cause: cause(reason), state: client.connection.state });
