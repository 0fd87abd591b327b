// Requests with one answer: what is sent, sent again, and given up.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as client from '../src/index.ts'
import * as scenes from './scenes.ts'

const { json, refused } = scenes

function asked(...script: scenes.Answer[]) {
  const clock = new scenes.HandClock()
  const server = new scenes.ScriptedServer(clock, ...script)
  const api = { clock, fetch: server.fetch, random: () => 0.5 }
  return { clock, server, api }
}

const job = (version: number, more: object = {}) =>
  ({
    id: 'job_1',
    version,
    done: false,
    status: 'running',
    poll_after_ms: 500,
    ...more,
  }) as client.Job
const DONE = { done: true, status: 'succeeded', poll_after_ms: 0 }

test('publishing is repeated after temporary failures, under the same key', async () => {
  const { clock, server, api } = asked(
    refused,
    json({}, 503, { 'retry-after': '2' }),
    json({ id: '1-0' }, 201),
  )
  const published = client.publish(api, 'public:t', { type: 'tick', data: 1 })
  await clock.pass(5000)

  assert.equal(await published, '1-0')
  assert.equal(server.asked[0]!.url.pathname, '/api/events/public:t')
  assert.equal(new Set(server.asked.map((one) => one.headers.get('idempotency-key'))).size, 1)
  assert.deepEqual(server.gaps, [1000, 2000])
  assert.deepEqual(JSON.parse(String(server.last.sent)), { type: 'tick', data: 1 })
})

test('it gives up after three tries, and at once on what will not get better', async () => {
  for (const [status, tries] of [
    [503, 3],
    [422, 1],
  ] as const) {
    const { clock, server, api } = asked(json({ code: 'x', detail: 'why' }, status))
    const published = client
      .publish(api, 'public:t', { type: 'tick' })
      .catch((error: unknown) => error)
    await clock.pass(60_000)

    const error = await published
    assert.ok(error instanceof client.MillraceError)
    assert.deepEqual([error.status, error.problem.code, error.message], [status, 'x', 'why'])
    assert.equal(server.asked.length, tries)
  }
})

test('an expired token is renewed once', async () => {
  const { api, server } = asked(json({}, 401), json({ unread: 2 }))
  const getToken = ({ fresh }: { fresh: boolean }) => (fresh ? 'new' : 'old')

  assert.equal(await client.countUnread({ ...api, getToken }), 2)
  assert.deepEqual(
    server.asked.map(({ token }) => token),
    ['old', 'new'],
  )
})

test('the paths, queries and bodies of notifications, activity and jobs', async () => {
  const { api, server } = asked(json({}))
  const item = { topic: 'user:a:notifications', id: '1-0' } as client.Notification
  await client.listNotifications(api, { limit: '10' })
  await client.markRead(api, { ids: ['user:a:notifications/1-0'] })
  await client.removeNotification(api, item)
  await client.notify(api, { to: 'all', title: 'Hello' })
  await client.listActivity(api, 'workspace:1')
  await client.addActivity(api, 'public', { verb: 'made', object: { type: 'd', id: '1' } })
  await client.listJobs(api, { status: 'running' })
  await client.tellJob(api, 'job_1', 'cancel')

  assert.deepEqual(
    server.asked.map(({ method, url }) => `${method} ${url.pathname}${url.search}`),
    [
      'GET /api/notifications?limit=10',
      'POST /api/notifications/read',
      'DELETE /api/notifications/user:a:notifications/1-0',
      'POST /api/notifications',
      'GET /api/activity/workspace:1',
      'POST /api/activity/public',
      'GET /api/jobs?status=running',
      'POST /api/jobs/job_1/cancel',
    ],
  )
})

test('a job is polled when the server says, through failures, until it is done', async () => {
  const script = [
    json(job(1)),
    json({}, 503, { 'retry-after': '3' }),
    json(job(2)),
    json(job(3, DONE)),
  ]
  const { clock, server, api } = asked(...script)
  const seen: number[] = []
  const followed = client.followJob(api, 'job_1', { onChange: ({ version }) => seen.push(version) })
  await clock.pass(60_000)

  assert.equal((await followed).status, 'succeeded')
  assert.deepEqual(server.gaps, [500, 3000, 500])
  assert.deepEqual(seen, [1, 2, 3])
})

test('waiting: the version is named, and a 304 is asked again at once', async () => {
  const none = () => new Response(null, { status: 304 })
  const { clock, server, api } = asked(json(job(7)), none, json(job(8, DONE)))
  const followed = client.followJob(api, 'job_1', { via: 'wait' })
  await clock.pass(0)

  assert.equal((await followed).version, 8)
  assert.deepEqual(
    server.asked.map(({ url }) => url.search.slice(1)),
    ['', 'wait=20&after=7', 'wait=20&after=7'],
  )
})

test('a stream of a job ends with it', async () => {
  const states = [job(1), job(2, DONE)].map((one) => scenes.frame('job', one, String(one.version)))
  const { clock, server, api } = asked(scenes.stream(...states))
  const seen: number[] = []
  const followed = client.followJob(api, 'job_1', {
    via: 'stream',
    onChange: ({ version }) => seen.push(version),
  })
  await clock.pass(0)

  assert.equal((await followed).status, 'succeeded')
  assert.deepEqual(seen, [1, 2])
  assert.equal(server.last.url.pathname, '/api/jobs/job_1/events')
  assert.equal(server.last.signal?.aborted, true)
})

test('what cannot be followed is an error; what is no longer wanted ends', async () => {
  for (const via of ['poll', 'wait', 'stream'] as const) {
    const gone = asked(json({ code: 'job-expired' }, 410))
    const failed = client.followJob(gone.api, 'job_1', { via }).catch((error: unknown) => error)
    await gone.clock.pass(0)
    assert.equal(((await failed) as client.MillraceError).problem.code, 'job-expired')

    const answer = via === 'stream' ? scenes.stream(scenes.frame('job', job(1), '1')) : json(job(1))
    const { clock, api, server } = asked(answer, via === 'wait' ? scenes.silent : answer)
    const ending = new AbortController()
    const follow = { via, signal: ending.signal }
    const followed = client.followJob(api, 'job_1', follow).catch(() => 'ended')
    await clock.pass(100)
    ending.abort()
    await clock.pass(0)
    const count = server.asked.length
    assert.equal(await followed, 'ended')
    await clock.pass(10_000)
    assert.equal(server.asked.length, count)
  }
})

test('an import touches nothing of a browser, and so does what is made without one', async () => {
  for (const name of ['document', 'sessionStorage', 'BroadcastChannel', 'navigator'] as const) {
    Object.defineProperty(globalThis, name, {
      value: undefined,
      configurable: true,
      writable: true,
    })
  }
  const { clock, server } = asked(scenes.stream(scenes.connected()))
  const alone = new client.SharedStream('/api/events', { user: 'a', clock, fetch: server.fetch })
  alone.watch(['public:t'], {})
  await clock.pass(100)

  assert.equal(alone.state.status, 'open')
  alone.close()
})
