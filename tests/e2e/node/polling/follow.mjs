import { failure, get } from './job.mjs'

export async function follow(id, show) {
  let job = await get(`/api/jobs/${id}`)
  show(job)
  while (!job.done) {
    const url = `/api/jobs/${id}?wait=20&after=${job.version}`
    const answer = await fetch(url, { cache: 'no-store' })
    if (answer.status === 304) continue
    if (!answer.ok) throw await failure(answer)
    job = await answer.json()
    show(job)
  }
  return job
}
