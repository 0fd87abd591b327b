import type { EventOf, Reset } from './events.ts'
import type { StreamState } from './inbox.ts'
import type { StreamOptions } from './options.ts'

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

/** What came at once: the cursors before and behind it, and the events and resets between. */
export interface Batch {
  readonly from: string | undefined
  readonly to: string
  readonly frames: readonly Frame[]
}

/** What somebody wants to read. */
export interface Wish {
  readonly topics: readonly string[]
}

/** What a tab wants; one that says nothing of topics is gone. */
export interface Tab extends Wish {
  readonly id: string
  readonly isHidden: boolean
}

/** An event or a reset. */
export type Frame = { readonly type: string } & Partial<
  Pick<EventOf, 'topic'> & Pick<Reset, 'topics'>
>

/** What the leader says of the connection. */
export interface News {
  readonly state: StreamState
  readonly read: readonly string[]
  readonly cursor: string | undefined
}

/** What tabs tell each other. */
export type Message = Partial<Batch & Tab & News> & {
  /** A leader has begun, and wants to know what the tabs want. */
  readonly who?: boolean
  readonly again?: boolean
}

/** All topics of the wishes, each once. */
export function union(wishes: Iterable<Wish>): string[] {
  return [...new Set([...wishes].flatMap(({ topics }) => topics))].sort()
}

/** Whether a frame is of one of the topics. */
export function isOf({ topic, topics = [topic!] }: Frame, wanted: readonly string[]): boolean {
  return topics.some((one) => wanted.includes(one))
}
