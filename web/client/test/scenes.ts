// A clock that is moved by hand, a server that follows a script, and a page that does as told.
import { EventStream, sessionKeeper } from '../src/index.ts'
import type { Clock, PageSignals, PageSignal, StreamOptions } from '../src/index.ts'

/** Let everything that is ready run, the reading of streams included. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

/** Time passes only by `pass` and `sleep`. */
export class HandClock implements Clock {
  #now = 1_800_000_000_000
  #timers: { at: number; work: () => void }[] = []

  now(): number {
    return this.#now
  }

  after(ms: number, work: () => void): () => void {
    const timer = { at: this.#now + ms, work }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((one) => one !== timer)
    }
  }

  /** The timers fire in their order, and what they cause happens in between. */
  async pass(ms: number): Promise<void> {
    const end = this.#now + ms
    await settled()
    for (;;) {
      const next = this.#timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0]
      if (!next) break
      this.#timers = this.#timers.filter((one) => one !== next)
      this.#now = Math.max(this.#now, next.at)
      next.work()
      await settled()
    }
    this.#now = Math.max(this.#now, end)
    await settled()
  }

  /** The machine sleeps: the time goes on, and no timer comes nearer. */
  sleep(ms: number): void {
    this.#now += ms
    for (const timer of this.#timers) timer.at += ms
  }

  get waiting(): number {
    return this.#timers.length
  }
}

/** One request of the client, and the body of its answer if that is a stream. */
export class Asked {
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined

  constructor(
    readonly url: URL,
    readonly headers: Headers,
    readonly at: number,
    readonly signal: AbortSignal | undefined,
    readonly method = 'GET',
    readonly sent?: unknown,
  ) {}

  get topics(): string[] {
    return this.url.searchParams.getAll('topic')
  }

  get cursor(): string | null {
    return this.url.searchParams.get('lastEventId')
  }

  get token(): string | undefined {
    return this.headers.get('authorization')?.replace('Bearer ', '')
  }

  get isStream(): boolean {
    return this.#controller !== undefined
  }

  body(): ReadableStream<Uint8Array> {
    return new ReadableStream({
      start: (controller) => {
        this.#controller = controller
        this.signal?.addEventListener('abort', () => this.#controller?.error(this.signal?.reason))
      },
    })
  }

  send(...frames: string[]): this {
    this.#controller?.enqueue(new TextEncoder().encode(frames.join('')))
    return this
  }

  sendBytes(bytes: Uint8Array): void {
    this.#controller?.enqueue(bytes)
  }

  /** A clean end. */
  end(): void {
    this.#controller?.close()
    this.#controller = undefined
  }

  /** The connection breaks. */
  cut(): void {
    this.#controller?.error(new TypeError('network error'))
    this.#controller = undefined
  }
}

export type Answer = (asked: Asked) => Response | Promise<Response>

/** Answers the requests in turn by `script`; the last answer serves all that follow. */
export class ScriptedServer {
  readonly asked: Asked[] = []
  readonly fetch: typeof fetch

  constructor(clock: Clock, ...script: Answer[]) {
    this.fetch = async (input, init) => {
      const url = new URL(String(input), 'http://server')
      const { headers, signal, method, body } = init ?? {}
      const asked = new Asked(
        url,
        new Headers(headers),
        clock.now(),
        signal ?? undefined,
        method,
        body,
      )
      const answer = script[Math.min(this.asked.length, script.length - 1)]
      this.asked.push(asked)
      const refused = new Promise<never>((_, reject) => {
        init?.signal?.addEventListener('abort', () => reject(init.signal?.reason))
      })
      refused.catch(() => {})
      return Promise.race([answer!(asked), refused])
    }
  }

  get last(): Asked {
    return this.asked.at(-1)!
  }

  /** The pauses between the requests. */
  get gaps(): number[] {
    return this.asked.slice(1).map((one, n) => one.at - this.asked[n]!.at)
  }
}

/** An open stream that has said `frames` so far. */
export const stream =
  (...frames: string[]): Answer =>
  (asked) => {
    const response = new Response(asked.body(), {
      headers: { 'content-type': 'text/event-stream' },
    })
    asked.send(...frames)
    return response
  }

/** A stream that ends behind `frames`. */
export const ended =
  (...frames: string[]): Answer =>
  (asked) => {
    const response = stream(...frames)(asked)
    asked.end()
    return response
  }

export const json =
  (body: unknown, status = 200, headers: Record<string, string> = {}): Answer =>
  () =>
    new Response(status === 204 ? null : JSON.stringify(body), {
      status,
      headers: { 'content-type': 'application/json', ...headers },
    })

/** No connection. */
export const refused: Answer = () => {
  throw new TypeError('fetch failed')
}

/** A request that is never answered. */
export const silent: Answer = () => new Promise<never>(() => {})

export const connected = (cursor = 'c0', topics = ['public:t']): string =>
  frame('connected', { type: 'connected', topics, cursor, time: '', keep_alive_s: 15 }, cursor)

export const bye = (reason: string, retryMs = 1000): string =>
  `retry: ${retryMs}\n${frame('bye', { type: 'bye', reason, retry_ms: retryMs })}`

/** The n-th event of a topic; its cursor is `cn`. */
export const event = (n: number, topic = 'public:t', type = 'tick'): string =>
  frame(type, eventOf(n, topic, type), `c${n}`)

export const eventOf = (n: number, topic = 'public:t', type = 'tick') => ({
  id: `${1_795_204_020_000 + n}-0`,
  topic,
  type,
  time: '',
  data: n,
})

export function frame(type: string, data: object, id?: string): string {
  return `event: ${type}\ndata: ${JSON.stringify(data)}\n${id ? `id: ${id}\n` : ''}\n`
}

export class MemoryStorage {
  readonly kept = new Map<string, string>()

  getItem(key: string): string | null {
    return this.kept.get(key) ?? null
  }

  setItem(key: string, value: string): void {
    this.kept.set(key, value)
  }
}

/** A page whose signals are given by hand. */
export function handPage(): { page: PageSignals; say: (signal: PageSignal) => void } {
  const told = new Set<(signal: PageSignal) => void>()
  return {
    page: (one) => {
      told.add(one)
      return () => told.delete(one)
    },
    say: (signal) => {
      for (const one of told) one(signal)
    },
  }
}

/** A stream of `public:t`, whose events and resets land in `seen`. */
export function opened(script: Answer[], options: StreamOptions = {}) {
  const clock = new HandClock()
  const server = new ScriptedServer(clock, ...script)
  const { page, say } = handPage()
  const storage = new MemoryStorage()
  const keeper = sessionKeeper('cursor', storage)
  const { fetch } = server
  const events = new EventStream<{ tick: number }>('/api/events', {
    ...{ topics: ['public:t'], clock, fetch, page, keeper, random: () => 0.5 },
    ...options,
  })
  const seen: unknown[] = []
  const states: string[] = []
  events.on('tick', ({ data }) => seen.push(data))
  events.on('reset', ({ reason }) => seen.push(reason))
  events.subscribe(() => states.push(events.state.status))
  return { clock, server, events, seen, states, say, storage }
}
