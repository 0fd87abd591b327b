import { MillraceError, refusal } from './errors.ts'
import type { Clock } from './runtime.ts'

/** Returns the token of the moment. `fresh` is true where one that is kept may have expired. */
export type GetToken = (wanted: { readonly fresh: boolean }) => Promise<string> | string

/** What is sent with a request. */
export type Init = RequestInit & { readonly headers?: Readonly<Record<string, string>> }

/** How a server is asked, and as whom. */
export interface Access {
  /** Asked for each request. Without it the session cookie says who calls. */
  readonly getToken?: GetToken | undefined
  /** More for `fetch`, such as `credentials`. */
  readonly init?: Init | undefined
  readonly fetch?: typeof fetch | undefined
  readonly clock?: Clock | undefined
  /** From 0 up to 1. */
  readonly random?: (() => number) | undefined
}

/** The answer, with a token in the request. Raises MillraceError for a status of failure. */
export async function request(access: Access, url: string, wanted: Init, fresh: boolean): Promise<Response> {
  const { getToken, init, fetch = globalThis.fetch } = access
  const token = await getToken?.({ fresh })
  const headers = {
    ...init?.headers,
    ...wanted.headers,
    ...(token && { Authorization: `Bearer ${token}` }),
  }
  const response = await fetch(url, { ...init, ...wanted, headers })
  if (response.ok || response.status === 304) return response
  throw await refusal(response)
}

/** What is thrown, as an error of ours: what is none is the network's, or that of a `getToken`. */
export function failure(error: unknown): MillraceError {
  return error instanceof MillraceError ? error : new MillraceError('network', String(error))
}

/** A pause of full jitter, which doubles with each failure; `leastMs` is what the server asks for. */
export function backoffMs({ random = Math.random }: Access, failures: number, leastMs: number, mostMs = 30_000): number {
  return Math.max(random() * Math.min(mostMs, 1000 * 2 ** failures), leastMs)
}
