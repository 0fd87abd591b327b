// Lints the OpenAPI document named on the command line with Redocly's recommended rules, and prints
// what it finds, a line each.
import { createConfig, lint } from '@redocly/openapi-core'

const config = await createConfig({
  extends: ['recommended'],
  rules: {
    // The licence of an API is for those who deploy it to choose.
    'info-license': 'off',
    // Health and the documents themselves refuse nobody.
    'operation-4xx-response': 'off',
    // The events of a stream: no JSON answer refers to them, AsyncAPI describes when they come.
    'no-unused-components': 'off',
    // Each branch of a `oneOf` speaks of some properties only; bodies forbid unknown ones themselves.
    'no-invalid-media-type-examples': { severity: 'warn', allowAdditionalProperties: true },
  },
})
for (const problem of await lint({ ref: process.argv[2], config })) {
  const place = problem.location[0]?.pointer
  console.log(`${problem.severity} ${problem.ruleId} ${place}: ${problem.message}`)
}
