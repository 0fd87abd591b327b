import { type Api, ask, once } from './api.ts'
import type { Problem } from './errors.ts'

/** An event to publish. */
export interface NewEvent {
  readonly topic: string
  readonly type: string
  readonly data?: unknown
  readonly idempotency_key?: string
}

/** What became of one event of several. */
export interface PublishResult {
  readonly status: number
  readonly id: string | null
  readonly problem: Problem | null
}

/** Publish one event; returns its id. It is stored once, though it is sent again after a failure. */
export async function publish(
  api: Api,
  topic: string,
  event: { readonly type: string; readonly data?: unknown },
  key?: string,
): Promise<string> {
  return (await once<{ id: string }>(api, `/events/${topic}`, event, key)).id
}

/** Publish up to 100 events, each with a result of its own. */
export async function publishAll(
  api: Api,
  events: readonly NewEvent[],
): Promise<readonly PublishResult[]> {
  return (await ask<{ results: PublishResult[] }>(api, '/events', { body: { events } })).results
}
