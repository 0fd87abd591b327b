import type { Api } from './api.ts'
import type { EventMap } from './events.ts'
import type { StreamOptions } from './options.ts'
import { EventStream } from './stream.ts'

/** Reads a stream of somebody else, which the operator has named. */
export const relay = <E extends EventMap = EventMap>(
  api: Api,
  source: string,
  options?: StreamOptions,
): EventStream<E> =>
  new EventStream<E>(`${api.origin ?? ''}/api/relay/${source}`, { ...api, ...options })
