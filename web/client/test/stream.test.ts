import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EventStream, type StreamOptions } from '../src/index.ts'
import * as scenes from './scenes.ts'

const { bye, connected, ended, event, HandClock, json, refused, ScriptedServer, stream } = scenes

function opened(script: ConstructorParameters<typeof ScriptedServer>[1][], options: StreamOptions = {}) {
  const clock = new HandClock()
  const server = new ScriptedServer(clock, ...script)
  const { page, say } = scenes.handPage()
  const storage = new scenes.MemoryStorage()
  const { fetch } = server
  const events = new EventStream<{ tick: number }>('/api/events', {
    ...{ topics: ['public:t'], clock, fetch, page, storage, random: () => 0.5 },
    ...options,
  })
  const seen: unknown[] = []
  events.on('tick', ({ data }) => seen.push(data))
  events.on('reset', ({ reason }) => seen.push(reason))
  const states: string[] = []
  events.subscribe(() => states.push(events.state.status))
  return { clock, server, events, seen, states, say, storage }
}

test('a clean end: it comes back after retry, behind the last event', async () => {
  const scene = opened([ended('retry: 2000\n\n', connected(), event(1)), stream(connected('c1'), event(2))])
  await scene.clock.pass(1999)
  assert.equal(scene.server.asked.length, 1)
  await scene.clock.pass(1)
  assert.deepEqual(scene.server.gaps, [2000])
  assert.equal(scene.server.last.cursor, 'c1')
  assert.deepEqual(scene.seen, [1, 2])
  assert.deepEqual(scene.states, ['open', 'reconnecting', 'open'])
})
void bye, json, refused
