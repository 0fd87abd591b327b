// Bundles each test for Node into build/test, or with `--page` prints the client as one script that
// makes it `globalThis.millrace`, for pages without a bundler.
import { build } from 'esbuild'
import { readdirSync } from 'node:fs'

const common = { bundle: true, target: 'es2022', logLevel: 'warning' }
if (process.argv.includes('--page')) {
  const { outputFiles } = await build({
    ...common,
    entryPoints: ['src/index.ts'],
    format: 'iife',
    globalName: 'millrace',
    write: false,
  })
  process.stdout.write(outputFiles[0].text)
} else {
  const tests = readdirSync('test').filter((name) => name.endsWith('.test.ts'))
  await build({
    ...common,
    entryPoints: tests.map((name) => `test/${name}`),
    format: 'esm',
    platform: 'node',
    outdir: 'build/test',
    outExtension: { '.js': '.mjs' },
    sourcemap: 'inline',
  })
}
