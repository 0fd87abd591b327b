import { createParser } from 'eventsource-parser'
import { MillraceError, refusal } from './errors.ts'
import type { Bye, Connected, EventMap, EventsPage } from './events.ts'
import { Inbox } from './inbox.ts'
import type { StreamOptions } from './options.ts'
import { browserPage, systemClock } from './runtime.ts'

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
  readonly #random
  readonly #name: string
  readonly #storageKey: string
  #topics: readonly string[]
  #cursor: string | undefined
  #ended = Promise.resolve()
  #unlisten = nothing

  // The present attempt.
  #attempt = new AbortController()
  #cause: MillraceError | undefined
  #asked: readonly string[] = []
  #heardAt: number
  #cancelStall = nothing
  #wake = nothing

  // What earlier ones have taught.
  #failures = 0
  #floorMs = 0
  #stallMs: number
  #isTokenOld = false
  #wasRefreshed = false
  #windows = 0
  #pollUntil: number

  // What the page has said.
  #isHidden = false
  #cancelHiding = nothing

  /** `url` is `/api/events`, or another stream of the server. */
  constructor(url: string, options: StreamOptions = {}) {
    super()
    const { topics = [], stallMs = 45_000, clock = systemClock, random = Math.random } = options
    const { cursor, storageKey = `millrace:${url}?${topics}` } = options
    this.#url = url
    this.#options = options
    this.#topics = topics
    this.#clock = clock
    this.#random = random
    this.#name = String(random())
    this.#stallMs = stallMs
    this.#heardAt = clock.now()
    this.#pollUntil = options.isPolling ? Infinity : 0
    this.#storageKey = storageKey
    this.#cursor = cursor ?? this.#stored((storage) => storage.getItem(storageKey)) ?? undefined
    this.#begin()
  }

  /** The position after the last event that was delivered, once there is one. */
  get cursor(): string | undefined {
    return this.#cursor
  }

  /** Read these topics from now on; those that were read before go on where they are. */
  setTopics(topics: readonly string[]): void {
    this.#topics = topics
    if (topics.some((topic) => !this.#asked.includes(topic))) this.#interrupt()
  }

  override reconnect(): void {
    this.#failures = 0
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
    this.setState({ status: 'connecting' })
    this.#isHidden = false
    this.#unlisten = (this.#options.page ?? browserPage)((signal) => {
      const { pauseWhenHidden = 60_000 } = this.#options
      this.#cancelHiding()
      if (signal === 'online') this.reconnect()
      else if (signal !== 'visible') {
        const pause = signal === 'hidden' ? pauseWhenHidden : 0
        this.#cancelHiding = this.#clock.after(pause, () => {
          this.#isHidden = true
          this.#interrupt()
        })
      } else if (this.#isHidden || this.#isStalled()) {
        this.#isTokenOld = true
        this.#isHidden = false
        this.#interrupt()
      }
    })
    this.#ended = this.#ended.then(() => this.#run())
  }

  async #run(): Promise<void> {
    while (this.state.status !== 'closed') {
      let pauseMs: number | undefined
      if (this.#isHidden) this.setState({ status: 'paused' })
      else pauseMs = await this.#try()
      if (pauseMs === 0) continue
      // Ends in time, or when interrupted.
      let cancel = nothing
      await new Promise<void>((wake) => {
        this.#wake = wake
        if (pauseMs) cancel = this.#clock.after(pauseMs, wake)
      })
      cancel()
    }
  }

  #interrupt(cause?: MillraceError): void {
    this.#cause = cause
    this.#attempt.abort()
    this.#wake()
  }

  #isStalled(): boolean {
    return this.#clock.now() - this.#heardAt > this.#stallMs
  }

  /** One request and all of its answer; returns the pause before the next. */
  async #try(): Promise<number> {
    const attempt = (this.#attempt = new AbortController())
    const { signal } = attempt
    this.#cause = undefined
    try {
      // Not every `fetch`, and no `getToken`, ends when the signal says so.
      const aborted = new Promise<never>((_, reject) => signal.addEventListener('abort', reject))
      return await Promise.race([this.#request(signal), aborted])
    } catch (error) {
      if (signal.aborted && !this.#cause) return 0
      return this.#failed(this.#cause ?? error)
    } finally {
      this.#cancelStall()
      attempt.abort()
    }
  }

  async #request(signal: AbortSignal): Promise<number> {
    const { getToken, init, fetch = globalThis.fetch } = this.#options
    const polls = this.#clock.now() < this.#pollUntil
    const fresh = this.#isTokenOld || this.#isStalled()
    this.#heard(Math.min(this.#stallMs, FIRST_BYTES_MS), () => this.#sawWindow())
    this.#asked = this.#topics
    const token = await getToken?.({ fresh })
    if (signal.aborted) return 0
    this.#isTokenOld = false
    const headers = {
      ...init?.headers,
      Accept: polls ? 'application/json' : 'text/event-stream',
      ...(token && { Authorization: `Bearer ${token}` }),
      ...(this.#cursor && { 'Last-Event-ID': this.#cursor }),
    }
    // A browser's cache would let other requests for the address wait for a stream; polls are
    // answered by 304 there.
    const cache = polls ? 'default' : 'no-store'
    const response = await fetch(this.#address(polls), { ...init, cache, headers, signal })
    if (signal.aborted) return 0
    if (!response.ok) throw await refusal(response)
    if (response.status !== 204) {
      return polls ? this.#takePage(await response.json(), signal) : this.#read(response, signal)
    }
    this.close()
    return 0
  }

  #address(polls: boolean): string {
    const search = new URLSearchParams(this.#options.query)
    for (const topic of this.#asked) search.append('topic', topic)
    // A browser keeps one answer for an address, so an address of a poll names the cursor.
    if (!polls) search.append('conn', this.#name)
    else if (this.#cursor) search.append('cursor', this.#cursor)
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
        this.#take('stream', event, payload, id)
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
    for (const gap of reset ?? []) this.#take('poll', 'reset', { type: 'reset', ...gap })
    for (const event of events) if (!signal.aborted) this.#take('poll', event.type, event)
    if (!signal.aborted) this.#take('poll', '', {}, cursor)
    return poll_after_ms
  }

  #take(via: 'stream' | 'poll', type: string, payload: object, cursor?: string): void {
    this.#failures = 0
    this.#wasRefreshed = false
    if ((this.state as { via?: string }).via !== via) this.setState({ status: 'open', via })
    this.deliver(type, payload)
    if (cursor) this.#keep(cursor)
  }

  #keep(cursor: string): void {
    this.#cursor = cursor
    this.#stored((storage) => storage.setItem(this.#storageKey, cursor))
  }

  /** What `use` returns. Nothing where there is no storage, it is full or it is forbidden. */
  #stored<T>(use: (storage: NonNullable<StreamOptions['storage']>) => T): T | undefined {
    try {
      return this.#storageKey ? use(this.#options.storage ?? sessionStorage) : undefined
    } catch {
      return undefined
    }
  }

  /** Bytes have come, or are about to be asked for: the next within `ms`. */
  #heard(ms: number, note = nothing): void {
    this.#heardAt = this.#clock.now()
    this.#cancelStall()
    this.#cancelStall = this.#clock.after(ms, () => {
      note()
      this.#interrupt(new MillraceError('stalled', `Silent for ${ms} ms`))
    })
  }

  /** A whole answer came at once, or none of it: after two, ask for JSON for a while. */
  #sawWindow(): void {
    if (this.#windows++) this.#pollUntil = this.#clock.now() + (this.#options.pollMs ?? 300_000)
  }

  #failed(error: unknown): number {
    const failure =
      error instanceof MillraceError ? error : new MillraceError('network', String(error))
    const { status, problem } = failure
    if (problem.code === 'invalid-cursor' && this.#cursor) {
      this.#keep('')
      const topics = this.#asked
      this.deliver('reset', { topics, reason: 'unknown', refetch: this.#address(true) })
    } else if (status === 401 && this.#options.getToken && !this.#wasRefreshed) {
      this.#wasRefreshed = this.#isTokenOld = true
    } else if (failure.isTemporary) return this.#pause(failure)
    else this.close(failure)
    return 0
  }

  /** The pause before the next attempt: what the server wishes at least; above it, full jitter. */
  #pause(error?: MillraceError): number {
    const longestMs = Math.min(this.#options.maxBackoffMs ?? 30_000, 1000 * 2 ** this.#failures++)
    const afterMs = error?.retryAfterMs ?? 0
    const pauseMs = Math.max(this.#random() * longestMs, this.#floorMs, afterMs, 1)
    const nextRetryAt = this.#clock.now() + pauseMs
    this.setState({ status: 'reconnecting', attempt: this.#failures, nextRetryAt, error })
    return pauseMs
  }
}

function nothing(): void {}
