/** Where time comes from. */
export interface Clock {
  /** Milliseconds since 1970. Over a sleep of the machine it goes on, and timers do not. */
  now(): number
  /** Run `work` in `ms` milliseconds; returns what cancels that. */
  after(ms: number, work: () => void): () => void
}

/** The part of `sessionStorage` that is used. */
export type CursorStorage = Pick<Storage, 'getItem' | 'setItem'>

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

/** Reads, or with an argument writes, a cursor under `key`. It may come to nothing, and says so not. */
export function cursorKeeper(key: string, storage?: CursorStorage) {
  return (cursor?: string): string | undefined => {
    try {
      const place = storage ?? sessionStorage
      if (cursor === undefined) return (key && place.getItem(key)) || undefined
      if (key) place.setItem(key, cursor)
    } catch {
      // There is none, it is full, or a page in a sandbox may not use it.
    }
    return undefined
  }
}
