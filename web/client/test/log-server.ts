// A server with a log, which answers streams and polls by their cursors as the real one does.
import type { Clock } from '../src/index.ts'
import { Asked, connected, eventOf, frame, json } from './scenes.ts'

/** A cursor is the position of each topic that it names, as JSON; the others begin now. */
export class LogServer {
  readonly asked: Asked[] = []
  readonly #log: string[] = []
  readonly #places = new Map<Asked, Record<string, number>>()
  readonly #forbidden = new Set<string>()
  isDown = false

  constructor(readonly clock: Clock) {}

  readonly fetch: typeof fetch = async (input, init) => {
    const asked = new Asked(
      new URL(String(input), 'http://server'),
      new Headers(init?.headers),
      this.clock.now(),
      init!.signal!,
    )
    asked.signal?.throwIfAborted()
    this.asked.push(asked)
    if (this.isDown) throw new TypeError('fetch failed')
    if (asked.topics.some((topic) => this.#forbidden.has(topic)))
      return json({ code: 'forbidden' }, 403)(asked)
    const named = JSON.parse(asked.cursor ?? '{}') as Record<string, number>
    const places = Object.fromEntries(
      asked.topics.map((one) => [one, named[one] ?? this.#log.length]),
    )
    const missed = this.#log.flatMap((topic, at) =>
      at >= (places[topic] ?? Infinity) ? [at + 1] : [],
    )
    if (asked.headers.get('accept') === 'application/json') {
      const events = missed.map((n) => eventOf(n, this.#log[n - 1]))
      for (const topic of asked.topics) places[topic] = this.#log.length
      return json({ events, cursor: JSON.stringify(places), reset: null, poll_after_ms: 500 })(
        asked,
      )
    }
    const response = new Response(asked.body(), {
      headers: { 'content-type': 'text/event-stream' },
    })
    this.#places.set(asked, places)
    asked.send(
      connected(JSON.stringify(places), asked.topics),
      ...missed.map((n) => this.#frame(asked, n)),
    )
    return response
  }

  /** Publish on each of the topics; the data is the number of the event. */
  publish(...topics: string[]): number[] {
    return topics.map((topic) => {
      const n = this.#log.push(topic)
      for (const one of this.streams) if (one.topics.includes(topic)) one.send(this.#frame(one, n))
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

  #frame(reader: Asked, n: number): string {
    const [places, topic] = [this.#places.get(reader)!, this.#log[n - 1]!]
    places[topic] = n
    return frame('tick', eventOf(n, topic), JSON.stringify(places))
  }
}
