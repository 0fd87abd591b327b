import { type Api, ask, once } from './api.ts'
import type { MillraceError } from './errors.ts'

/** What Ably's clients call to get a token. */
export type AuthCallback = (
  params: unknown,
  done: (error: string | null, token: never) => void,
) => void

/** The option by which Ably's clients sign in here: `new Ably.Realtime({ authCallback: ablyAuth(api) })`. */
export function ablyAuth(api: Api): AuthCallback {
  return (_, done) => {
    ask<never>(api, '/chat/token').then(
      (token) => done(null, token),
      // The server answers these in Ably's shape: a ban has to end the connection for good.
      ({ problem, message }: MillraceError) => {
        done((problem as { error?: never }).error ?? message, undefined as never)
      },
    )
  }
}

/** Send a message through moderation; once, though it is sent again after a failure. */
export const sendMessage = (
  api: Api,
  room: string,
  data: unknown,
  key?: string,
): Promise<{ readonly id: string }> => once(api, `/chat/rooms/${room}/messages`, { data }, key)

/** Enter a public room, or accept an invitation (`join`); leave or decline (`leave`). */
export const tellRoom = (api: Api, room: string, what: 'join' | 'leave'): Promise<void> =>
  ask(api, `/chat/rooms/${room}/${what}`, { method: 'POST' })
