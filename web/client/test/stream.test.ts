// What the stream does for each behaviour of a server (the matrix of what clients do is in the ADR).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MillraceError } from '../src/index.ts'
import * as scenes from './scenes.ts'

const { bye, connected, ended, event, json, opened, refused, stream } = scenes
const OK = () => stream(connected('c1'))

test('a clean end: it comes back after retry, behind the last event', async () => {
  const first = ended('retry: 2000\n\n', connected(), event(1))
  const { clock, server, seen, states } = opened([first, stream(connected('c1'), event(2))])
  await clock.pass(1999)
  assert.equal(server.asked.length, 1)
  await clock.pass(1)

  assert.deepEqual(server.gaps, [2000])
  assert.deepEqual([server.asked[0]!.cursor, server.last.cursor], [null, 'c1'])
  assert.deepEqual(seen, [1, 2])
  assert.deepEqual(states, ['open', 'reconnecting', 'open'])
})

test('a clean end without retry: half a second on average', async () => {
  const { clock, server } = opened([ended(connected()), OK()])
  await clock.pass(500)

  assert.deepEqual(server.gaps, [500])
})

test('retry 0: no flood, since streams that bring nothing count as failures', async () => {
  const { clock, server } = opened([ended('retry: 0\n\n')])
  await clock.pass(60_000)

  assert.deepEqual(server.gaps.slice(0, 6), [500, 1000, 2000, 4000, 8000, 15_000])
  assert.ok(server.asked.length < 10)
})

test('a cut inside an event: the part is dropped, and its id does not count', async () => {
  const { clock, server, seen } = opened([stream(connected(), event(1)), stream(event(2))])
  await clock.pass(0)
  server.last.send(event(2).slice(0, -1))
  await clock.pass(0)
  server.last.cut()
  await clock.pass(500)

  assert.equal(server.last.cursor, 'c1')
  assert.deepEqual(seen, [1, 2])
})

test('bytes split anywhere, in the middle of a character too', async () => {
  const { clock, server, events } = opened([stream()])
  const texts: unknown[] = []
  events.on('*', ({ data }) => texts.push(data))
  const text = scenes.frame('tick', { ...scenes.eventOf(1), data: 'Zürich 🚆' }, 'c1')
  await clock.pass(0)
  for (const byte of new TextEncoder().encode(text)) server.last.sendBytes(Uint8Array.of(byte))
  await clock.pass(0)

  assert.deepEqual(texts, ['Zürich 🚆'])
})

test('204: it is over', async () => {
  const { clock, server, events } = opened([json(null, 204)])
  await clock.pass(60_000)

  assert.deepEqual(events.state, { status: 'closed', error: undefined })
  assert.equal(server.asked.length, 1)
})

for (const status of [400, 403, 404, 405, 406, 410, 422]) {
  test(`${status}: it closes, and says why`, async () => {
    const { clock, server, events } = opened([json({ code: 'x', title: 'No' }, status)])
    await clock.pass(60_000)

    const { state } = events
    assert.ok(state.status === 'closed' && state.error instanceof MillraceError)
    assert.deepEqual([state.error.status, state.error.problem.code], [status, 'x'])
    assert.equal(state.error.message, 'No')
    assert.equal(server.asked.length, 1)
  })
}

for (const status of [408, 425, 429, 500, 502, 503, 504]) {
  test(`${status}: it tries again, at first and on a reconnect`, async () => {
    const { clock, server, events } = opened([
      json({}, status),
      ended(connected()),
      json({}, status),
      OK(),
    ])
    await clock.pass(2000)

    assert.equal(server.asked.length, 4)
    assert.equal(events.state.status, 'open')
  })
}

test('Retry-After: not earlier', async () => {
  const { clock, server, events } = opened([json({}, 429, { 'retry-after': '30' }), OK()])
  await clock.pass(0)
  assert.ok(events.state.status === 'reconnecting')
  assert.equal(events.state.nextRetryAt, clock.now() + 30_000)
  await clock.pass(30_000)

  assert.deepEqual(server.gaps, [30_000])
})

test('an overloaded server: 200, retry and the end; not open, and the pauses grow', async () => {
  const { clock, server, states } = opened([ended('retry: 1358\n: overloaded\n\n')])
  await clock.pass(20_000)

  assert.deepEqual(server.gaps, [1358, 1358, 2000, 4000, 8000])
  assert.ok(!states.includes('open'))
})

test('refused connections: full jitter up to 30 s, without end', async () => {
  const { clock, server, events } = opened([refused])
  await clock.pass(600_000)

  assert.deepEqual(server.gaps.slice(0, 7), [500, 1000, 2000, 4000, 8000, 15_000, 15_000])
  assert.ok(server.asked.length > 40)
  assert.equal(events.state.status, 'reconnecting')
})

test('an answer of another type: it tries again, and says why', async () => {
  const { clock, events } = opened([() => new Response('<p>Sign in to this Wi-Fi</p>'), OK()])
  await clock.pass(0)
  assert.ok(events.state.status === 'reconnecting')
  assert.equal(events.state.error?.kind, 'not-a-stream')
  await clock.pass(500)

  assert.equal(events.state.status, 'open')
})

test('401: one try with a fresh token', async () => {
  const asked: boolean[] = []
  const getToken = ({ fresh }: { fresh: boolean }) => `t${asked.push(fresh)}`
  const { clock, server, events } = opened([json({}, 401), OK()], { getToken })
  await clock.pass(0)

  assert.deepEqual(asked, [false, true])
  assert.deepEqual(
    server.asked.map(({ token }) => token),
    ['t1', 't2'],
  )
  assert.equal(events.state.status, 'open')
})

test('401 for the fresh token too, or without any: it closes', async () => {
  for (const getToken of [() => 'old', undefined]) {
    const { clock, server, events } = opened([json({}, 401)], { getToken })
    await clock.pass(60_000)

    assert.equal(events.state.status, 'closed')
    assert.equal(server.asked.length, getToken ? 2 : 1)
  }
})

test('bye unauthorized: a fresh token comes with the next request', async () => {
  const asked: boolean[] = []
  const getToken = ({ fresh }: { fresh: boolean }) => `t${asked.push(fresh)}`
  const { clock } = opened([ended(connected(), bye('unauthorized')), OK()], { getToken })
  await clock.pass(1000)

  assert.deepEqual(asked, [false, true])
})

test('a token that cannot be had is asked for again', async () => {
  let calls = 0
  const getToken = () => (calls++ ? Promise.resolve('t') : Promise.reject(new Error('offline')))
  const { clock, server } = opened([OK()], { getToken })
  await clock.pass(500)

  assert.deepEqual([calls, server.last.token], [2, 't'])
})

test('the pauses start over with the first frame, not with the status line', async () => {
  const { clock, server } = opened([ended(), ended(), ended(connected()), OK()])
  await clock.pass(5000)

  assert.deepEqual(server.gaps, [500, 1000, 500])
})

test('silence: dead after three keep-alives, and asked again at once', async () => {
  const { clock, server, events } = opened([stream(connected()), OK()])
  await clock.pass(30_000)
  server.last.send(': keep-alive\n\n')
  await clock.pass(44_999)
  assert.equal(server.asked.length, 1)
  await clock.pass(1)

  assert.deepEqual(server.gaps, [75_000])
  assert.equal(server.asked[0]!.signal?.aborted, true)
  assert.equal(events.state.status, 'open')
})

test('a token that never comes does not hold it up', async () => {
  let calls = 0
  const getToken = () => (calls++ ? 't' : new Promise<string>(() => {}))
  const { clock, server } = opened([OK()], { getToken })
  await clock.pass(20_000)

  assert.equal(server.asked.length, 1)
})

test('events that come again are dropped', async () => {
  const again = stream(connected('c1'), event(1), event(2), event(1, 'public:u'))
  const { clock, seen } = opened([ended(connected(), event(1)), again])
  await clock.pass(500)

  assert.deepEqual(seen, [1, 2, 1])
})

test('ids are compared as numbers', async () => {
  const at = (id: string) => scenes.frame('tick', { ...scenes.eventOf(0), id, data: id })
  const { clock, seen } = opened([stream(...['9-9', '9-10', '9-2', '10-0', '9-11'].map(at))])
  await clock.pass(0)

  assert.deepEqual(seen, ['9-9', '9-10', '10-0'])
})

test('reset is handed on, and behind it the ids of a new log are taken', async () => {
  const data = { type: 'reset', topics: ['public:t'], reason: 'expired', refetch: '/' }
  const { clock, seen } = opened([stream(event(9), scenes.frame('reset', data, 'r'), event(1))])
  await clock.pass(0)

  assert.deepEqual(seen, [9, 'expired', 1])
})

test('a cursor that the server does not know is dropped, which is a reset', async () => {
  const refusal = json({ code: 'invalid-cursor' }, 400)
  const { clock, server, seen, storage } = opened([refusal, OK()], { cursor: 'old' })
  await clock.pass(0)

  assert.deepEqual(
    server.asked.map(({ cursor }) => cursor),
    ['old', null],
  )
  assert.deepEqual(seen, ['unknown'])
  assert.deepEqual([...storage.kept.values()], ['c1'])
})
