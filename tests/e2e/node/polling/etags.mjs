import { failure } from './job.mjs'

// For clients without an HTTP cache, such as Node and React Native. A browser has one, and does
// this by itself.
export function withEtags(fetch) {
  const known = new Map()
  return async function get(url, init) {
    const before = known.get(url)
    const condition = before && { 'If-None-Match': before.etag }
    const answer = await fetch(url, { ...init, headers: { ...init?.headers, ...condition } })
    if (answer.status === 304) {
      return { ...before.body, poll_after_ms: Number(answer.headers.get('X-Poll-After-Ms')) }
    }
    if (!answer.ok) throw await failure(answer)
    const body = await answer.json()
    known.set(url, { etag: answer.headers.get('ETag'), body })
    return body
  }
}
