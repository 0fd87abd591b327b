// The vendor's client, unmodified: commands, a pipeline, a transaction, a script, an error.
import { Redis } from "@upstash/redis";

const redis = new Redis({ url: process.env.URL_, token: process.env.TOKEN, retry: false });
const results = {};

results.set = await redis.set("text", "grüße 😀");
results.get = await redis.get("text");
await redis.set("object", { a: [1, "2", null] });
results.object = await redis.get("object");
results.missing = await redis.get("nothing here");
results.hash = (await redis.hset("hash", { f: 1 }), await redis.hgetall("hash"));
results.id = await redis.xadd("stream", "1-1", { field: "value" });
results.range = await redis.xrange("stream", "-", "+");
results.read = await redis.xread("stream", "0-0");
results.pipeline = await redis.pipeline().set("n", 1).incr("n").get("n").exec();
results.multi = await redis.multi().set("m", 1).incrby("m", 4).exec();
results.script = await redis.eval("return {KEYS[1], ARGV[1]}", ["k"], ["v"]);
results.auto = await redis.autoPipeline().incr("n");
try {
  await redis.lpush("text", "x");
} catch (error) {
  results.error = error.message;
}
console.log(JSON.stringify(results));
