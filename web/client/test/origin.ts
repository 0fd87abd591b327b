import type { Channel, Locks, NewChannel } from '../src/index.ts'

/** Web Locks and BroadcastChannel of one origin, for tabs by number; a killed tab says nothing more. */
export function tabsOfOneOrigin() {
  const dead = new Set<number>()
  const deaf = new Set<number>()
  const channels = new Set<{ id: number; name: string; told: (data: unknown) => void }>()
  const queue: { id: number; hold: () => Promise<void> }[] = []
  let holder: number | undefined

  const grant = (): void => {
    while (queue.length && dead.has(queue[0]!.id)) queue.shift()
    const next = holder === undefined ? queue.shift() : undefined
    if (!next) return
    holder = next.id
    void next.hold().then(() => release(next.id))
  }
  const release = (id: number): void => {
    if (holder !== id) return
    holder = undefined
    grant()
  }
  const locks = (id: number): Locks => ({
    async request(_, { signal }, hold) {
      const wish = { id, hold }
      signal.addEventListener('abort', () => {
        const at = queue.indexOf(wish)
        if (at >= 0) queue.splice(at, 1)
      })
      queue.push(wish)
      setImmediate(grant)
    },
  })
  const channel = (id: number): NewChannel =>
    class implements Channel {
      onmessage: Channel['onmessage'] = null
      #own

      constructor(name: string) {
        this.#own = { id, name, told: (data: unknown) => this.onmessage?.({ data }) }
        channels.add(this.#own)
      }

      postMessage(data: unknown): void {
        const copy = structuredClone(data)
        for (const other of channels) {
          if (other.name !== this.#own.name || other === this.#own || dead.has(id)) continue
          const isLost = () =>
            dead.has(other.id) || (deaf.has(other.id) && String(data).includes('frames'))
          setImmediate(() => isLost() || other.told(copy))
        }
      }

      close(): void {
        channels.delete(this.#own)
      }
    }
  const kill = (id: number): void => {
    dead.add(id)
    release(id)
    grant()
  }
  /** Events that are sent to that tab are lost from now on, or come again. */
  const deafen = (id: number, isDeaf: boolean): void => {
    if (isDeaf) deaf.add(id)
    else deaf.delete(id)
  }
  return { locks, channel, kill, deafen }
}
