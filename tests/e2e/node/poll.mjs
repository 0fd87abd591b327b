// A page in jsdom that shows one job, by a hook of `polling/`. Prints a line for each answer that
// its fetcher got, and one for each state that the page showed. On a line of stdin it gets focus.
import { createInterface } from 'node:readline'

import { JSDOM } from 'jsdom'

const { URL_, TOKEN, JOB, HOOK } = process.env
const print = (line) => void process.stdout.write(`${JSON.stringify(line)}\n`)

const dom = new JSDOM('<main></main>', { url: URL_, pretendToBeVisual: true })
globalThis.window = dom.window
globalThis.document = dom.window.document
// Newer versions of Node have one of their own, which cannot be assigned to.
Object.defineProperty(globalThis, 'navigator', { value: dom.window.navigator, configurable: true })

// Only now: the libraries look for a window when they are loaded.
const { createElement, useEffect } = await import('react')
const { createRoot } = await import('react-dom/client')
const { useJob } = await import(`./polling/${HOOK}.mjs`)
const { withEtags } = await import('./polling/etags.mjs')

const fetcher = withEtags(async (path, init) => {
  const asked = performance.now()
  const headers = { ...init.headers, Authorization: `Bearer ${TOKEN}` }
  const answer = await fetch(new URL(path, URL_), { ...init, headers })
  const header = (name) => Number(answer.headers.get(name))
  const hints = { hint: header('X-Poll-After-Ms'), retry_after_ms: 1000 * header('Retry-After') }
  print({ asked, answered: performance.now(), status: answer.status, ...hints })
  return answer
})

function Page() {
  const { data: job, error } = useJob(JOB, fetcher)
  const shown = job ? `${job.status} ${job.version}` : 'loading'
  useEffect(() => print({ shown, done: job?.done ?? false }), [shown])
  useEffect(() => { if (error) print({ error: error.status ?? 'network' }) }, [error])
  return createElement('p', null, shown)
}

let page = createElement(Page)
if (HOOK === 'tanstack') {
  const { QueryClient, QueryClientProvider } = await import('@tanstack/react-query')
  page = createElement(QueryClientProvider, { client: new QueryClient() }, page)
}
createRoot(document.querySelector('main')).render(page)

createInterface({ input: process.stdin })
  .on('line', () => {
    for (const target of [window, document]) {
      for (const type of ['visibilitychange', 'focus', 'online']) {
        target.dispatchEvent(new window.Event(type))
      }
    }
    print({ focused: true })
  })
  .on('close', () => process.exit())
