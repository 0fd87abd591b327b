// How to poll a job: when to ask again, what an answer is, and what to do after a failure.

export const every = (job) => (!job ? 1000 : job.done ? 0 : job.poll_after_ms)

export async function get(url, init) {
  const answer = await fetch(url, init)
  if (!answer.ok) throw await failure(answer)
  return answer.json()
}

export async function failure(answer) {
  const problem = await answer.json().catch(() => ({}))
  const retryAfterMs = Number(answer.headers.get('Retry-After') ?? 0) * 1000
  return Object.assign(new Error(problem.title ?? answer.statusText), {
    status: answer.status, problem, retryAfterMs,
  })
}

// Without a status the network failed; 429 and 5xx pass. Everything else will not get better.
export const passes = ({ status = 503 }) => status === 429 || status >= 500

export const pause = (error, count) =>
  Math.max(error.retryAfterMs ?? 0, Math.min(1000 * 2 ** count, 30_000) * (0.5 + Math.random() / 2))
