// A connection that outlives its tokens, and the cut of its socket.
import { CHANNEL, realtime, report } from "./chat-client.mjs";
import { outlive } from "./chat-scenes.mjs";

report(await outlive({ connect: realtime, channel: CHANNEL }));
