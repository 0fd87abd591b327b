import { type Api, ask, once } from './api.ts'
import type { EventOf } from './events.ts'
import type { Page } from './jobs.ts'

/** A notification, as it is listed. */
export type Notification = EventOf<
  'notification',
  {
    readonly level: 'info' | 'success' | 'warning' | 'error'
    readonly title: string
    readonly body: string
    readonly link: string | null
    readonly data: unknown
  }
> & { readonly read: boolean }

/** One page of notifications. */
export interface NotificationsPage extends Page<Notification> {
  /** Where the first page stands: for `up_to`, and to stream on from there. */
  readonly seen?: string
}

/** What a notification is made of. */
export interface NewNotification {
  /** `all`, or users by id or segment. */
  readonly to: 'all' | readonly string[]
  readonly title: string
  readonly level?: Notification['data']['level']
  readonly body?: string
  readonly link?: string
  readonly data?: unknown
}

/** An entry of a feed. */
export type Activity = EventOf<
  string,
  {
    readonly actor: string
    readonly verb: string
    readonly object: ActivityObject
    readonly details: Readonly<Record<string, unknown>>
  }
>

/** What was acted on. */
export interface ActivityObject {
  readonly type: string
  readonly id: string
  readonly title?: string
  readonly link?: string
}

/** Parameters of a list, such as `limit` and `cursor`. */
export type Query = Readonly<Record<string, string>>

/** The topics to watch for a user's notifications; a change on them is news for the lists. */
export const notificationTopics = (userSegment: string): string[] => [
  `user:${userSegment}:notifications`,
  'public:notifications',
]

/** The caller's notifications, newest first. `query` may have `limit`, `cursor` and `unread`. */
export const listNotifications = (api: Api, query?: Query): Promise<NotificationsPage> =>
  ask(api, '/notifications', { query })

/** How many of the caller's notifications are unread. */
export const countUnread = async (api: Api): Promise<number> =>
  (await ask<{ unread: number }>(api, '/notifications/unread')).unread

/** Mark some as read, or all up to a cursor. */
export const markRead = (
  api: Api,
  which: { readonly up_to: string } | { readonly ids: readonly string[] },
): Promise<void> => ask(api, '/notifications/read', { body: which })

/** Hide one from the caller, for good. */
export const removeNotification = (api: Api, { topic, id }: EventOf): Promise<void> =>
  ask(api, `/notifications/${topic}/${id}`, { method: 'DELETE' })

/** Notify users; once, though it is sent again after a failure. */
export const notify = (api: Api, notification: NewNotification, key?: string): Promise<void> =>
  once(api, '/notifications', notification, key)

/** The topic of the feed `public`, `user:<id>` or `workspace:<id>`. */
export const activityTopic = (feed: string): string => `${feed}:activity`

/** A feed, newest first. `query` may have `limit` and `cursor`. */
export const listActivity = (api: Api, feed: string, query?: Query): Promise<Page<Activity>> =>
  ask(api, `/activity/${feed}`, { query })

/** Add to a feed; once, though it is sent again after a failure. */
export const addActivity = (
  api: Api,
  feed: string,
  entry: { readonly verb: string; readonly object: ActivityObject; readonly details?: object },
  key?: string,
): Promise<{ readonly id: string; readonly topic: string }> =>
  once(api, `/activity/${feed}`, entry, key)
