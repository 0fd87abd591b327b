import type { StreamOptions } from './options.ts'
import { EventStream } from './stream.ts'
import type { Frame } from './tab-protocol.ts'

/** A stream whose events and resets come in batches, each with the cursor behind it. */
export function batched(
  url: string,
  options: StreamOptions,
  take: (frames: readonly Frame[], to: string) => void,
): EventStream {
  let frames: Frame[] = []
  const keeper = (to?: string) => {
    if (to === undefined) return
    const all = frames
    frames = []
    take(all, to)
  }
  const stream = new EventStream(url, { ...options, keeper })
  const add = (frame: Frame) => void frames.push(frame)
  stream.on('*', add)
  stream.on('reset', add)
  return stream
}
