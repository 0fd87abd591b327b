import type { MillraceError } from './errors.ts'
import type { EventMap, EventName, EventOf, Payload, Reset } from './events.ts'

/** What a stream is doing. A new object comes with each change. */
export type StreamState =
  | { readonly status: 'connecting' | 'paused' }
  | { readonly status: 'open'; readonly via: 'stream' | 'poll' }
  | {
      readonly status: 'reconnecting'
      /** How many attempts have been made since something was received last. */
      readonly attempt: number
      /** When the next one is made, in milliseconds since 1970. */
      readonly nextRetryAt: number
      /** Why, unless the server had ended the stream in order. */
      readonly error?: MillraceError | undefined
    }
  | { readonly status: 'closed'; readonly error?: MillraceError | undefined }

type Handler = (payload: unknown) => void

/** The state before anything is known. */
export const CONNECTING: StreamState = { status: 'connecting' }

/** Who listens, and what has been delivered: what all kinds of streams share. */
export abstract class Inbox<E extends EventMap = EventMap> {
  #state = CONNECTING
  // Those who listen to `state` are under the empty name.
  readonly #handlers: Record<string, Set<Handler>> = {}
  readonly #newest: Record<string, string> = {}

  /** What the stream is doing now. */
  get state(): StreamState {
    return this.#state
  }

  /** Have `listener` called after each change of `state`; returns what ends that. */
  subscribe(listener: () => void): () => void {
    return this.#add('', listener)
  }

  /** Have `handler` called with each event of that type; returns what ends that. */
  on<K extends EventName<E>>(type: K, handler: (event: Payload<E, K>) => void): () => void {
    return this.#add(type, handler as Handler)
  }

  /** Ask again now, without waiting for a pause to pass; also after the stream has closed. */
  abstract reconnect(): void

  /** End it. `reconnect` begins anew. */
  abstract close(): void

  protected setState(state: StreamState): void {
    this.#state = state
    this.#call('')
  }

  /** Hand `payload` to its handlers, unless it is an event that has been delivered before. */
  protected deliver(type: string, payload: unknown): void {
    const { id, topic, topics = [] } = payload as Partial<EventOf & Reset>
    if (topic) {
      if (!isNewer(id!, this.#newest[topic])) return
      this.#newest[topic] = id!
      this.#call('*', payload)
    }
    // Behind a gap a log may have begun anew, with ids from any time.
    if (type === 'reset') for (const one of topics) delete this.#newest[one]
    this.#call(type, payload)
  }

  #add(type: string, handler: Handler): () => void {
    const handlers = (this.#handlers[type] ??= new Set())
    handlers.add(handler)
    return () => handlers.delete(handler)
  }

  #call(type: string, payload?: unknown): void {
    for (const handler of [...(this.#handlers[type] ?? [])]) {
      try {
        handler(payload)
      } catch (error) {
        // It belongs to the page: reported as uncaught, and no reason to end the stream.
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }
}

/** Whether the event `id` comes after `than` in their topic. */
export function isNewer(id: string, than = '0-0'): boolean {
  const [ms, seq] = id.split('-').map(Number) as [number, number]
  const [thanMs, thanSeq] = than.split('-').map(Number) as [number, number]
  return (ms - thanMs || seq - thanSeq) > 0
}
