import { type Access, backoffMs, failure, request } from './request.ts'
import { systemClock } from './runtime.ts'

/** The server whose `/api` is asked. */
export interface Api extends Access {
  /** By default the page's own. */
  readonly origin?: string | undefined
}

/** One request. */
export interface Ask {
  readonly method?: string
  /** Sent as JSON, by POST. */
  readonly body?: unknown
  readonly query?: Readonly<Record<string, string>> | undefined
  /** It is done once, though it is sent up to three times while failures are temporary. */
  readonly isOnce?: boolean
  /** What is sent under the same key is done once; made up for `isOnce`. */
  readonly key?: string | undefined
  /** How often it is sent while failures are temporary. */
  readonly tries?: number
  readonly signal?: AbortSignal | undefined
  readonly cache?: RequestCache
}

/**
 * The JSON answer of `/api` + `path`, undefined where there is none. A token that has expired is
 * renewed once. Raises MillraceError.
 */
export async function ask<Answer>(api: Api, path: string, wanted: Ask = {}): Promise<Answer> {
  const { body, query, isOnce, tries = isOnce ? 3 : 1, ...rest } = wanted
  const { random = Math.random, origin = '' } = api
  const { key = isOnce && `${random()}${random()}` } = wanted
  const url = `${origin}/api${path}${query ? `?${new URLSearchParams(query)}` : ''}`
  const init = {
    method: body ? 'POST' : 'GET',
    ...rest,
    ...(body !== undefined && { body: JSON.stringify(body) }),
    headers: {
      Accept: 'application/json',
      ...(body !== undefined && { 'Content-Type': 'application/json' }),
      ...(key && { 'Idempotency-Key': key }),
    },
  }
  for (let failures = 0, fresh = false; ; ) {
    try {
      const response = await request(api, url, init, fresh)
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

/** Returns after `ms`, or as soon as the signal is given. */
export function pause({ clock = systemClock }: Api, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    clock.after(ms, resolve)
    signal?.addEventListener('abort', () => resolve())
  })
}
