export { type Api, ask, type Ask } from './api.ts'
export { ablyAuth, type AuthCallback, sendMessage, tellRoom } from './chat.ts'
export { type FailureKind, MillraceError, type Problem } from './errors.ts'
export * from './events.ts'
export { Inbox, type StreamState } from './inbox.ts'
export * from './jobs.ts'
export * from './lists.ts'
export type { StreamOptions } from './options.ts'
export * from './publish.ts'
export { relay } from './relay.ts'
export type { Access, GetToken } from './request.ts'
export {
  type Clock,
  type CursorKeeper,
  type PageSignal,
  type PageSignals,
  sessionKeeper,
} from './runtime.ts'
export { EventStream } from './stream.ts'
export type { Channel, Locks, NewChannel, SharedOptions } from './tab-protocol.ts'
export { SharedStream } from './tabs.ts'
