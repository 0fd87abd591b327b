// Random schedules of tabs that come, are killed or hear nothing, and of a server that breaks off.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { browser } from './browser.ts'

const SCHEDULES = 150
const STEPS = 14
const TOPICS = ['a', 'b', 'c']

/** A repeatable series of numbers from 0 up to 1. */
function chance(seed: number): () => number {
  let state = seed * 2654435761
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 2246822519) + 374761393) >>> 0
    return state / 2 ** 32
  }
}

test('every tab has every event of its topics once, in order, however it goes', async () => {
  for (let seed = 1; seed <= SCHEDULES; seed += 1) {
    const random = chance(seed)
    const one = <T>(all: readonly T[]) => all[Math.floor(random() * all.length)]!
    const { clock, server, tab } = browser()
    // Since which event a tab reads a topic for sure.
    const tabs = new Map<ReturnType<typeof tab>, Map<string, number>>()
    let published: string[] = []
    const publish = (...topics: string[]) => {
      server.publish(...topics)
      published = [...published, ...topics]
    }
    const open = async (storage = undefined as Parameters<typeof tab>[2]) => {
      const topics = TOPICS.filter(() => random() < 0.5)
      const opened = tab(topics.length ? topics : ['a'], { stallMs: 1e9 }, storage)
      await clock.pass(2000)
      tabs.set(opened, new Map(opened.events.topics.map((topic) => [topic, published.length])))
    }
    const steps: (() => Promise<void> | void)[] = [
      () => publish(one(TOPICS)),
      () => publish(one(TOPICS), one(TOPICS)),
      () => clock.pass(random() * 100),
      () => clock.pass(random() * 3000),
      () => server.streams[0]?.cut(),
      () => server.streams[0]?.end(),
      () => open(),
      () => {
        const [killed] = [...tabs.keys()]
        if (killed && tabs.size > 1) {
          killed.kill()
          tabs.delete(killed)
        }
      },
      () => {
        if (tabs.size) one([...tabs.keys()]).deafen(true)
      },
      async () => {
        if (!tabs.size) return
        const [watching, since] = one([...tabs])
        const topic = one(TOPICS)
        if (since.has(topic)) return
        watching.deafen(false)
        watching.events.watch([topic], { tick: ({ data }) => watching.seen.push(data) })
        await clock.pass(2000)
        since.set(topic, published.length)
      },
      () => {
        for (const deaf of tabs.keys()) deaf.deafen(false)
      },
    ]
    await open()
    for (let step = 0; step < STEPS; step += 1) await one(steps)()
    for (const deaf of tabs.keys()) deaf.deafen(false)
    await clock.pass(5000)
    publish(...TOPICS)
    await clock.pass(60_000)

    for (const [{ seen }, since] of tabs) {
      for (const [topic, from] of since) {
        const isIts = (n: number) => published[n - 1] === topic
        const wanted = published.flatMap((_, at) => (at >= from && isIts(at + 1) ? [at + 1] : []))
        const known = (seen as number[]).filter(isIts)
        // It may also have what was published before it was there for sure.
        assert.deepEqual(known.slice(-wanted.length), wanted, `schedule ${seed}`)
        assert.deepEqual(
          known,
          [...new Set(known)].sort((x, y) => x - y),
          `schedule ${seed}`,
        )
      }
    }
    for (const { events } of tabs.keys()) events.close()
  }
})
