import { batched } from './batches.ts'
import type { EventMap, EventName, EventOf, Handlers, Reset } from './events.ts'
import { CONNECTING, Inbox, type StreamState } from './inbox.ts'
import { browserPage, type PageSignal, sessionKeeper, systemClock } from './runtime.ts'
import type { EventStream } from './stream.ts'
import type { Batch, Locks, Message, NewChannel } from './tab-protocol.ts'
import { isOf, type News, type SharedOptions, type Tab, union, type Wish } from './tab-protocol.ts'

const SETTLE_MS = 50
const IDLE: StreamState = { status: 'paused' }

/**
 * One connection for all tabs of a user: the leader holds it and tells the others. Where a leader
 * ends, another tab goes on behind what it has seen. Without Web Locks or BroadcastChannel each
 * tab has a connection of its own.
 *
 * Handlers get events and resets; `connected` and `bye` are of a connection, and stay with it.
 */
export class SharedStream<E extends EventMap = EventMap> extends Inbox<E> {
  readonly #url: string
  readonly #options: SharedOptions
  readonly #clock
  readonly #id: string
  readonly #name: string
  readonly #keeper
  readonly #watchers = new Set<Wish>()
  #cursor: string | undefined
  #end = nothing
  #cancelSettling = nothing
  #post: (message: Message) => void = nothing

  // What the leader knows of the others, and reads for all.
  readonly #tabs = new Map<string, Tab>()
  #isLeader = false
  #isHidden = false
  #stream: EventStream | undefined
  #asked: readonly string[] = []
  #tellPage: (signal: PageSignal) => void = nothing

  // What is known of the connection: its topics and its position.
  #read: readonly string[] = []
  #link: string | undefined
  #isLinked = false
  #catcher: EventStream | undefined
  #held: Batch[] = []

  /** `url` is `/api/events`. It begins when something is watched. */
  constructor(url: string, options: SharedOptions) {
    super()
    const { user, clock = systemClock, random = Math.random } = options
    this.#name = `millrace:${user}:${url}`
    const { keeper = sessionKeeper(this.#name) } = options
    this.#url = url
    this.#options = options
    this.#clock = clock
    this.#id = String(random())
    this.#keeper = keeper
    this.#cursor = options.cursor ?? (keeper() || undefined)
    this.#begin()
  }

  /** The topics that this tab watches. */
  get topics(): string[] {
    return union(this.#watchers)
  }

  /**
   * Read `topics` too, and have `handlers` called with what is theirs; returns what ends that.
   * Watchers share the connection: a topic is read as long as one of them wants it.
   */
  watch(topics: readonly string[], handlers: Handlers<E>): () => void {
    const watcher = { topics }
    this.#watchers.add(watcher)
    this.#settle()
    const ends = Object.entries(handlers).map(([type, handler]) =>
      this.on(type as EventName<E>, (event) => {
        if (isOf(event as EventOf & Reset, topics)) (handler as (event: unknown) => void)(event)
      }),
    )
    return () => {
      for (const end of ends) end()
      this.#watchers.delete(watcher)
      this.#settle()
    }
  }

  override reconnect(): void {
    if (this.state.status === 'closed') this.#begin()
    else if (this.#stream) this.#stream.reconnect()
    else this.#post({ again: true })
  }

  override close(): void {
    this.#leave()
    this.setState({ status: 'closed' })
  }

  /** What comes and goes together is one change. */
  #settle(): void {
    this.#cancelSettling()
    this.#cancelSettling = this.#clock.after(SETTLE_MS, () => this.#tell())
  }

  #begin(isAlone = false): void {
    this.setState(CONNECTING)
    this.#settle()
    const { locks = globalThis.navigator?.locks as Locks | undefined } = this.#options
    const { channel = globalThis.BroadcastChannel as unknown as NewChannel } = this.#options
    const unlisten = (this.#options.page ?? browserPage)((signal) => {
      if (signal === 'online') return this.#tellPage(signal)
      this.#isHidden = signal === 'hidden'
      this.#tell()
    })
    this.#end = unlisten
    if (isAlone || !locks || !channel) return this.#lead()
    const open = new channel(this.#name)
    const ending = new AbortController()
    // As text: on its way an error would keep nothing but its message.
    this.#post = (message) => open.postMessage(JSON.stringify(message))
    open.onmessage = ({ data }) => this.#hear(JSON.parse(data as string) as Message)
    const ended = new Promise<void>((resolve) => {
      this.#end = () => {
        unlisten()
        this.#post({ id: this.#id })
        this.#post = nothing
        open.close()
        ending.abort()
        resolve()
      }
    })
    const lead = () => {
      this.#lead()
      return ended
    }
    locks.request(this.#name, ending, lead).catch(nothing)
  }

  #leave(): void {
    this.#cancelSettling()
    this.#end()
    this.#end = nothing
    this.#isLeader = this.#isLinked = false
    this.#stopCatching()
    this.#stop()
    this.#tabs.clear()
  }

  /** Tell the others what this tab wants; the leader reads it. */
  #tell(): void {
    const own: Tab = { id: this.#id, topics: this.topics, isHidden: this.#isHidden }
    this.#tabs.set(this.#id, own)
    if (this.#isLeader) this.#merge()
    else this.#post(own)
  }

  #hear(message: Message): void {
    const { id, topics, state } = message
    if (message.who) this.#tell()
    else if (message.again) this.#stream?.reconnect()
    else if (id) {
      if (topics) this.#tabs.set(id, message as Tab)
      else this.#tabs.delete(id)
      if (this.#isLeader) this.#settle()
      // Below is what a leader says. One that has ended said it late: its successor asks the server.
    } else if (this.#isLeader) return
    else if (!state) this.#follow(message as Batch)
    else if (state.status === 'closed') this.#goAlone()
    else this.#learn(message as News)
  }

  // The leader.

  #lead(): void {
    this.#isLeader = true
    this.#link = this.#cursor
    this.#read = []
    this.#stopCatching()
    this.#tabs.clear()
    this.#post({ who: true })
    this.#settle()
  }

  /** Read what all tabs want, and be silent when all are hidden. */
  #merge(): void {
    const tabs = [...this.#tabs.values()]
    const topics = union(tabs)
    if (!topics.length) this.#stop()
    else if (topics.some((topic) => !this.#asked.includes(topic))) {
      this.#asked = topics
      if (this.#stream) this.#stream.setTopics(topics)
      else this.#open()
    }
    this.#tellPage(tabs.every((tab) => tab.isHidden) ? 'hidden' : 'visible')
    this.#share()
  }

  #stop(): void {
    const stream = this.#stream
    this.#stream = undefined
    this.#asked = []
    stream?.close()
  }

  #open(): void {
    const page = (told: (signal: PageSignal) => void) => {
      this.#tellPage = told
      return nothing
    }
    const options = { ...this.#options, page, topics: this.#asked, cursor: this.#cursor }
    const stream = batched(this.#url, options, (frames, to) => {
      // Before the cursors that stand on other topics: who lacks one has to know.
      if (this.#read !== this.#asked) {
        this.#read = this.#asked
        this.#share()
      }
      const batch = { from: this.#link, to, frames }
      this.#post(batch)
      this.#apply(batch)
    })
    this.#stream = stream
    stream.subscribe(() => {
      if (this.#stream !== stream) return
      this.#share()
      // What one tab may not read ends the connection of all: from now on each has its own.
      if (stream.state.status === 'closed' && this.#tabs.size > 1) this.#goAlone()
    })
  }

  /** Tell the others how the connection is. */
  #share(): void {
    const state = this.#stream?.state ?? IDLE
    if (state !== this.state) this.setState(state)
    this.#post({ state, read: this.#read, cursor: this.#link })
  }

  #goAlone(): void {
    this.#leave()
    this.#begin(true)
  }

  // The others.

  #learn({ state, read, cursor }: News): void {
    this.setState(state)
    const isCovered = this.topics.every((topic) => read.includes(topic))
    if (!isCovered && this.#isLinked) this.#tell()
    if (isCovered && !(this.#isLinked && cursor === this.#link)) {
      this.#link = cursor
      const isBehind = this.#cursor ? this.#cursor !== cursor : this.#options.query?.['history']
      if (isBehind) this.#catchUp()
      else this.#cursor = cursor
    }
    this.#isLinked = isCovered
  }

  #follow(batch: Batch): void {
    if (!this.#isLinked) return
    if (batch.from !== this.#link) this.#catchUp()
    this.#link = batch.to
    if (this.#catcher) this.#held.push(batch)
    else this.#apply(batch)
  }

  /** Fetch what this tab has missed, and hold back what comes meanwhile. */
  #catchUp(): void {
    this.#stopCatching()
    const { topics } = this
    const options = { ...this.#options, isPolling: true, topics, cursor: this.#cursor }
    const catcher = batched(this.#url, options, (frames, to) => {
      const [link, held] = [this.#link, this.#held]
      this.#apply({ from: link, to, frames })
      if (!frames.length) {
        this.#stopCatching()
        held.forEach((one) => this.#apply(one))
      }
      this.#link = link
    })
    this.#catcher = catcher
    catcher.subscribe(() => {
      if (this.#catcher === catcher && catcher.state.status === 'closed') this.#goAlone()
    })
  }

  #stopCatching(): void {
    const catcher = this.#catcher
    this.#catcher = undefined
    this.#held = []
    catcher?.close()
  }

  #apply({ frames, to }: Batch): void {
    const { topics } = this
    this.#link = to
    for (const frame of frames) if (isOf(frame, topics)) this.deliver(frame.type, frame)
    this.#cursor = to
    this.#keeper(to)
  }
}

function nothing(): void {}
