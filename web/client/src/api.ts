import { type Access, backoffMs, failure, request } from './request.ts'
import { systemClock } from './runtime.ts'

/** The server whose `/api` is asked. */
export interface Api extends Access {
  /** By default the page's own. */
  readonly origin?: string | undefined
}

/** One request. */
export interface Ask {
  /** By default POST with a body, and GET without. */
  readonly method?: string
  /** Sent as JSON. */
  readonly body?: unknown
  readonly query?: Readonly<Record<string, string>> | undefined
  /** What is sent under the same key is done once. */
  readonly key?: string
  /** How often it is sent while failures are temporary; once by default. */
  readonly tries?: number
  readonly signal?: AbortSignal | undefined
  readonly cache?: RequestCache
}

/**
 * The JSON answer of `/api` + `path`, undefined where there is none. A token that has expired is
 * renewed once. Raises MillraceError.
 */
export async function ask<Answer>(api: Api, path: string, wanted: Ask = {}): Promise<Answer> {
  const { body, query, key, tries = 1, ...rest } = wanted
  const headers: Record<string, string> = {}
  if (body) headers['Content-Type'] = 'application/json'
  if (key) headers['Idempotency-Key'] = key
  const url = `${api.origin ?? ''}/api${path}?${new URLSearchParams(query)}`
  const init = {
    method: body ? 'POST' : 'GET',
    body: body && JSON.stringify(body),
    headers,
    ...rest,
  }
  for (let failures = 0, fresh = false; ;) {
    try {
      const response = await request(api, url, init as typeof init & { body?: string }, fresh)
      // 204 and 304 have no body.
      return (response.status % 100 === 4 ? undefined : await response.json()) as Answer
    } catch (thrown) {
      const error = failure(thrown)
      if (error.status === 401 && api.getToken && !fresh) fresh = true
      else if (!error.isTemporary || ++failures >= tries || rest.signal?.aborted) throw error
      else await pause(api, backoffMs(api, failures, error.retryAfterMs), rest.signal)
    }
  }
}

/** As `ask`, of what is done once though it is sent up to three times while failures are temporary. */
export function once<Answer>(
  api: Api,
  path: string,
  body: unknown,
  key = String((api.random ?? Math.random)()),
): Promise<Answer> {
  return ask(api, path, { body, key, tries: 3 })
}

/** Returns after `ms`, or as soon as the signal is given. */
export function pause(
  { clock = systemClock }: Api,
  ms: number,
  signal?: AbortSignal,
): Promise<void> {
  return new Promise((resolve) => {
    clock.after(ms, resolve)
    signal?.addEventListener('abort', () => resolve())
  })
}
