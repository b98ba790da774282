// The same questions, answered by looking at every record: what a server does that keeps records as JavaScript objects.
// Reads records, one a line, and prints the median nanoseconds of each way.
import { readFileSync } from 'node:fs'

const lines = readFileSync(process.argv[2], 'utf8').trim().split('\n')
const records = lines.map((line) => JSON.parse(line))
const query = { country: 'c17', people: { $gte: 0 } }

const at = (record, path) => path.split('.').reduce((value, name) => value?.[name], record)
const tests = {
  $eq: (a, b) => a === b,
  $gt: (a, b) => typeof a === typeof b && a > b,
  $gte: (a, b) => typeof a === typeof b && a >= b,
  $lt: (a, b) => typeof a === typeof b && a < b,
  $in: (a, b) => b.includes(a),
}
const holds = (record, query) =>
  Object.entries(query).every(([path, wanted]) => {
    const value = at(record, path)
    if (wanted === null || typeof wanted !== 'object') return value === wanted
    return Object.entries(wanted).every(([operator, operand]) => tests[operator](value, operand))
  })
const answer = (all) => {
  const found = all.filter((record) => holds(record, query))
  found.sort((a, b) => b._date_modified - a._date_modified)
  return JSON.stringify(found.slice(0, 20))
}

const median = (work) => {
  for (let n = 0; n < 20; n++) work()
  const times = []
  for (let n = 0; n < 60; n++) {
    const began = process.hrtime.bigint()
    work()
    times.push(process.hrtime.bigint() - began)
  }
  return times.sort((a, b) => (a < b ? -1 : 1))[30]
}

console.log(JSON.parse(answer(records)).length)
console.log(String(median(() => answer(records))))
console.log(String(median(() => answer(lines.map((line) => JSON.parse(line))))))
