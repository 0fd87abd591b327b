import { createParser } from 'eventsource-parser'
import { MillraceError } from './errors.ts'
import type { Bye, Connected, EventMap, EventsPage } from './events.ts'
import { CONNECTING, Inbox } from './inbox.ts'
import type { StreamOptions } from './options.ts'
import { backoffMs, failure, request } from './request.ts'
import { browserPage, sessionKeeper, systemClock } from './runtime.ts'

const FIRST_BYTES_MS = 20_000

/**
 * Reads topics by one connection, and comes back whenever it ends: every event once, in order
 * within its topic, or a `reset` that says where some may be missing.
 *
 * It begins at once, so add handlers where you create it.
 */
export class EventStream<E extends EventMap = EventMap> extends Inbox<E> {
  readonly #url: string
  readonly #options: StreamOptions
  readonly #clock
  readonly #name: string
  readonly #keeper
  #topics: readonly string[]
  #cursor: string | undefined
  #ended = Promise.resolve()
  #unlisten = nothing

  // The present attempt.
  #interrupt = nothing
  #heardAt: number
  #cancelTimer = nothing

  // What earlier ones have taught.
  #failures = 0
  #floorMs = 0
  #stallMs: number
  #isTokenOld = false
  #windows = 0
  #pollUntil = 0

  // What the page has said.
  #isHidden = false
  #cancelHiding = nothing

  /** `url` is `/api/events`, or another stream of the server. */
  constructor(url: string, options: StreamOptions = {}) {
    super()
    const { topics = [], stallMs = 45_000, clock = systemClock, random = Math.random } = options
    const { keeper = sessionKeeper(`millrace:${url}?${topics}`) } = options
    this.#url = url
    this.#options = options
    this.#topics = topics
    this.#clock = clock
    this.#name = String(random())
    this.#stallMs = stallMs
    this.#heardAt = clock.now()
    this.#keeper = keeper
    this.#cursor = options.cursor ?? (keeper() || undefined)
    this.#begin()
  }

  /** The position after the last event that was delivered, once there is one. */
  get cursor(): string | undefined {
    return this.#cursor
  }

  /** Read these topics from now on; those that were read before go on where they are. */
  setTopics(topics: readonly string[]): void {
    this.#topics = topics
    this.#interrupt()
  }

  override reconnect(): void {
    this.#failures = this.#pollUntil = 0
    if (this.state.status === 'closed') this.#begin()
    else this.#interrupt()
  }

  override close(error?: MillraceError): void {
    this.#unlisten()
    this.#cancelHiding()
    this.setState({ status: 'closed', error })
    this.#interrupt()
  }

  #begin(): void {
    this.setState(CONNECTING)
    this.#isHidden = false
    this.#unlisten = (this.#options.page ?? browserPage)((signal) => {
      const { pauseWhenHidden = 60_000 } = this.#options
      this.#cancelHiding()
      if (signal === 'online') this.reconnect()
      else if (signal === 'hidden') {
        this.#cancelHiding = this.#clock.after(pauseWhenHidden, () => {
          this.#isHidden = true
          this.#interrupt()
        })
      } else if (this.#isHidden || this.#isStalled()) {
        this.#isTokenOld = true
        this.#isHidden = false
        this.setState(CONNECTING)
        this.#interrupt()
      }
    })
    this.#ended = this.#ended.then(() => this.#run())
  }

  async #run(): Promise<void> {
    while (this.state.status !== 'closed') {
      const attempt = new AbortController()
      const interrupted = new Promise<void>((resolve) => {
        this.#interrupt = () => {
          attempt.abort()
          resolve()
        }
      })
      let pauseMs = Infinity
      if (this.#isHidden) this.setState({ status: 'paused' })
      // Not every `fetch`, and no `getToken`, ends when the signal says so.
      else pauseMs = await Promise.race([this.#try(attempt.signal), interrupted.then(() => 0)])
      attempt.abort()
      this.#cancelTimer()
      if (!pauseMs) continue
      if (pauseMs < Infinity) this.#cancelTimer = this.#clock.after(pauseMs, this.#interrupt)
      await interrupted
    }
  }

  #isStalled(): boolean {
    return this.#clock.now() - this.#heardAt > this.#stallMs
  }

  /** One request and all of its answer; returns the pause before the next. */
  async #try(signal: AbortSignal): Promise<number> {
    try {
      return await this.#request(signal)
    } catch (error) {
      return signal.aborted ? 0 : this.#failed(failure(error))
    }
  }

  async #request(signal: AbortSignal): Promise<number> {
    const polls = this.#options.isPolling || this.#clock.now() < this.#pollUntil
    const fresh = (this.#isTokenOld ||= this.#isStalled())
    this.#heard(Math.min(this.#stallMs, FIRST_BYTES_MS))
    const headers = { Accept: polls ? 'application/json' : 'text/event-stream' }
    // A browser's cache would let other requests for the address wait for a stream; polls are
    // answered by 304 there.
    const cache = polls ? 'default' : 'no-store'
    const init = { cache, headers, signal } as const
    const response = await request(this.#options, this.#address(), init, fresh)
    this.#isTokenOld = false
    if (response.status !== 204) {
      return polls ? this.#takePage(await response.json(), signal) : this.#read(response, signal)
    }
    this.close()
    return 0
  }

  #address(): string {
    const search = new URLSearchParams(this.#options.query)
    for (const topic of this.#topics) search.append('topic', topic)
    // A header would be good for streams alone: a browser keeps one answer for an address, so
    // that of a poll names the cursor.
    if (this.#cursor) search.append('lastEventId', this.#cursor)
    search.append('conn', this.#name)
    return `${this.#url}?${search}`
  }

  async #read(response: Response, signal: AbortSignal): Promise<number> {
    if (!/event-stream/.test(response.headers.get('content-type') ?? '')) {
      throw new MillraceError('not-a-stream', 'No event stream')
    }
    const { stallMs } = this.#options
    let isWindow = false
    const parser = createParser((frame) => {
      if (frame.type !== 'event') this.#floorMs = frame.value
      else if (!signal.aborted) {
        const { event = 'message', data, id } = frame
        const payload = JSON.parse(data) as Partial<Omit<Connected, 'type'> & Omit<Bye, 'type'>>
        if (event === 'connected') this.#stallMs = stallMs ?? payload.keep_alive_s! * 3000
        isWindow = payload.reason === 'deadline'
        this.#isTokenOld ||= payload.reason === 'unauthorized'
        this.#received('stream')
        this.deliver(event, payload)
        if (id) this.#keep(id)
      }
    })
    const reader = response.body!.getReader()
    const decoder = new TextDecoder()
    for (;;) {
      const { done, value } = await reader.read()
      if (signal.aborted) return 0
      if (done) break
      this.#heard(this.#stallMs)
      parser.feed(decoder.decode(value, { stream: true }))
    }
    if (isWindow) this.#sawWindow()
    else this.#windows = 0
    return this.#pause()
  }

  #takePage({ events, reset, cursor, poll_after_ms }: EventsPage, signal: AbortSignal): number {
    this.#received('poll')
    const gaps = (reset ?? []).map((gap) => ({ type: 'reset', ...gap }))
    for (const frame of [...gaps, ...events]) {
      if (signal.aborted) return 0
      this.deliver(frame.type, frame)
    }
    this.#keep(cursor)
    return poll_after_ms
  }

  #received(via: 'stream' | 'poll'): void {
    this.#failures = 0
    if ((this.state as { via?: string }).via !== via) this.setState({ status: 'open', via })
  }

  #keep(cursor: string): void {
    this.#cursor = cursor
    this.#keeper(cursor)
  }

  /** Bytes have come, or are about to be asked for: the next within `ms`. */
  #heard(ms: number): void {
    this.#heardAt = this.#clock.now()
    this.#cancelTimer()
    this.#cancelTimer = this.#clock.after(ms, () => {
      const wasOpen = this.state.status === 'open'
      // No pause: the silence was one.
      this.#pause(new MillraceError('stalled', 'Silent'))
      if (!wasOpen) this.#sawWindow()
      this.#interrupt()
    })
  }

  /** A whole answer came at once, or none of it: after two, ask for JSON for a while. */
  #sawWindow(): void {
    if (this.#windows++) this.#pollUntil = this.#clock.now() + (this.#options.pollMs ?? 300_000)
  }

  #failed(error: MillraceError): number {
    if (error.status) {
      const { getToken } = this.#options
      this.#isTokenOld = error.status === 401 && !!getToken && !this.#isTokenOld
      if (this.#isTokenOld) return 0
    }
    if (error.problem.code === 'invalid-cursor' && this.#cursor) {
      this.#keep('')
      const refetch = this.#address()
      this.deliver('reset', { type: 'reset', topics: this.#topics, reason: 'unknown', refetch })
      return 0
    }
    if (error.isTemporary) return this.#pause(error)
    this.close(error)
    return 0
  }

  /** The pause before the next attempt: what the server wishes at least; above it, full jitter. */
  #pause(error?: MillraceError): number {
    const leastMs = Math.max(this.#floorMs, error?.retryAfterMs ?? 0)
    const pauseMs = backoffMs(this.#options, this.#failures++, leastMs, this.#options.maxBackoffMs)
    // A poll that fails says nothing about streams.
    if (error) this.#pollUntil = 0
    const nextRetryAt = this.#clock.now() + pauseMs
    this.setState({ status: 'reconnecting', attempt: this.#failures, nextRetryAt, error })
    return pauseMs
  }
}

function nothing(): void {}
