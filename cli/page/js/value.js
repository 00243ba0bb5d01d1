// Values of fields by kind: as text for a table, as a number for a graph.

import { NONE, age, clock, exact, member, numberOf, quantile, short } from './format.js';

/** @typedef {import('./types.js').Field} Field */
/** @typedef {import('./types.js').What} What */

const DURATIONS = 'nanoseconds';

/**
 * The value in short, without its rate.
 * @param {Pick<Field, 'kind' | 'unit' | 'value' | 'verdict'> & { value_text?: unknown, type?: string }} field
 * @returns {string}
 */
export function summary(field) {
  const { value, kind, unit } = field;
  if (value === null || value === undefined) return field.verdict === 'consistent' ? NONE : field.verdict;
  if (kind === 'timestamp') return timestamp(value);
  if (typeof field.value_text === 'string') return short(Number(field.value_text), unit);
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (typeof value === 'number') return number(value, unit);
  if (typeof value === 'string') return value;
  if (Array.isArray(value)) return list(value, kind, unit);
  if (kind === 'timer') return value_of(mean(value), DURATIONS, member(value, 'count'));
  if (kind === 'average' || kind === 'window') return value_of(mean(value), unit, member(value, 'count'));
  if (kind === 'histogram') return quantiles(value, unit);
  if (kind === 'state') return states(value);
  if (kind === 'rate') return rates(value, unit);
  if (kind === 'running') return short(numberOf(member(value, 'count')), '');
  if (kind === 'activity') return activity(value);
  return JSON.stringify(value);
}

/**
 * The value with all its digits.
 * @param {Pick<Field, 'kind' | 'unit' | 'value' | 'verdict'> & { value_text?: unknown }} field
 * @returns {string}
 */
export function full(field) {
  const { value, unit } = field;
  if (typeof field.value_text === 'string') return `${exact(field.value_text)} ${unit}`.trim();
  if (typeof value === 'number') return `${exact(value)} ${unit}`.trim();
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    const parts = Object.entries(value).filter(([, part]) => typeof part === 'number');
    const text = parts.map(([key, part]) => {
      const digits = member(value, `${key}_text`);
      return `${key} ${exact(typeof digits === 'string' ? digits : Number(part))}`;
    });
    if (text.length) return `${text.join(', ')} ${unit}`.trim();
  }
  return summary(field);
}

/** @param {unknown} value @returns {string} */
function timestamp(value) {
  if (Array.isArray(value)) return value.length ? timestamp(value[value.length - 1]) : NONE;
  const time = Number(value) / 1e9;
  if (!Number.isFinite(time) || time <= 0) return NONE;
  return `${clock(time)} (${age(Date.now() / 1000 - time)} ago)`;
}

/**
 * @param {number} value
 * @param {string} unit
 */
function number(value, unit) {
  // An integer of up to seven digits is read more easily with all of them.
  if (!unit && Number.isInteger(value) && Math.abs(value) < 1e7) return exact(value);
  return short(value, unit);
}

/**
 * @param {unknown[]} values
 * @param {string} kind
 * @param {string} unit
 */
function list(values, kind, unit) {
  const known = values.filter((value) => value !== null);
  if (!known.length) return NONE;
  if (kind === 'activity') return known.map(activity).filter((text) => text !== NONE).join(' · ') || NONE;
  if (kind === 'state') return states(known[0]);
  const texts = known.map((value) => (typeof value === 'number' ? number(value, unit) : String(value)));
  return [...new Set(texts)].join(' · ');
}

/** @param {unknown} value */
export function mean(value) {
  const direct = numberOf(member(value, 'mean'));
  if (direct !== null) return direct;
  const [count, sum] = [numberOf(member(value, 'count')), numberOf(member(value, 'sum'))];
  return count && sum !== null ? sum / count : null;
}

/**
 * @param {number | null} average
 * @param {string} unit
 * @param {unknown} count
 */
function value_of(average, unit, count) {
  if (average === null) return NONE;
  return `⌀ ${short(average, unit)} · ${short(numberOf(count), '')}×`;
}

/**
 * @param {unknown} value
 * @param {string} unit
 */
function quantiles(value, unit) {
  const all = member(value, 'quantiles');
  if (!numberOf(member(value, 'count'))) return NONE;
  return `p50 ${quantile(member(all, '0.5'), unit)} · p99 ${quantile(member(all, '0.99'), unit)}`;
}

/** @param {unknown} value */
function states(value) {
  if (typeof value === 'string') return value;
  const parts = Object.entries(/** @type {Record<string, unknown>} */ (value)).filter(([, count]) => count !== 0);
  return parts.map(([name, count]) => (count === 1 && parts.length === 1 ? name : `${count} ${name}`)).join(' · ') || NONE;
}

/**
 * @param {unknown} value
 * @param {string} unit
 */
function rates(value, unit) {
  const parts = Object.entries(/** @type {Record<string, unknown>} */ (value));
  return parts.map(([window, rate]) => `${short(numberOf(rate), unit)}/s in ${window} s`).join(' · ') || NONE;
}

/** @param {unknown} value @returns {string} */
function activity(value) {
  const rows = member(value, 'rows');
  if (!Array.isArray(rows) || !rows.length) return NONE;
  const texts = rows.slice(0, 2).map((row) => {
    const seconds = numberOf(member(row, 'age_seconds'));
    return `${String(member(row, 'text') ?? '')}${seconds === null ? '' : ` (${age(seconds)})`}`;
  });
  return rows.length > 2 ? `${texts.join(' · ')} · ${rows.length - 2} more` : texts.join(' · ');
}

/** Kinds of which a rate is of more use than the value. */
const COUNTED = new Set(['counter', 'timer', 'average', 'window', 'histogram']);

/**
 * Whether a field can be drawn over time.
 * @param {Pick<Field, 'kind' | 'value' | 'constant' | 'type'>} field
 */
export function isNumeric(field) {
  if (field.constant || field.kind === 'timestamp' || field.type === 'text' || field.type === 'bytes') return false;
  if (COUNTED.has(field.kind)) return !Array.isArray(field.value);
  return field.kind === 'gauge' && (field.value === null || ['number', 'boolean'].includes(typeof field.value));
}

/**
 * What a graph shows of a field, the most useful first.
 * @param {Pick<Field, 'kind'>} field
 * @returns {What[]}
 */
export function choices(field) {
  if (field.kind === 'histogram') return ['quantiles', 'heat', 'rate'];
  return COUNTED.has(field.kind) ? ['rate', 'value'] : ['value', 'rate'];
}

/**
 * The unit of what a graph shows: numbers of samples have none.
 * @param {Pick<Field, 'kind' | 'unit'>} field
 * @param {What} what
 */
export function unitOf(field, what) {
  const isCount = field.kind !== 'counter' && COUNTED.has(field.kind);
  return isCount && (what === 'rate' || what === 'value') ? '' : field.unit;
}

/**
 * The number that a graph shows of a value from the stream.
 * @param {Pick<Field, 'kind'>} field
 * @param {{ value: unknown, value_text?: unknown, rate: number | null }} value
 * @param {What} what
 */
export function numberFor(field, value, what) {
  if (what === 'rate') return value.rate;
  if (typeof value.value_text === 'string') return Number(value.value_text);
  return COUNTED.has(field.kind) && field.kind !== 'counter' ? numberOf(member(value.value, 'count')) : numberOf(value.value);
}
