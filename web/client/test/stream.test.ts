// What the stream does for each behaviour of a server (the matrix of what clients do is in the ADR).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MillraceError, sessionKeeper } from '../src/index.ts'
import * as scenes from './scenes.ts'

const { bye, connected, ended, event, json, opened, refused, silent, stream } = scenes
const OK = () => stream(connected('c1'))
const EMPTY = { events: [], cursor: 'p', reset: null, poll_after_ms: 500 }

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
    const { clock, server, events } = opened([json({}, status), ended(connected()), json({}, status), OK()])
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
  assert.deepEqual(server.asked.map(({ token }) => token), ['t1', 't2'])
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

  assert.deepEqual(server.asked.map(({ cursor }) => cursor), ['old', null])
  assert.deepEqual(seen, ['unknown'])
  assert.deepEqual([...storage.kept.values()], ['c1'])
})

test('hidden for a minute: it is paused; shown again, it asks at once with a fresh token', async () => {
  const asked: boolean[] = []
  const getToken = ({ fresh }: { fresh: boolean }) => `t${asked.push(fresh)}`
  const { clock, server, events, say } = opened([stream(connected('c1'))], { getToken, stallMs: 1e6 })
  await clock.pass(0)
  say('hidden')
  await clock.pass(59_999)
  assert.equal(server.asked[0]!.signal?.aborted, false)
  await clock.pass(100_000)
  assert.equal(events.state.status, 'paused')
  assert.equal(server.asked[0]!.signal?.aborted, true)
  say('visible')
  await clock.pass(0)

  assert.equal(server.asked.length, 2)
  assert.equal(server.last.cursor, 'c1')
  assert.deepEqual(asked, [false, true])
  assert.equal(events.state.status, 'open')
})

test('hidden for less than a minute: nothing happens', async () => {
  const { clock, server, say } = opened([OK()], { stallMs: 1e6 })
  await clock.pass(0)
  say('hidden')
  await clock.pass(50_000)
  say('visible')
  await clock.pass(50_000)

  assert.equal(server.asked.length, 1)
})

test('the machine wakes: the first request has a fresh token, whatever tells of it', async () => {
  for (const wake of ['visible', 'online', 'cut'] as const) {
    const asked: boolean[] = []
    const getToken = ({ fresh }: { fresh: boolean }) => `t${asked.push(fresh)}`
    const { clock, server, say } = opened([stream(connected()), OK()], { getToken })
    await clock.pass(0)
    clock.sleep(3_600_000)
    if (wake === 'cut') server.last.cut()
    else say(wake)
    await clock.pass(500)

    assert.deepEqual([wake, asked], [wake, [false, true]])
  }
})

test('online: no pause is waited for', async () => {
  const { clock, server, say } = opened([json({}, 503, { 'retry-after': '600' }), OK()])
  await clock.pass(10)
  say('online')
  await clock.pass(0)

  assert.deepEqual(server.gaps, [10])
})

test('a reload goes on after the cursor that the session keeps', async () => {
  const { storage, clock } = opened([stream(connected(), event(7))])
  await clock.pass(0)
  const { server, clock: next } = opened([OK()], { keeper: sessionKeeper('cursor', storage) })
  await next.pass(0)

  assert.equal(server.last.cursor, 'c7')
})

test('a storage that refuses costs the cursor of a reload, and nothing else', async () => {
  const no = () => {
    throw new DOMException('full', 'QuotaExceededError')
  }
  const { clock, seen } = opened([stream(event(1), event(2))], {
    keeper: sessionKeeper('cursor', { getItem: no, setItem: no }),
  })
  await clock.pass(0)

  assert.deepEqual(seen, [1, 2])
})

test('two buffered windows: JSON polls as the server says, and a stream again later', async () => {
  const window = (n: number) => ended(connected(`c${n}`), event(n), bye('deadline'))
  const page = (n: number) => json({ ...EMPTY, events: [scenes.eventOf(n)], cursor: `c${n}` })
  const { clock, server, events, seen, states } = opened([window(1), window(2), page(3), page(4), OK()], {
    pollMs: 2000,
  })
  await clock.pass(2500)
  const [, , poll, next] = server.asked
  assert.deepEqual(server.asked.map((one) => one.headers.get('accept')).slice(1, 3), [
    'text/event-stream',
    'application/json',
  ])
  assert.deepEqual([poll!.cursor, next!.cursor], ['c2', 'c3'])
  assert.deepEqual(events.state, { status: 'open', via: 'poll' })
  await clock.pass(500)

  assert.deepEqual(server.gaps, [1000, 1000, 500, 500])
  assert.equal(server.last.headers.get('accept'), 'text/event-stream')
  assert.equal(server.last.cursor, 'c4')
  assert.deepEqual(seen, [1, 2, 3, 4])
  assert.deepEqual(events.state, { status: 'open', via: 'stream' })
  assert.deepEqual(states, ['open', 'reconnecting', 'open', 'reconnecting', 'open', 'open'])
})

test('one window after the polls is enough to poll on', async () => {
  const window = ended(connected(), bye('deadline'))
  const script = [window, window, json({ ...EMPTY, poll_after_ms: 3000 }), window, json(EMPTY)]
  const { clock, server } = opened(script, { pollMs: 2000 })
  await clock.pass(10_000)

  assert.equal(server.asked[4]!.headers.get('accept'), 'application/json')
})

test('a proxy that holds streams back: polls after two silences', async () => {
  const { clock, server, events } = opened([silent, silent, json(EMPTY)])
  await clock.pass(40_000)

  assert.deepEqual(server.gaps, [20_000, 20_000])
  assert.deepEqual(events.state, { status: 'open', via: 'poll' })
})

test('a poll that fails leads back to streams', async () => {
  const window = ended(connected(), bye('deadline'))
  const { clock, server } = opened([window, window, json({}, 503), OK()])
  await clock.pass(5000)

  assert.equal(server.asked[3]!.headers.get('accept'), 'text/event-stream')
})

test('a page of a poll may tell of a gap, and more may be waiting', async () => {
  const gap = { topics: ['public:t'], reason: 'trimmed', refetch: '/' }
  const first = json({ ...EMPTY, reset: [gap], events: [scenes.eventOf(5)], poll_after_ms: 0 })
  const { clock, server, seen } = opened([first, json(EMPTY)], { isPolling: true })
  await clock.pass(0)

  assert.deepEqual(seen, ['trimmed', 5])
  assert.equal(server.asked.length, 2)
})

test('topics change: those that were read go on by the same cursor, and it stays open', async () => {
  const { clock, server, events, states } = opened([stream(connected(), event(1)), OK()])
  await clock.pass(0)
  events.setTopics(['public:t', 'public:u'])
  await clock.pass(0)

  assert.deepEqual(server.last.topics, ['public:t', 'public:u'])
  assert.equal(server.last.cursor, 'c1')
  assert.deepEqual(states, ['open'])
  assert.equal(server.asked[0]!.url.searchParams.get('conn'), server.last.url.searchParams.get('conn'))
})

test('a handler that throws is reported, and stops neither others nor the stream', async (t) => {
  const reported = t.mock.method(globalThis, 'queueMicrotask', () => {})
  const { clock, events, seen } = opened([stream(event(1), event(2))])
  const end = events.on('tick', () => {
    end()
    throw new Error('of the page')
  })
  await clock.pass(0)

  assert.throws(reported.mock.calls[0]?.arguments[0] as () => void, /of the page/)
  assert.deepEqual(seen, [1, 2])
})

test('close, also by a handler or a listener: nothing more is delivered, asked or waited for', async () => {
  const { clock, server, events, seen } = opened([stream(event(1), event(2))])
  events.on('tick', () => events.close())
  await clock.pass(60_000)
  assert.deepEqual(seen, [1])
  assert.deepEqual([server.asked.length, clock.waiting], [1, 0])

  const failing = opened([refused])
  failing.events.subscribe(() => {
    if (failing.events.state.status === 'reconnecting') failing.events.close()
  })
  await failing.clock.pass(60_000)
  assert.deepEqual([failing.server.asked.length, failing.clock.waiting], [1, 0])
})

test('reconnect opens what has closed, behind the last event, once', async () => {
  const { clock, server, events } = opened([stream(event(1)), OK()])
  await clock.pass(0)
  events.close()
  events.reconnect()
  await clock.pass(0)
  assert.equal(events.state.status, 'open')
  events.close()
  await clock.pass(0)
  events.reconnect()
  await clock.pass(0)

  assert.equal(server.asked.length, 3)
  assert.equal(server.asked[1]!.cursor, 'c1')
  assert.equal(events.state.status, 'open')
})
