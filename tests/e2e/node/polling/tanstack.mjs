import { useQuery } from '@tanstack/react-query'
import { every, get, passes, pause } from './job.mjs'

export function useJob(id, fetcher = get) {
  return useQuery({
    queryKey: ['job', id],
    queryFn: ({ signal }) => fetcher(`/api/jobs/${id}`, { signal }),
    refetchInterval: ({ state }) => every(state.data) || false,
    staleTime: ({ state }) => (state.data?.done ? Infinity : 0),
    retry: (count, error) => passes(error) && count < 30,
    retryDelay: (count, error) => pause(error, count),
  })
}
