import type { EventMap, EventOf, Handlers, EventName, Reset } from './events.ts'
import { Inbox, type StreamState } from './inbox.ts'
import type { StreamOptions } from './options.ts'
import { browserPage, cursorKeeper, type PageSignal, systemClock } from './runtime.ts'
import { EventStream } from './stream.ts'

const SETTLE_MS = 50
const IDLE: StreamState = { status: 'paused' }

/** The part of `BroadcastChannel` that is used. */
export interface Channel {
  onmessage: ((message: { readonly data: unknown }) => void) | null
  postMessage(data: unknown): void
  close(): void
}

/** Opens the channel of that name. */
export type NewChannel = new (name: string) => Channel

/** The part of the Web Locks that is used. */
export interface Locks {
  request(name: string, options: { signal: AbortSignal }, held: () => Promise<void>): Promise<void>
}

/** How a connection is shared. Tabs share one where user and address are the same. */
export interface SharedOptions extends Omit<StreamOptions, 'topics'> {
  /** Who is signed in: what one user may read is not handed to the tabs of another. */
  readonly user: string
  readonly locks?: Locks | undefined
  readonly channel?: NewChannel | undefined
}

/** What a tab wants. */
interface Tab {
  readonly topics: readonly string[]
  readonly isHidden: boolean
}

/** What came at once, and the cursors before and behind it. */
interface Batch {
  readonly frames: readonly (readonly [type: string, payload: unknown])[]
  readonly from: string | undefined
  readonly to: string
}

/** What the leader says of the connection. */
interface News {
  readonly leader: string
  readonly tabs: ReadonlyMap<string, Tab>
  readonly topics: readonly string[]
  readonly cursor: string | undefined
  readonly state: StreamState
}

type Message =
  | { readonly is: 'tab'; readonly id: string; readonly tab: Tab | undefined }
  | { readonly is: 'again' | 'alone' }
  | ({ readonly is: 'news' } & News)
  | ({ readonly is: 'batch' } & Batch)

/**
 * One connection for all tabs of a user: the leader holds it and tells the others. Where a leader
 * ends, another tab goes on behind what it has seen. Without Web Locks or BroadcastChannel each
 * tab has a connection of its own.
 */
export class SharedStream<E extends EventMap = EventMap> extends Inbox<E> {
  readonly #url: string
  readonly #options: SharedOptions
  readonly #clock
  readonly #id: string
  readonly #kept
  readonly #watched = new Map<string, number>()
  #cursor: string | undefined
  #end = nothing
  #cancelSettling = nothing
  #post: (message: Message) => void = nothing

  // Of all tabs.
  #tabs = new Map<string, Tab>()
  #tellPage: (signal: PageSignal) => void = nothing
  #isHidden = false
  #stream: EventStream | undefined
  #isLeader = false
  #leader = ''

  // Of the connection: what it reads, and where it is.
  #asked: readonly string[] = []
  #read: readonly string[] = []
  #link: string | undefined
  #isLinked = false
  #catchingUp: EventStream | undefined
  #held: Batch[] = []

  /** `url` is `/api/events`. It begins when something is watched. */
  constructor(url: string, options: SharedOptions) {
    super()
    const { user, storage, clock = systemClock, random = Math.random } = options
    const { storageKey = `millrace:${user}:${url}` } = options
    this.#url = url
    this.#options = options
    this.#clock = clock
    this.#id = String(random())
    this.#kept = cursorKeeper(storageKey, storage)
    this.#cursor = options.cursor ?? this.#kept()
    this.#begin()
  }

  /** The topics that this tab watches. */
  get topics(): string[] {
    return [...this.#watched.keys()]
  }

  /**
   * Read `topics` too, and have `handlers` called with what is theirs; returns what ends that.
   * Watchers share the connection: a topic is read as long as one of them wants it.
   */
  watch(topics: readonly string[], handlers: Handlers<E>): () => void {
    const ends = Object.entries(handlers).map(([type, handler]) =>
      this.on(type as EventName<E>, (event) => {
        const { topic, topics: all = [topic] } = event as Partial<EventOf & Reset>
        if (all.some((one) => topics.includes(one!))) (handler as (event: unknown) => void)(event)
      }),
    )
    this.#count(topics, 1)
    return () => {
      for (const end of ends) end()
      this.#count(topics, -1)
      topics = []
    }
  }

  override reconnect(): void {
    if (this.state.status === 'closed') this.#begin()
    else if (this.#stream) this.#stream.reconnect()
    else this.#post({ is: 'again' })
  }

  override close(): void {
    this.#leave()
    this.setState({ status: 'closed' })
  }

  #count(topics: readonly string[], change: number): void {
    for (const topic of topics) {
      const count = (this.#watched.get(topic) ?? 0) + change
      if (count) this.#watched.set(topic, count)
      else this.#watched.delete(topic)
    }
    // What comes and goes together is one change.
    this.#cancelSettling()
    this.#cancelSettling = this.#clock.after(SETTLE_MS, () => this.#hello())
  }

  #begin(): void {
    this.setState({ status: 'connecting' })
    const { locks = globalThis.navigator?.locks as Locks | undefined } = this.#options
    const { channel = globalThis.BroadcastChannel as unknown as NewChannel } = this.#options
    const { page = browserPage, user } = this.#options
    const unlisten = page((signal) => {
      if (signal === 'online') return this.#tellPage(signal)
      this.#isHidden = signal === 'hidden'
      this.#hello()
    })
    this.#end = unlisten
    if (!locks || !channel) return this.#lead()
    const name = `millrace:${user}:${this.#url}`
    const open: Channel = new channel(name)
    const ending = new AbortController()
    this.#post = (message) => open.postMessage(message)
    open.onmessage = ({ data }) => this.#hear(data as Message)
    const ended = new Promise<void>((resolve) => {
      this.#end = () => {
        unlisten()
        this.#post({ is: 'tab', id: this.#id, tab: undefined })
        this.#post = nothing
        open.close()
        ending.abort()
        resolve()
      }
    })
    locks
      .request(name, ending, () => {
        this.#lead()
        return ended
      })
      .catch(nothing)
    this.#hello()
  }

  #leave(): void {
    this.#cancelSettling()
    this.#end()
    this.#end = nothing
    this.#isLeader = this.#isLinked = false
    this.#tabs.clear()
    this.#stopCatchingUp()
    this.#stop()
  }

  /** Tell the others what this tab wants. */
  #hello(): void {
    const { topics } = this
    this.#post({ is: 'tab', id: this.#id, tab: { topics, isHidden: this.#isHidden } })
    if (this.#isLeader) this.#merge()
  }

  #hear(message: Message): void {
    if (message.is === 'tab') {
      if (message.tab) this.#tabs.set(message.id, message.tab)
      else this.#tabs.delete(message.id)
      if (this.#isLeader) this.#merge()
    } else if (message.is === 'again') this.#stream?.reconnect()
    else if (message.is === 'alone') this.#goAlone()
    // What a leader that has ended said last: its successor has it from the server.
    else if (this.#isLeader) return
    else if (message.is === 'batch') this.#follow(message)
    else if (message.is === 'news') this.#learn(message)
  }

  // The leader.

  #lead(): void {
    this.#isLeader = this.#isLinked = true
    this.#tabs.delete(this.#leader)
    this.#read = this.#asked = []
    this.#stopCatchingUp()
    this.#merge()
  }

  /** Read what all tabs want, and be silent when all are hidden. */
  #merge(): void {
    const tabs = [...this.#tabs.values(), { topics: this.topics, isHidden: this.#isHidden }]
    const topics = [...new Set(tabs.flatMap((tab) => tab.topics))].sort()
    if (!topics.length) this.#stop()
    else if (topics.some((topic) => !this.#asked.includes(topic))) {
      this.#asked = topics
      if (this.#stream) this.#stream.setTopics(topics)
      else this.#open(topics)
    }
    this.#tellPage(tabs.every((tab) => tab.isHidden) ? 'hidden' : 'visible')
    this.#tell()
  }

  #stop(): void {
    const stream = this.#stream
    this.#stream = undefined
    this.#asked = []
    stream?.close()
  }

  #open(topics: readonly string[]): void {
    this.#link = this.#cursor
    let frames: [string, unknown][] = []
    const moved = (cursor: string) => {
      const batch = { frames, from: this.#link, to: cursor }
      frames = []
      this.#post({ is: 'batch', ...batch })
      this.#apply(batch)
      if (this.#read === this.#asked) return
      this.#read = this.#asked
      this.#tell()
    }
    const stream = new EventStream(this.#url, {
      ...this.#options,
      topics,
      cursor: this.#cursor,
      storageKey: 'cursor',
      storage: { getItem: () => null, setItem: (_, cursor) => moved(cursor) },
      page: (told) => {
        this.#tellPage = told
        return nothing
      },
    })
    this.#stream = stream
    for (const type of ['*', 'connected', 'reset', 'bye'] as const) {
      stream.on(type, (payload) => frames.push([(payload as EventOf).type, payload]))
    }
    stream.subscribe(() => {
      const { state } = stream
      if (state.status !== 'closed') this.#tell()
      else if (this.#stream === stream) this.#refused(state)
    })
  }

  #tell(): void {
    const { state = IDLE } = this.#stream ?? {}
    if (state !== this.state) this.setState(state)
    const tabs = new Map([...this.#tabs, [this.#id, { topics: this.topics, isHidden: this.#isHidden }]])
    this.#post({
      ...{ is: 'news', leader: this.#id, tabs, state: plain(state) },
      ...{ topics: this.#read, cursor: this.#link },
    } as Message)
  }

  /** What one tab may not read ends the connection of all: from now on each has its own. */
  #refused(state: StreamState): void {
    if (this.#tabs.size) {
      this.#post({ is: 'alone' })
      this.#goAlone()
    } else this.setState(state)
  }

  #goAlone(): void {
    this.#leave()
    this.#lead()
  }

  // The others.

  #learn({ leader, tabs, topics, cursor, state }: News): void {
    this.#leader = leader
    this.#tabs = new Map(tabs)
    if (!this.#tabs.delete(this.#id)) this.#hello()
    this.#read = topics
    this.setState(state)
    if (this.#isLinked || !this.topics.every((topic) => topics.includes(topic))) return
    this.#isLinked = true
    this.#link = cursor
    const wants = this.#cursor ? this.#cursor !== cursor : this.#options.query?.['history']
    if (wants) this.#catchUp()
    else if (cursor) this.#keep(cursor)
  }

  #follow(batch: Batch): void {
    if (!this.#isLinked) return
    if (batch.from !== this.#link) this.#catchUp()
    this.#link = batch.to
    if (this.#catchingUp) this.#held.push(batch)
    else this.#apply(batch)
  }

  #apply({ frames, to }: Batch): void {
    for (const [type, payload] of frames) {
      const { topic, topics = [] } = payload as Partial<EventOf & Reset>
      const isMine = [topic, ...topics].some((one) => this.#watched.has(one!))
      if (isMine || type === 'bye') this.deliver(type, payload)
    }
    this.#link = to
    this.#keep(to)
  }

  /** Fetch what this tab has missed, and hold back what comes meanwhile. */
  #catchUp(): void {
    if (this.#catchingUp) return
    let isEmpty = true
    const stream = (this.#catchingUp = new EventStream(this.#url, {
      ...this.#options,
      topics: this.topics,
      cursor: this.#cursor,
      isPolling: true,
      storageKey: 'cursor',
      storage: {
        getItem: () => null,
        setItem: (_, cursor) => {
          this.#keep(cursor)
          if (isEmpty) this.#stopCatchingUp()
          isEmpty = true
        },
      },
    }))
    for (const type of ['*', 'reset'] as const) {
      stream.on(type, (payload) => {
        isEmpty = false
        this.deliver((payload as EventOf).type, payload)
      })
    }
  }

  #stopCatchingUp(): void {
    this.#catchingUp?.close()
    this.#catchingUp = undefined
    for (const batch of this.#held.splice(0)) if (!this.#isLeader) this.#apply(batch)
  }

  #keep(cursor: string): void {
    this.#cursor = cursor
    this.#kept(cursor)
  }
}

/** An error that goes to other tabs keeps its fields only as an object. */
function plain(state: StreamState): StreamState {
  const { error } = state as { error?: Error }
  return error ? ({ ...state, error: { ...error, message: error.message } } as StreamState) : state
}

function nothing(): void {}
