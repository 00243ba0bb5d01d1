// Numbers and times for the eye. Pure functions.

/** @typedef {import('./types.js').Field} Field */

const GROUPED = new Intl.NumberFormat('en-GB', { maximumFractionDigits: 0 });
const CLOCK = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const DAY = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });
const BINARY = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];
const DECIMAL = ['', 'k', 'M', 'G', 'T', 'P', 'E', 'Z', 'Y'];
/** Units of time in seconds. @type {Record<string, number>} */
const SECONDS = {
  nanoseconds: 1e-9, microseconds: 1e-6, milliseconds: 1e-3, seconds: 1,
  ns: 1e-9, us: 1e-6, ms: 1e-3, s: 1,
};
export const NONE = '–';

/**
 * Three significant digits, without an exponent.
 * @param {number} number
 */
function digits(number) {
  const size = Math.abs(number);
  if (size === 0) return '0';
  if (size >= 99.95) return number.toFixed(0);
  if (size >= 9.995) return number.toFixed(1);
  if (size >= 0.9995) return number.toFixed(2);
  return size >= 0.001 ? number.toPrecision(2) : number.toExponential(1);
}

/**
 * @param {number} number
 * @param {number} base
 * @param {string[]} names
 */
function scaled(number, base, names) {
  let index = 0;
  let rest = number;
  while (Math.abs(rest) >= base * 0.9995 && index < names.length - 1) {
    rest /= base;
    index += 1;
  }
  const name = names[index] ?? '';
  const text = index === 0 && Number.isInteger(number) ? String(number) : digits(rest);
  return name ? `${text} ${name}` : text;
}

/**
 * A duration in seconds, as '16.1 ms' or '2h 5m'.
 * @param {number} seconds
 */
export function duration(seconds) {
  const size = Math.abs(seconds);
  if (size === 0) return '0 s';
  if (size < 0.9995e-6) return `${digits(seconds * 1e9)} ns`;
  if (size < 0.9995e-3) return `${digits(seconds * 1e6)} µs`;
  if (size < 0.9995) return `${digits(seconds * 1e3)} ms`;
  if (size < 60) return `${digits(seconds)} s`;
  return age(seconds);
}

/**
 * Time since something, in whole seconds and larger, as '5s', '3m 2s', '4d 1h'.
 * @param {number} seconds
 */
export function age(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [days, hours, minutes] = [Math.floor(whole / 86400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60];
  if (days) return `${days}d ${hours}h`;
  if (hours) return `${hours}h ${minutes}m`;
  if (minutes) return `${minutes}m ${whole % 60}s`;
  return `${whole}s`;
}

/** @param {number} bytes */
export function bytes(bytes) {
  return scaled(bytes, 1024, BINARY);
}

/**
 * A number with its unit, in about three digits.
 * @param {number | null | undefined} number
 * @param {string} unit
 */
export function short(number, unit) {
  if (number === null || number === undefined || Number.isNaN(number)) return NONE;
  const factor = SECONDS[unit];
  if (factor !== undefined) return duration(number * factor);
  if (unit === 'bytes') return bytes(number);
  const text = scaled(number, 1000, DECIMAL);
  return unit && unit !== 'ratio' ? `${text} ${unit}` : text;
}

/**
 * A rate per second.
 * @param {number | null | undefined} number
 * @param {string} unit
 */
export function perSecond(number, unit) {
  if (number === null || number === undefined) return NONE;
  // A counter of nanoseconds grows by so many of them each second.
  const factor = SECONDS[unit];
  const text = factor === undefined ? short(number, unit) : duration(number * factor);
  return `${text}/s`;
}

/**
 * All digits of a number, in groups of three; exact for the text of an integer.
 * @param {number | string} number
 */
export function exact(number) {
  if (typeof number === 'string') {
    return /^-?\d+$/.test(number) ? number.replace(/\B(?=(\d{3})+$)/g, ',') : number;
  }
  if (Number.isInteger(number) && Math.abs(number) < 2 ** 53) return GROUPED.format(number);
  return String(number);
}

/**
 * A time of day; with the date if it is another day.
 * @param {number} seconds since 1970
 * @param {boolean} [fine] with tenths
 */
export function clock(seconds, fine = false) {
  const date = new Date(seconds * 1000);
  const tenths = fine ? `.${Math.floor(date.getMilliseconds() / 100)}` : '';
  const time = CLOCK.format(date) + tenths;
  return date.toDateString() === new Date().toDateString() ? time : `${DAY.format(date)} ${time}`;
}

/**
 * A key of a value, if the value is an object.
 * @param {unknown} value
 * @param {string} key
 * @returns {unknown}
 */
export function member(value, key) {
  if (typeof value !== 'object' || value === null) return undefined;
  return /** @type {Record<string, unknown>} */ (value)[key];
}

/**
 * @param {unknown} value
 * @returns {number | null}
 */
export function numberOf(value) {
  if (typeof value === 'boolean') return value ? 1 : 0;
  return typeof value === 'number' ? value : null;
}

/** @param {unknown} value */
export function quantile(value, unit = '') {
  const [below, above] = [member(value, 'below'), member(value, 'above')];
  if (typeof below === 'number') return `≤ ${short(below, unit)}`;
  if (typeof above === 'number') return `> ${short(above, unit)}`;
  return short(numberOf(value), unit);
}

/**
 * The state of a program in the words of `mmstats ls`, and a shape that goes with it.
 * @param {{ state: string, process?: string | null }} program
 * @returns {{ word: string, shape: string, kind: 'good' | 'bad' | 'calm' }}
 */
export function stateOf(program) {
  const word = program.process ?? program.state;
  if (word === 'stopped') return { word, shape: '◼', kind: 'bad' };
  if (program.state === 'live') return { word, shape: '●', kind: 'good' };
  if (program.state === 'dead') return { word, shape: '✕', kind: 'bad' };
  if (program.state === 'damaged') return { word, shape: '▲', kind: 'bad' };
  return { word, shape: program.state === 'closed' ? '○' : '◇', kind: 'calm' };
}
