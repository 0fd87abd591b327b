import { type Api, ask, once, pause } from './api.ts'
import type { Problem } from './errors.ts'
import { EventStream } from './stream.ts'

/** A job as it was when the server answered. Decide by `done`: new statuses may come. */
export interface Job<Result = unknown> {
  readonly id: string
  readonly type: string
  readonly status:
    'queued' | 'running' | 'succeeded' | 'failed' | 'canceled' | 'expired' | (string & {})
  readonly done: boolean
  /** One more with every change. */
  readonly version: number
  /** 0 to 100. */
  readonly progress: number | null
  readonly step: {
    readonly key: string
    readonly index: number
    readonly total: number
    readonly label: string
  } | null
  readonly message: string | null
  readonly queue_position: number | null
  readonly attempt: number
  readonly max_attempts: number
  readonly next_attempt_at: string | null
  readonly cancel_requested: boolean
  readonly cancelable: boolean
  readonly retryable: boolean
  readonly created_at: string
  readonly updated_at: string
  readonly started_at: string | null
  readonly finished_at: string | null
  readonly expires_at: string | null
  readonly result: Result | null
  readonly result_url: string | null
  readonly error: (Problem & { readonly retryable?: boolean }) | null
  /** When to ask again, in milliseconds; 0 when done. */
  readonly poll_after_ms: number
}

/** One page of a list, and where the next begins. */
export interface Page<Item> {
  readonly data: readonly Item[]
  readonly next_cursor: string | null
  readonly has_more: boolean
}

/** How a job is followed. */
export interface Follow<Result = unknown> {
  /** Ask when the server says, or let it hold the answer until there is news, or be told. */
  readonly via?: 'poll' | 'wait' | 'stream'
  /** Called with the present state, and with each newer one. */
  readonly onChange?: (job: Job<Result>) => void
  /** Ends it: `followJob` fails, as `fetch` does. */
  readonly signal?: AbortSignal
}

/** Have a job done. It is created once, though it is asked for again after a failure. */
export function startJob<Result = unknown>(
  api: Api,
  type: string,
  input: unknown = {},
  key?: string,
): Promise<Job<Result>> {
  return once(api, '/jobs', { type, input }, key)
}

/** The job as it is now. */
export function getJob<Result = unknown>(api: Api, id: string): Promise<Job<Result>> {
  return ask(api, `/jobs/${id}`)
}

/** The caller's own jobs, newest first. `query` may have `status`, `type`, `limit`, `cursor`. */
export function listJobs(api: Api, query?: Record<string, string>): Promise<Page<Job>> {
  return ask(api, '/jobs', { query })
}

/** Ask a job to stop (`cancel`), or queue one again that has failed (`retry`). */
export function tellJob(api: Api, id: string, what: 'cancel' | 'retry'): Promise<Job> {
  return ask(api, `/jobs/${id}/${what}`, { method: 'POST' })
}

/** Follow a job to its end; returns how it was then. Raises MillraceError if it cannot be read. */
export async function followJob<Result = unknown>(
  api: Api,
  id: string,
  follow: Follow<Result> = {},
): Promise<Job<Result>> {
  const { via = 'poll', onChange, signal } = follow
  const path = `/jobs/${id}`
  let last: Job<Result> | undefined
  const show = (job: Job<Result> | undefined) => {
    if (!job || (last && job.version < last.version)) return
    last = job
    onChange?.(job)
  }
  while (!last?.done) {
    signal?.throwIfAborted()
    if (via === 'stream') await streamed(api, `${path}/events`, show, signal)
    else {
      const waits = via === 'wait' && last
      const query = waits ? { wait: '20', after: String(waits.version) } : undefined
      const cache = query ? 'no-store' : 'default'
      show(await ask(api, path, { query, signal, cache, tries: Infinity }))
      if (via === 'poll') await pause(api, last!.poll_after_ms, signal)
    }
  }
  return last
}

/** Returns when the stream is over. */
function streamed<Result>(
  api: Api,
  path: string,
  show: (job: Job<Result>) => void,
  signal?: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const stream = new EventStream<{ job: never }>(`${api.origin ?? ''}/api${path}`, {
      ...api,
      keeper: () => {},
      pollMs: 0,
    })
    const end = () => stream.close()
    signal?.addEventListener('abort', end)
    stream.on('job', (event) => {
      // On this stream the data is the job itself.
      const job = event as unknown as Job<Result>
      show(job)
      if (job.done) end()
    })
    stream.subscribe(() => {
      if (stream.state.status !== 'closed') return
      if (stream.state.error) reject(stream.state.error)
      else resolve()
    })
  })
}
