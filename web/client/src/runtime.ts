/** Where time comes from. */
export interface Clock {
  /** Milliseconds since 1970. Over a sleep of the machine it goes on, and timers do not. */
  now(): number
  /** Run `work` in `ms` milliseconds; returns what cancels that. */
  after(ms: number, work: () => void): () => void
}

/** Called with each cursor, to keep it; without one it returns what it keeps. */
export type CursorKeeper = (cursor?: string) => string | null | undefined | void

/** What a page can tell. */
export type PageSignal = 'hidden' | 'visible' | 'online'

/** Calls `told` with each change, and how it is at first; returns what ends that. */
export type PageSignals = (told: (signal: PageSignal) => void) => () => void

/** The clock of the machine. */
export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, work) {
    const timer = setTimeout(work, ms)
    return () => clearTimeout(timer)
  },
}

/** The page of the browser. Without a document it is always visible and says nothing. */
export const browserPage: PageSignals = (told) => {
  const page = globalThis.document
  if (!page) return () => {}
  const tell = () => told(page.visibilityState as PageSignal)
  const ending = new AbortController()
  tell()
  page.addEventListener('visibilitychange', tell, ending)
  addEventListener('online', () => told('online'), ending)
  return () => ending.abort()
}

/** Keeps a cursor in the session's storage, where there is one, or in another. */
export function sessionKeeper(
  key: string,
  storage?: Pick<Storage, 'getItem' | 'setItem'>,
): CursorKeeper {
  return (cursor) => {
    try {
      const place = storage ?? sessionStorage
      return cursor === undefined ? place.getItem(key) : place.setItem(key, cursor)
    } catch {
      // There is none, it is full, or a page in a sandbox may not use it.
    }
  }
}
