// The same questions, answered by servers that keep their records as JavaScript objects and look at every one:
//
//   loop    a loop written by hand for this one question, over objects in memory; it keeps the best twenty as it goes
//   matcher a small interpreter of the query language, over objects in memory
//   nedb    @seald-io/nedb, in which a CEPS server of today keeps its tables, without an index; through its own API
//   parsed  the matcher, but the table's text is read and parsed first
//
// Reads a file of records, one a line, and a file of questions: [{name, asked: [{q, sort}], limit}], with the sort as
// pairs of a field and a direction. The questions of one name are asked by turns. Prints a line of JSON for each name and
// way: the median nanoseconds from the question to the text of the answer, and the ids that were found for each question.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

const [, , recordsFile, questionsFile, packages] = process.argv
const text = readFileSync(recordsFile, 'utf8').trim()
const records = text.split('\n').map((line) => JSON.parse(line))
const questions = JSON.parse(readFileSync(questionsFile, 'utf8'))

// --- by hand

/** Keeps the first `limit` of an order while the records go by. */
const best = (limit, before) => {
  const kept = []
  return {
    kept,
    offer(record) {
      if (kept.length === limit && !before(record, kept[limit - 1])) return
      let at = kept.length
      while (at > 0 && before(record, kept[at - 1])) at--
      kept.splice(at, 0, record)
      if (kept.length > limit) kept.pop()
    },
  }
}
const newer = (a, b) => a._date_modified > b._date_modified
const morePeople = (a, b) => a.people > b.people || (a.people === b.people && newer(a, b))
const loops = {
  equality: ({ q: { country } }, limit) => {
    const found = best(limit, newer)
    for (const record of records) if (record.country === country) found.offer(record)
    return found.kept
  },
  range: ({ q: { people } }, limit) => {
    const found = best(limit, newer)
    const [from, to] = [people.$gte, people.$lt]
    for (const record of records) if (record.people >= from && record.people < to) found.offer(record)
    return found.kept
  },
  newest: (_, limit) => {
    const found = best(limit, newer)
    for (const record of records) found.offer(record)
    return found.kept
  },
  'sort + limit': (_, limit) => {
    const found = best(limit, morePeople)
    for (const record of records) found.offer(record)
    return found.kept
  },
  'equality, sort + limit': ({ q: { country } }, limit) => {
    const found = best(limit, morePeople)
    for (const record of records) if (record.country === country) found.offer(record)
    return found.kept
  },
  element: ({ q: { tags } }, limit) => {
    const found = best(limit, newer)
    for (const record of records) if (record.tags.includes(tags)) found.offer(record)
    return found.kept
  },
  text: ({ words }, limit) => {
    const found = best(limit, newer)
    const wanted = words.map((word) => new RegExp(`\\b${word}\\b`, 'i'))
    for (const record of records) if (wanted.every((word) => word.test(record.about))) found.offer(record)
    return found.kept
  },
}

// --- interpreted

const lead = (record, path) => path.split('.').reduce((value, name) => value?.[name], record)
const some = (value, test) => test(value) || (Array.isArray(value) && value.some(test))
const same = (wanted) => (value) => value === wanted || (wanted === null && value === undefined)
const tests = {
  $eq: (value, wanted) => some(value, same(wanted)),
  $gt: (value, bound) => some(value, (one) => typeof one === typeof bound && one > bound),
  $gte: (value, bound) => some(value, (one) => typeof one === typeof bound && one >= bound),
  $lt: (value, bound) => some(value, (one) => typeof one === typeof bound && one < bound),
  $lte: (value, bound) => some(value, (one) => typeof one === typeof bound && one <= bound),
  $in: (value, list) => some(value, (one) => list.includes(one)),
  $regex: (value, pattern) => some(value, (one) => typeof one === 'string' && pattern.test(one)),
}
const holds = (record, query) =>
  Object.entries(query).every(([key, wanted]) => {
    if (key === '$and') return wanted.every((part) => holds(record, part))
    if (key === '$or') return wanted.some((part) => holds(record, part))
    const value = lead(record, key)
    if (wanted === null || typeof wanted !== 'object') return tests.$eq(value, wanted)
    return Object.entries(wanted).every(([operator, operand]) => tests[operator](value, operand))
  })
const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0)
const ordered = (found, sort) => {
  const keys = Object.entries(sort)
  return found.sort((a, b) => {
    for (const [key, direction] of keys) {
      const order = direction * compare(lead(a, key), lead(b, key))
      if (order !== 0) return order
    }
    return 0
  })
}
const matched = (all, { q, sort }, limit) => ordered(all.filter((record) => holds(record, q)), sort).slice(0, limit)

/** Words as the others can look for them: by regular expressions. */
const spelled = ({ q, words, sort }) => {
  if (!words) return { q, sort }
  return { q: { $and: words.map((word) => ({ about: { $regex: new RegExp(`\\b${word}\\b`, 'i') } })) }, sort }
}

// --- measured

const median = async (asked, work) => {
  const times = []
  const begun = process.hrtime.bigint()
  for (let n = 0; n < 200; n++) {
    const question = asked[n % asked.length]
    const began = process.hrtime.bigint()
    const found = work(question)
    JSON.stringify(found instanceof Promise || typeof found.then === 'function' ? await found : found)
    const ended = process.hrtime.bigint()
    if (n >= 20) times.push(ended - began)
    if (n >= 60 && ended - begun > 3_000_000_000n) break
  }
  times.sort((a, b) => (a < b ? -1 : 1))
  return Number(times[times.length >> 1])
}
const tell = async (name, way, asked, work) => {
  const found = []
  for (const question of asked) found.push((await work(question)).map((record) => record._id))
  console.log(JSON.stringify({ name, way, ns: await median(asked, work), found }))
}

let nedb
if (packages) {
  const Datastore = createRequire(`${packages}/`)('@seald-io/nedb')
  nedb = new Datastore()
  await nedb.insertAsync(records)
}
for (const { name, asked: given, limit } of questions) {
  const asked = given.map((question) => spelled({ ...question, sort: Object.fromEntries(question.sort) }))
  await tell(name, 'loop', given, (question) => loops[name](question, limit))
  await tell(name, 'matcher', asked, (question) => matched(records, question, limit))
  if (nedb) {
    const ask = ({ q, sort }) => nedb.findAsync(q).sort(sort).limit(limit).execAsync()
    await tell(name, 'nedb', asked, ask)
  }
  const read = () => text.split('\n').map((line) => JSON.parse(line))
  await tell(name, 'parsed', asked, (question) => matched(read(), question, limit))
}
