// Several tabs of one origin, and a server that they read.
import { sessionKeeper, SharedStream, type SharedOptions } from '../src/index.ts'
import { LogServer } from './log-server.ts'
import { tabsOfOneOrigin } from './origin.ts'
import * as scenes from './scenes.ts'

/** A browser; each tab has a storage and a page of its own. */
export function browser() {
  const clock = new scenes.HandClock()
  const server = new LogServer(clock)
  const origin = tabsOfOneOrigin()
  let count = 0
  const tab = (
    topics: string[],
    options: Partial<SharedOptions> = {},
    storage = new scenes.MemoryStorage(),
  ) => {
    const id = ++count
    const { page, say } = scenes.handPage()
    const keeper = sessionKeeper('cursor', storage)
    let isDead = false
    const events = new SharedStream<{ tick: number }>('/api/events', {
      ...{ user: 'alice', clock, page, keeper, random: () => id / 1000 },
      ...{ locks: origin.locks(id), channel: origin.channel(id) },
      fetch: (...request) => (isDead ? new Promise(() => {}) : server.fetch(...request)),
      ...options,
    })
    const seen: unknown[] = []
    const end = events.watch(topics, {
      tick: ({ data }) => seen.push(data),
      reset: ({ reason }) => seen.push(reason),
    })
    const kill = () => {
      isDead = true
      origin.kill(id)
      events.close()
    }
    const deafen = (isDeaf: boolean) => origin.deafen(id, isDeaf)
    return { events, seen, say, storage, end, kill, deafen }
  }
  return { clock, server, tab }
}
