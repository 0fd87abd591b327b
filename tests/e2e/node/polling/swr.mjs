import useSWR from 'swr'
import { every, get, passes, pause } from './job.mjs'

function honourRetryAfter(error, key, config, revalidate, { retryCount }) {
  if (passes(error)) setTimeout(() => revalidate({ retryCount }), pause(error, retryCount))
}

export function useJob(id, fetcher = get) {
  return useSWR(`/api/jobs/${id}`, fetcher, {
    refreshInterval: every,
    dedupingInterval: 250,
    revalidateOnFocus: false,
    revalidateOnReconnect: false,
    onErrorRetry: honourRetryAfter,
  })
}
