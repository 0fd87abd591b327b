// A server with a log, which answers streams and polls by their cursors as the real one does.
import type { Clock } from '../src/index.ts'
import { Asked, connected, eventOf, frame, json } from './scenes.ts'

/** The cursor `cN` stands behind the N-th event of all topics. */
export class LogServer {
  readonly asked: Asked[] = []
  readonly #log: string[] = []
  readonly #forbidden = new Set<string>()
  isDown = false

  constructor(readonly clock: Clock) {}

  readonly fetch: typeof fetch = async (input, init) => {
    const asked = new Asked(new URL(String(input), 'http://server'), new Headers(init?.headers), this.clock.now(), init!.signal!)
    asked.signal?.throwIfAborted()
    this.asked.push(asked)
    if (this.isDown) throw new TypeError('fetch failed')
    if (asked.topics.some((topic) => this.#forbidden.has(topic))) return json({ code: 'forbidden' }, 403)(asked)
    const from = asked.cursor ? Number(asked.cursor.slice(1)) : this.#log.length
    const missed = this.#after(from, asked.topics)
    if (asked.headers.get('accept') === 'application/json') {
      const events = missed.map((n) => eventOf(n, this.#log[n - 1]))
      return json({ events, cursor: `c${this.#log.length}`, reset: null, poll_after_ms: 500 })(asked)
    }
    const response = new Response(asked.body(), { headers: { 'content-type': 'text/event-stream' } })
    asked.send(connected(`c${from}`, asked.topics), ...missed.map((n) => this.#frame(n)))
    return response
  }

  /** Publish on each of the topics; the data is the number of the event. */
  publish(...topics: string[]): number[] {
    return topics.map((topic) => {
      const n = this.#log.push(topic)
      for (const one of this.streams) if (one.topics.includes(topic)) one.send(this.#frame(n))
      return n
    })
  }

  forbid(topic: string): void {
    this.#forbidden.add(topic)
  }

  /** The open streams. */
  get streams(): Asked[] {
    return this.asked.filter((one) => !one.signal?.aborted && one.isStream)
  }

  get polls(): Asked[] {
    return this.asked.filter((one) => one.headers.get('accept') === 'application/json')
  }

  #after(from: number, topics: string[]): number[] {
    return this.#log.flatMap((topic, at) => (at >= from && topics.includes(topic) ? [at + 1] : []))
  }

  #frame(n: number): string {
    return frame('tick', eventOf(n, this.#log[n - 1]), `c${n}`)
  }
}
