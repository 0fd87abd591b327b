/** What your events carry: the type of `data` by the type of the event. */
export type EventMap = Record<string, unknown>

/** One event, the same in streams and in JSON answers. */
export interface EventOf<Type extends string = string, Data = unknown> {
  /** The position in the topic, milliseconds and a counter: "1795204020032-0". */
  readonly id: string
  readonly topic: string
  readonly type: Type
  /** RFC 3339, UTC. */
  readonly time: string
  readonly data: Data
}

/** The first frame of a stream. */
export interface Connected {
  readonly type: 'connected'
  readonly topics: readonly string[]
  readonly cursor: string
  readonly time: string
  readonly keep_alive_s: number
}

/** Events after the cursor may be gone on these topics: fetch your state again. */
export interface Reset {
  readonly type: 'reset'
  readonly topics: readonly string[]
  /** `trimmed`, `expired`, `unknown`; new ones may come. */
  readonly reason: string
  /** Where the newest events are; ask for it with `Accept: application/json`. */
  readonly refetch: string
}

/** The last frame of a stream: the server ends it on purpose, and it is opened again. */
export interface Bye {
  readonly type: 'bye'
  /** `rotate`, `deadline`, `overflow`, `shutdown`, `unauthorized`; new ones may come. */
  readonly reason: string
  readonly retry_ms: number
}

/** The frames that the server sends about the stream itself. */
export interface Controls {
  connected: Connected
  reset: Reset
  bye: Bye
}

/** What `on` takes: a type of yours, a control, or `*` for every event of yours. */
export type EventName<E extends EventMap> = (keyof E & string) | keyof Controls | '*'

/** What a handler of that name is given. */
export type Payload<E extends EventMap, K> = K extends keyof Controls
  ? Controls[K]
  : K extends '*'
    ? { [T in keyof E & string]: EventOf<T, E[T]> }[keyof E & string]
    : K extends keyof E & string
      ? EventOf<K, E[K]>
      : never

/** Handlers by the name of what they take. Events without one are ignored. */
export type Handlers<E extends EventMap> = {
  readonly [K in EventName<E>]?: (event: Payload<E, K>) => void
}

/** The JSON answer of `GET /api/events`. */
export interface EventsPage {
  readonly events: readonly EventOf[]
  readonly cursor: string
  readonly reset: readonly Omit<Reset, 'type'>[] | null
  /** When to ask again, in milliseconds; 0 is at once. */
  readonly poll_after_ms: number
}
