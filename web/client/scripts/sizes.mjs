// Prints the sizes of what a page loads, minified and compressed, in bytes: ours, and clients of
// others that are installed. With `--check` it fails where one of ours is above its limit.
import { build } from 'esbuild'
import { existsSync } from 'node:fs'
import { gzipSync } from 'node:zlib'

// The whole is to come down to 5000; until then it must not grow.
const LIMITS = { core: 3000, whole: 5480 }
const ELSEWHERE = '../../tests/e2e/node/node_modules'
const entries = {
  core: "export { EventStream } from './src/stream.ts'",
  whole: "export * from './src/index.ts'",
  'eventsource-client': "export { createEventSource } from 'eventsource-client'",
}
if (existsSync(`${ELSEWHERE}/@upstash/realtime`)) {
  entries['@upstash/realtime'] =
    `export * from '${ELSEWHERE}/@upstash/realtime/dist/client/index.js'`
}

let isTooLarge = false
for (const [name, contents] of Object.entries(entries)) {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: '.' },
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    external: ['react', 'react-dom', 'react/*'],
    define: { 'process.env.NODE_ENV': '"production"' },
    write: false,
  })
  const size = gzipSync(outputFiles[0].contents, { level: 9 }).length
  const limit = LIMITS[name]
  isTooLarge ||= size > limit
  console.log(`${name} ${size}${limit ? ` of ${limit}` : ''}`)
}
process.exitCode = process.argv.includes('--check') && isTooLarge ? 1 : 0
