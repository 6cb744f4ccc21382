// Requests, each sent once, and what went wrong with them in words.

import { h, fill } from './dom.js';
import { lang, t, has } from './words.js';

// Longer than the server keeps anyone waiting.
const PATIENCE = 60_000;

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
  return { title: title ?? t('refused', answer.status), detail: body.detail ?? body.message };
}

/**
 * Sends a request: its answer's body and `Location`, or nothing when it went wrong, and then
 * `told` says why.
 */
export async function send(method, path, body, told) {
  told?.clear();
  try {
    const answer = await fetch(path, {
      method,
      headers: body ? { 'content-type': 'application/json' } : {},
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(PATIENCE),
    });
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
