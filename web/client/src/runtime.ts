/** Where time comes from. */
export interface Clock {
  /** Milliseconds since 1970. Over a sleep of the machine it goes on, and timers do not. */
  now(): number
  /** Run `work` in `ms` milliseconds; returns what cancels that. */
  after(ms: number, work: () => void): () => void
}

/** The part of `sessionStorage` that is used. */
export type CursorStorage = Pick<Storage, 'getItem' | 'setItem'>

/** What a page can tell. `pagehide`: it is being closed, or kept for a return by "back". */
export type PageSignal = 'hidden' | 'visible' | 'online' | 'pagehide'

/** Calls `told` at once if the page is hidden, and with each change; returns what ends that. */
export type Page = (told: (signal: PageSignal) => void) => () => void

/** The clock of the machine. */
export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, work) {
    const timer = setTimeout(work, ms)
    return () => clearTimeout(timer)
  },
}

/** The page of the browser. Without a document it is always visible and says nothing. */
export const browserPage: Page = (told) => {
  const page = globalThis.document
  if (!page) return () => {}
  const tell = ({ type }: { type: string }) =>
    told((type === 'visibilitychange' ? page.visibilityState : type) as PageSignal)
  const ending = new AbortController()
  if (page.hidden) told('hidden')
  page.addEventListener('visibilitychange', tell, ending)
  addEventListener('online', tell, ending)
  addEventListener('pagehide', tell, ending)
  return () => ending.abort()
}
