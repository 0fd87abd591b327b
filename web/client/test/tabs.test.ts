// Several tabs of one browser, and the leader that reads for all of them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { browser } from './browser.ts'

test('six tabs: one connection, and each sees what it watches', async () => {
  const { clock, server, tab } = browser()
  const tabs = ['a', 'b', 'a', 'c', 'b', 'a'].map((topic) => tab([topic]))
  await clock.pass(200)
  server.publish('a', 'b', 'c', 'd')
  await clock.pass(0)

  assert.deepEqual(
    server.streams.map(({ topics }) => topics),
    [['a', 'b', 'c']],
  )
  assert.deepEqual(
    tabs.map(({ seen }) => seen),
    [[1], [2], [1], [3], [2], [1]],
  )
  assert.ok(tabs.every(({ events }) => events.state.status === 'open'))
  assert.equal(server.polls.length, 0)
})

test('a killed leader: the next goes on behind what it has seen, nothing lost and nothing twice', async () => {
  const { clock, server, tab } = browser()
  const [first, second, third] = [tab(['a']), tab(['a']), tab(['b', 'a'])]
  await clock.pass(200)
  server.publish('a', 'b')
  await clock.pass(0)
  first.kill()
  server.publish('a', 'b')
  await clock.pass(100)
  server.publish('a', 'b')
  await clock.pass(0)

  assert.deepEqual(
    [second.seen, third.seen],
    [
      [1, 3, 5],
      [1, 2, 3, 4, 5, 6],
    ],
  )
  assert.deepEqual(
    server.streams.map(({ topics }) => topics),
    [['a', 'b']],
  )
})

test('the last message of a killed leader may come to some only', async () => {
  const { clock, server, tab } = browser()
  const [first, second, third] = [tab(['a']), tab(['a']), tab(['a'])]
  await clock.pass(200)
  second.deafen(true)
  server.publish('a')
  await clock.pass(0)
  assert.deepEqual([second.seen, third.seen], [[], [1]])
  first.kill()
  second.deafen(false)
  await clock.pass(100)
  server.publish('a')
  await clock.pass(1000)

  assert.deepEqual(
    [second.seen, third.seen],
    [
      [1, 2],
      [1, 2],
    ],
  )
})

test('a tab that missed messages asks the server for what was in them', async () => {
  const { clock, server, tab } = browser()
  const [, second] = [tab(['a']), tab(['a'])]
  await clock.pass(200)
  server.publish('a')
  await clock.pass(0)
  second.deafen(true)
  server.publish('a', 'a')
  await clock.pass(0)
  second.deafen(false)
  server.publish('a')
  await clock.pass(2000)
  server.publish('a')
  await clock.pass(0)

  assert.deepEqual(second.seen, [1, 2, 3, 4, 5])
  assert.equal(server.polls[0]!.cursor, '{"a":1}')
})

test('a tab that is loaded again has what came meanwhile, while another leads', async () => {
  const { clock, server, tab } = browser()
  const [, second] = [tab(['a']), tab(['a', 'b'])]
  await clock.pass(200)
  server.publish('a', 'b')
  await clock.pass(0)
  second.kill()
  server.publish('a', 'b')
  await clock.pass(0)
  const again = tab(['a', 'b'], {}, second.storage)
  await clock.pass(2000)
  server.publish('b')
  await clock.pass(0)

  assert.deepEqual(
    [second.seen, again.seen],
    [
      [1, 2],
      [3, 4, 5],
    ],
  )
})

test('the only tab that is loaded again goes on after its cursor', async () => {
  const { clock, server, tab } = browser()
  const before = tab(['a'])
  await clock.pass(200)
  server.publish('a')
  await clock.pass(0)
  before.kill()
  server.publish('a')
  const again = tab(['a'], {}, before.storage)
  await clock.pass(100)

  assert.deepEqual(again.seen, [2])
})

test('watchers come and go: one reconnect for those that come together, none for those that go', async () => {
  const { clock, server, tab } = browser()
  const { events, seen, end } = tab(['a'])
  await clock.pass(100)
  const ends = ['b', 'c', 'b'].map((topic) => events.watch([topic], {}))
  await clock.pass(100)
  assert.deepEqual(
    server.asked.map(({ topics }) => topics),
    [['a'], ['a', 'b', 'c']],
  )
  for (const one of [...ends, end, end]) one()
  server.publish('a')
  await clock.pass(0)
  assert.deepEqual([seen, events.topics], [[], []])
  await clock.pass(100)
  assert.equal(server.streams.length, 0)
  assert.equal(events.state.status, 'paused')
  events.watch(['a'], { tick: ({ data }) => seen.push(data) })
  await clock.pass(100)
  server.publish('a')
  await clock.pass(0)

  assert.deepEqual(seen, [2])
})

test('a watcher that is replaced at once costs nothing', async () => {
  const { clock, server, tab } = browser()
  const { events, end } = tab(['a'])
  await clock.pass(100)
  end()
  events.watch(['a'], {})
  await clock.pass(100)

  assert.equal(server.asked.length, 1)
})

test('it is silent when all tabs have been hidden for a minute, and not before', async () => {
  const { clock, server, tab } = browser()
  const tabs = [tab(['a'], { stallMs: 1e6 }), tab(['a'], { stallMs: 1e6 })]
  await clock.pass(200)
  tabs[0]!.say('hidden')
  await clock.pass(100_000)
  assert.equal(server.streams.length, 1)
  tabs[1]!.say('hidden')
  await clock.pass(100_000)
  assert.equal(server.streams.length, 0)
  assert.deepEqual(
    tabs.map(({ events }) => events.state.status),
    ['paused', 'paused'],
  )
  server.publish('a')
  tabs[1]!.say('visible')
  await clock.pass(100)

  assert.deepEqual(
    tabs.map(({ seen }) => seen),
    [[1], [1]],
  )
})

test('what one may not read does not take the others their events', async () => {
  const { clock, server, tab } = browser()
  server.forbid('secret')
  const [first, second] = [tab(['a']), tab(['b'])]
  await clock.pass(200)
  server.publish('b')
  const third = tab(['secret'])
  await clock.pass(200)
  server.publish('a', 'b')
  await clock.pass(0)

  assert.deepEqual([first.seen, second.seen], [[2], [1, 3]])
  const { state } = third.events
  assert.ok(state.status === 'closed' && state.error?.status === 403)
  assert.equal(server.streams.length, 2)
  first.say('hidden')
  await clock.pass(100_000)
  assert.equal(first.events.state.status, 'paused')
})

test('without Web Locks each tab has its own connection', async () => {
  const { clock, server, tab } = browser()
  const none = { locks: null as never }
  const tabs = [tab(['a'], none), tab(['a'], none)]
  await clock.pass(100)
  server.publish('a')
  await clock.pass(0)

  assert.equal(server.streams.length, 2)
  assert.deepEqual(
    tabs.map(({ seen }) => seen),
    [[1], [1]],
  )
})

test('a leader that closes hands over; it may come back', async () => {
  const { clock, server, tab } = browser()
  const [first, second] = [tab(['a']), tab(['a'])]
  await clock.pass(200)
  first.events.close()
  await clock.pass(100)
  server.publish('a')
  await clock.pass(0)
  assert.deepEqual([first.seen, second.seen], [[], [1]])
  assert.equal(first.events.state.status, 'closed')
  first.events.reconnect()
  await clock.pass(2000)
  server.publish('a')
  await clock.pass(0)

  assert.deepEqual(
    [first.seen, second.seen],
    [
      [1, 2],
      [1, 2],
    ],
  )
  assert.equal(server.streams.length, 1)
})

test('all tabs know how the connection is', async () => {
  const { clock, server, tab } = browser()
  const tabs = [tab(['a']), tab(['a'])]
  await clock.pass(200)
  server.isDown = true
  server.streams[0]!.cut()
  await clock.pass(100)
  for (const { events } of tabs) {
    assert.ok(events.state.status === 'reconnecting')
    assert.equal(events.state.error?.kind, 'network')
  }
  server.isDown = false
  tabs[1]!.events.reconnect()
  await clock.pass(0)

  assert.deepEqual(
    tabs.map(({ events }) => events.state.status),
    ['open', 'open'],
  )
})
