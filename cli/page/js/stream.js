// Server-sent events over fetch, which unlike EventSource can carry a header.

import { ApiError, open } from './api.js';

/** Time until the next attempt, in seconds: doubled each time. */
const FIRST = 0.5;
const LAST = 8;
/** A stream has at least a comment in 15 s. */
const SILENCE = 20_000;

/**
 * Cuts text that comes in pieces into events.
 * @param {(event: string, data: string) => void} emit
 */
export function parser(emit) {
  let rest = '';
  let name = '';
  /** @type {string[]} */
  let data = [];
  /** @param {string} line */
  const take = (line) => {
    if (line === '') {
      if (data.length) emit(name || 'message', data.join('\n'));
      name = '';
      data = [];
      return;
    }
    const colon = line.indexOf(':');
    if (colon === 0) return;
    const key = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (key === 'event') name = value;
    else if (key === 'data') data.push(value);
  };
  /** @param {string} text */
  return (text) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) take(line.endsWith('\r') ? line.slice(0, -1) : line);
  };
}

/**
 * Reads a stream until it is closed, and opens it again after a failure.
 * @param {import('./api.js').Parameters} parameters
 * @param {{
 *   event: (name: string, data: any) => void,
 *   opened?: () => void,
 *   failed?: (error: ApiError, seconds: number) => void,
 * }} handlers
 * @returns {() => void} closes it
 */
export function stream(parameters, handlers) {
  const closed = new AbortController();
  let wait = FIRST;
  const once = async () => {
    const attempt = new AbortController();
    const stop = () => attempt.abort();
    closed.signal.addEventListener('abort', stop);
    let silence = setTimeout(stop, SILENCE);
    try {
      const response = await open('stream', parameters, attempt.signal);
      const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
      if (!reader) throw new ApiError('the server sends no stream', 0);
      handlers.opened?.();
      const feed = parser((name, data) => handlers.event(name, JSON.parse(data)));
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        wait = FIRST;
        clearTimeout(silence);
        silence = setTimeout(stop, SILENCE);
        if (closed.signal.aborted) return;
        feed(value);
      }
    } finally {
      clearTimeout(silence);
      closed.signal.removeEventListener('abort', stop);
    }
  };
  const run = async () => {
    while (!closed.signal.aborted) {
      let error = new ApiError('the server ended the stream', 0);
      try {
        await once();
      } catch (reason) {
        if (reason instanceof ApiError) error = reason;
        else if (reason instanceof SyntaxError) error = new ApiError('the server sent no JSON', 0);
      }
      if (closed.signal.aborted) return;
      handlers.failed?.(error, wait);
      await new Promise((resolve) => { setTimeout(resolve, wait * 1000); });
      wait = Math.min(wait * 2, LAST);
    }
  };
  void run();
  return () => closed.abort();
}
