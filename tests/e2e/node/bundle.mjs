// Prints one script for a page without a bundler: it makes the packages named on the command line
// `globalThis.modules`, from their CommonJS builds, unmodified.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

const files = new Map()

function add(name, from) {
  const file = createRequire(from).resolve(name)
  if (files.has(file)) return file
  const text = readFileSync(file, 'utf8')
  const links = {}
  files.set(file, { text, links })
  for (const [, wanted] of text.matchAll(/\brequire\(['"]([^'"]+)['"]\)/g)) {
    links[wanted] = add(wanted, file)
  }
  return file
}

const entries = process.argv.slice(2).map((name) => [name, add(name, import.meta.url)])
const table = [...files].map(
  ([file, { text, links }]) =>
    `${JSON.stringify(file)}: [${JSON.stringify(links)}, (module, exports, require) => {${text}\n}]`,
)

process.stdout.write(`{
const process = { env: { NODE_ENV: 'production' } };
const files = {${table.join(',\n')}};
const loaded = {};
const load = (file) => {
  if (!loaded[file]) {
    const [links, run] = files[file];
    const module = loaded[file] = { exports: {} };
    run.call(module.exports, module, module.exports, (name) => load(links[name]));
  }
  return loaded[file].exports;
};
globalThis.modules = Object.fromEntries(
  ${JSON.stringify(entries)}.map(([name, file]) => [name, load(file)]),
);
}`)
