// Requests, and what went wrong with them in words.

import { h, fill } from './dom.js';
import { lang, t, has } from './words.js';

// Longer than the server keeps anyone waiting.
const PATIENCE = 60_000;

// So much later what was not answered is asked for again, once.
const AGAIN = 2_000;

/** A place for what went wrong. It is read aloud. */
export function errors() {
  const place = h('div', { class: 'error', role: 'alert', hidden: true });
  return {
    place,
    clear() {
      place.hidden = true;
      fill(place);
    },
    tell({ title, detail }) {
      fill(place, h('strong', {}, title), detail ? h('span', {}, detail) : null);
      place.hidden = false;
    },
  };
}

/** The problem of an answer, in words. */
async function problem(answer) {
  const body = await answer.json().catch(() => ({}));
  const [known, status] = [`problem.${body.code}`, `status ${answer.status}`];
  let title = body.title;
  if (!title && has(status)) title = t(status);
  if (lang() === 'ko' && has(known)) title = t(known);
  // What is said of keys is for programs: here the next press has another one.
  const said = (body.detail ?? body.message)?.split('; ');
  const detail = said?.filter((part) => !part.includes('Idempotency-Key')).join('; ');
  return { title: title ?? t('refused', answer.status), detail };
}

function ask(method, path, body, more = {}) {
  return fetch(path, {
    method,
    headers: body ? { 'content-type': 'application/json', ...more } : more,
    body: body && JSON.stringify(body),
    signal: AbortSignal.timeout(PATIENCE),
  });
}

/**
 * Sends a request, once: its answer's body and `Location`, or nothing when it went wrong, and
 * then `told` says why.
 */
export function send(method, path, body, told) {
  return heard(() => ask(method, path, body), told);
}

/**
 * Sends a request that starts something, as `send` does. Each press has a key of its own; when
 * its answer is lost, or late, it is asked for again with that key, which starts nothing new.
 */
export function begin(path, body, told) {
  const key = { 'idempotency-key': fresh() };
  return heard(async () => {
    const answer = await ask('POST', path, body, key).catch(() => undefined);
    if (answer && answer.status !== 504) return answer;
    await new Promise((resolve) => setTimeout(resolve, AGAIN));
    return ask('POST', path, body, key);
  }, told);
}

/** 128 random bits. (`crypto.randomUUID` is not there without https.) */
function fresh() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

async function heard(asked, told) {
  told?.clear();
  try {
    const answer = await asked();
    if (!answer.ok) {
      told?.tell(await problem(answer));
      return undefined;
    }
    const text = await answer.text();
    return { location: answer.headers.get('location'), body: text ? JSON.parse(text) : undefined };
  } catch (error) {
    const late = error.name === 'TimeoutError';
    told?.tell({ title: t(late ? 'no answer' : 'no server'), detail: t('look again') });
    return undefined;
  }
}

/** The number at the end of the path of what was made. */
export function made(answer) {
  return Number(answer?.location?.split('/').pop()) || undefined;
}

/**
 * A button that does something once: while it is under way, another tap does nothing.
 * It keeps the focus meanwhile.
 */
export function button(label, kind, act) {
  const element = h('button', { type: 'button', class: kind }, label);
  element.addEventListener('click', () => once(element, act));
  return element;
}

/** A form whose button says `label`. `act` is told its fields, by their names. */
export function form(label, fields, act, kind = 'primary') {
  const submit = h('button', { type: 'submit', class: kind }, label);
  const told = errors();
  const element = h('form', { class: 'form' }, fields, submit, told.place);
  element.addEventListener('submit', (event) => {
    event.preventDefault();
    const given = Object.fromEntries(new FormData(element));
    once(submit, () => act(given, told));
  });
  return element;
}

async function once(element, act) {
  if (element.getAttribute('aria-busy') === 'true') return;
  element.setAttribute('aria-busy', 'true');
  element.setAttribute('aria-disabled', 'true');
  try {
    await act();
  } finally {
    element.removeAttribute('aria-busy');
    element.removeAttribute('aria-disabled');
  }
}
