// What the stream does as its page changes: hidden, asleep, loaded again, closed; and on hosts that buffer.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sessionKeeper } from '../src/index.ts'
import * as scenes from './scenes.ts'

const { bye, connected, ended, event, json, opened, refused, silent, stream } = scenes
const OK = () => stream(connected('c1'))
const EMPTY = { events: [], cursor: 'p', reset: null, poll_after_ms: 500 }

test('hidden for a minute: it is paused; shown again, it asks at once with a fresh token', async () => {
  const asked: boolean[] = []
  const getToken = ({ fresh }: { fresh: boolean }) => `t${asked.push(fresh)}`
  const { clock, server, events, say } = opened([stream(connected('c1'))], {
    getToken,
    stallMs: 1e6,
  })
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
  const { clock, server, events, seen, states } = opened(
    [window(1), window(2), page(3), page(4), OK()],
    {
      pollMs: 2000,
    },
  )
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
  assert.equal(
    server.asked[0]!.url.searchParams.get('conn'),
    server.last.url.searchParams.get('conn'),
  )
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
