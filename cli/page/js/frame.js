// Drawing at most once per frame of the screen, and only what is visible.

/** @type {Set<() => void>} */
const waiting = new Set();
/** Graphs that wait for their turn. @type {Set<() => void>} */
const queue = new Set();
let asked = false;
/** Frames are kept between these lengths, in milliseconds, by the number of graphs that are drawn in one. */
const [SHORT, LONG] = [25, 45];
const MOST = 64;
let share = 8;
/** When the last frame began after which another one was asked for at once. */
let before = 0;

function run() {
  asked = false;
  const tasks = [...waiting];
  waiting.clear();
  for (const task of tasks) task();
  const start = performance.now();
  // What a canvas costs is paid after its commands: the next frame tells.
  const length = start - before;
  if (before && length > LONG) share = Math.max(1, Math.floor(share / 2));
  else if (before && length < SHORT) share = Math.min(MOST, share + 1);
  let left = share;
  for (const task of queue) {
    if (left === 0) break;
    left -= 1;
    queue.delete(task);
    task();
  }
  before = queue.size ? start : 0;
  if (queue.size) ask();
}

function ask() {
  if (asked) return;
  asked = true;
  // A hidden tab has no frames.
  if (document.hidden) setTimeout(run, 500);
  else requestAnimationFrame(run);
}

/**
 * Calls the task before the next frame, however often it is asked for.
 * @param {() => void} task
 */
export function soon(task) {
  waiting.add(task);
  ask();
}

/**
 * As `soon`, for what takes long to draw: one after the other, so many in a frame that frames stay short.
 * @param {() => void} task
 */
export function inTurn(task) {
  queue.add(task);
  ask();
}

/** @param {() => void} task */
export function cancel(task) {
  waiting.delete(task);
  queue.delete(task);
}

/** @type {WeakMap<Element, (visible: boolean) => void>} */
const watched = new WeakMap();
const observer = new IntersectionObserver((entries) => {
  for (const entry of entries) watched.get(entry.target)?.(entry.isIntersecting);
}, { rootMargin: '150px' });

/**
 * Tells when an element comes into view and leaves it.
 * @param {Element} element
 * @param {(visible: boolean) => void} tell
 * @returns {() => void} ends that
 */
export function whileVisible(element, tell) {
  watched.set(element, tell);
  observer.observe(element);
  return () => observer.unobserve(element);
}

/**
 * Calls a task now and then again after each pause; a failure does not end that.
 * @param {(signal: AbortSignal) => Promise<void>} task
 * @param {number} seconds
 * @returns {() => void} ends it
 */
export function every(task, seconds) {
  const ended = new AbortController();
  const run = async () => {
    while (!ended.signal.aborted) {
      if (!document.hidden) await task(ended.signal).catch(() => {});
      await new Promise((resolve) => { setTimeout(resolve, seconds * 1000); });
    }
  };
  void run();
  return () => ended.abort();
}
