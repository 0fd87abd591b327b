import type { Access } from './request.ts'
import type { CursorKeeper, PageSignals } from './runtime.ts'

/** How a stream is read. All times are in milliseconds. */
export interface StreamOptions extends Access {
  readonly topics?: readonly string[]
  /** More parameters of the address, such as `types` and `history`. */
  readonly query?: Readonly<Record<string, string>>
  /** Begin after this cursor, rather than after the one that was kept. */
  readonly cursor?: string | undefined
  /** Where the cursor is kept over a reload. By default the session's storage, by address. */
  readonly keeper?: CursorKeeper | undefined
  /** Be silent once the page has been hidden for so long. A minute by default. */
  readonly pauseWhenHidden?: number | undefined
  /** A stream that is silent for so long is dead. By default three times its keep-alive. */
  readonly stallMs?: number | undefined
  /** The longest pause after failures; they begin with 1 s and double. 30 s by default. */
  readonly maxBackoffMs?: number | undefined
  /** How long to poll before a stream is tried, where streams arrive buffered. 5 min by default, 0 is never. */
  readonly pollMs?: number | undefined
  /** Begin with polls, for where `fetch` has no streams. */
  readonly isPolling?: boolean | undefined

  readonly page?: PageSignals | undefined
}
