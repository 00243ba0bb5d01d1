// Shapes of the answers of the server, as API.md and JSON.md describe them.

/**
 * @typedef {{
 *   version: string, api: number, user: string | null, host: string | null, live: boolean,
 *   from: number, to: number, every: number, plots: boolean, plots_hint: string | null,
 *   looks: number, missed: number, bytes: number, budget: number,
 * }} About
 *
 * @typedef {{ code: string, text: string }} Finding
 *
 * @typedef {{
 *   id: string, instance: string | null, pid: number | null, local_pid?: number, command: string | null,
 *   state: string, process: string | null, gone: boolean, owner: number | null, application?: string,
 *   incomplete?: { reason: string }, superseded?: boolean, died: number | null, age: number | null,
 *   changed: number | null, fields: number, cpu: number | null, memory: number | null,
 *   busiest: { field: string, rate: number, unit: string } | null,
 *   spark: (number | null)[], findings: Finding[],
 * }} Program
 *
 * @typedef {{ time: number, programs: Program[], problems?: string[], removed?: string[] }} Home
 *
 * @typedef {{
 *   id: string, family: string, label: string, type: string, kind: string, unit: string, help: string,
 *   attributes: Record<string, string>, level: string, value: unknown, value_text?: unknown,
 *   verdict: string, damage?: { code: string, offset: number }, aggregation: string, constant: boolean,
 *   rate: number | null, changed: number | null,
 * }} Field
 *
 * @typedef {Omit<Program, 'fields'> & { time: number, fields: Field[] }} ProgramDocument
 *
 * @typedef {{ value: unknown, value_text?: unknown, verdict: string, rate: number | null }} Value
 *
 * @typedef {{ time: number, label: string, text: string | null, damage?: string }} Line
 *
 * @typedef {'value' | 'rate' | 'quantiles' | 'heat'} What
 *
 * @typedef {(number | null)[]} Numbers
 *
 * @typedef {{
 *   program: string, field: string, what: What, unit: string, kind: string, cut: number | null,
 *   min?: Numbers, max?: Numbers, last?: Numbers,
 *   quantiles?: Record<string, Numbers>,
 *   bounds?: number[], counts?: (number[] | null)[], below?: Numbers, above?: Numbers,
 * }} Series
 *
 * @typedef {{ from: number, step: number, series: Series[] }} SeriesDocument
 *
 * @typedef {{
 *   label: string, text: string, cut: boolean, since: string | null, age_seconds: number | null,
 * }} Activity
 *
 * @typedef {{
 *   tid: number | null, name: string | null, state: string | null, processors: number | null,
 *   waits_in: string | null, quiet_seconds: number | null, activities: Activity[],
 *   wait: { name: string, lock: number | null, condition: boolean, age_seconds: number | null } | null,
 *   holds: number[], more_holds: number,
 * }} Thread
 *
 * @typedef {{
 *   number: number, name: string, holder: number | null, readers: number[], acquired: number,
 *   held_since_at_least: string | null, waiting: number[],
 * }} Lock
 *
 * @typedef {{
 *   findings: Finding[], threads: Thread[], threads_left_out: number, activities: Activity[],
 *   activities_left_out: number, locks: Lock[], locks_left_out: number,
 *   system: { state: string | null, threads: number | null, processors: number | null, memory: number | null } | null,
 *   publishes: { thread_ids: boolean, activities: boolean, locks: boolean },
 * }} Threads
 *
 * @typedef {{
 *   program: string, command: string | null, pid: number | null, field: string, help: string, unit: string,
 * }} Hit
 *
 * @typedef {{
 *   program: string, command: string | null, pid: number | null, state: string, process: string | null,
 * }} ProgramHit
 *
 * @typedef {{ programs: ProgramHit[], more_programs: number, hits: Hit[], more: number }} Found
 *
 * A view draws into an element until it is closed.
 * @typedef {{ update: (route: import('./route.js').Route) => void, close: () => void }} View
 */

export {};
