import { MillraceError, refusal } from './errors.ts'
import type { Clock } from './runtime.ts'

/** Returns the token of the moment. `fresh` is true where one that is kept may have expired. */
export type GetToken = (wanted: { readonly fresh: boolean }) => Promise<string> | string

/** How a server is asked, and as whom. */
export interface Access {
  /** Asked for each request. Without it the session cookie says who calls. */
  readonly getToken?: GetToken | undefined
  /** By default the browser's. One of yours can add `credentials`, or more headers. */
  readonly fetch?: typeof fetch | undefined
  readonly clock?: Clock | undefined
  /** From 0 up to 1. */
  readonly random?: (() => number) | undefined
}

/** The answer, with a token in the request. Raises MillraceError for a status of failure. */
export async function request(
  { getToken, fetch = globalThis.fetch }: Access,
  url: string,
  init: RequestInit & { readonly headers: Record<string, string> },
  fresh: boolean,
): Promise<Response> {
  const token = await getToken?.({ fresh })
  if (token) init.headers['Authorization'] = `Bearer ${token}`
  const response = await fetch(url, init)
  if (response.ok || response.status === 304) return response
  throw await refusal(response)
}

/** What is thrown, as an error of ours: what is none is the network's, or that of a `getToken`. */
export function failure(error: unknown): MillraceError {
  return error instanceof MillraceError ? error : new MillraceError('network', String(error))
}

/** A pause of full jitter, which doubles with each failure; `leastMs` is what the server asks for. */
export function backoffMs(
  { random = Math.random }: Access,
  failures: number,
  leastMs: number,
  mostMs = 30_000,
): number {
  return Math.max(random() * Math.min(mostMs, 1000 * 2 ** failures), leastMs)
}
