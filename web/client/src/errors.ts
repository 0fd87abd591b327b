/** An error of the server, RFC 9457. Decide by `code`; `remediation` says what to do first. */
export interface Problem {
  readonly title?: string
  readonly code?: string
  readonly detail?: string
  readonly remediation?: string
  readonly ref?: string
  readonly errors?: readonly { readonly field: string; readonly message: string }[]
}

/**
 * What went wrong: no answer (or a `getToken` that failed), an answer with a status of failure,
 * nothing received for too long, or an answer that is no event stream.
 */
export type FailureKind = 'network' | 'status' | 'stalled' | 'not-a-stream'

/** The one error of this package. */
export class MillraceError extends Error {
  /** Whether the same request may succeed later. */
  readonly isTemporary: boolean

  constructor(
    readonly kind: FailureKind,
    message: string,
    /** The HTTP status, for the kind `status`; 0 otherwise. */
    readonly status = 0,
    readonly problem: Problem = {},
    /** The least pause that the server asks for, in milliseconds. */
    readonly retryAfterMs = 0,
  ) {
    super(message)
    this.isTemporary = !status || status > 499 || [408, 425, 429].includes(status)
  }
}

/** What an answer with a status of failure says. */
export async function refusal(response: Response): Promise<MillraceError> {
  const { status } = response
  const problem = (await response.json().catch(() => ({}))) as Problem
  const message = problem.detail ?? problem.title ?? `HTTP ${status}`
  // A date, which HTTP allows too, is no number: the usual pause will do.
  const retryAfterMs = Number(response.headers.get('retry-after')) * 1000 || 0
  return new MillraceError('status', message, status, problem, retryAfterMs)
}
