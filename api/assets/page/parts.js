// What every page is made of.

import { h, write, drawn, icon } from './dom.js';
import { lang, t } from './words.js';

/** Korean won, as the language writes them. */
export function won(amount) {
  return lang() === 'ko' ? `${number(amount)}원` : `₩${number(amount)}`;
}

/** A number, as the language writes it. */
export function number(amount) {
  return Number(amount).toLocaleString(lang());
}

/** One of two or three people on the page, as wide as a phone. */
export function panel(name, picture, ...children) {
  const id = `panel-${picture}`;
  const head = h('h2', { id }, icon(picture), t(name));
  return h('section', { class: 'panel', 'aria-labelledby': id }, head, ...children);
}

/** A labelled field that remembers what was written, for as long as the tab lives. */
export function field(name, label, given = {}) {
  const key = `${location.pathname}#${name}`;
  const { hint, ...attributes } = given;
  const input = h('input', { type: 'text', autocomplete: 'off', required: true, ...attributes, name });
  const kept = sessionStorage.getItem(key);
  if (kept !== null) input.value = kept;
  input.addEventListener('input', () => sessionStorage.setItem(key, input.value));
  const caption = h('span', { class: 'label' }, t(label));
  return h('label', { class: 'field' }, caption, input, hint ?? null);
}

/** A choice among a few. */
export function choice(name, label, options, chosen) {
  const one = ([value, text]) =>
    h('label', {}, h('input', { type: 'radio', name, value, checked: value === chosen }), h('span', {}, text));
  return h('fieldset', { class: 'choice' }, h('legend', { class: 'label' }, t(label)), options.map(one));
}

/** Where something is, in human words: a headline that is read aloud, a line below, and steps. */
export function status() {
  const headline = h('p', { class: 'headline', role: 'status' });
  const line = h('p', { class: 'line' });
  const list = h('ol', { class: 'steps' });
  const steps = drawn(list, (model) => model.map(step));
  return {
    place: h('div', { class: 'status' }, headline, line, list),
    draw(model) {
      write(headline, model.headline);
      write(line, model.line ?? '');
      line.hidden = !model.line;
      headline.dataset.mood = model.mood ?? 'now';
      steps(model.steps ?? []);
    },
  };
}

/** A step is done, now, todo, undone or failed. */
function step([text, state, note]) {
  const more = note ? h('span', { class: 'note' }, note) : null;
  const said = h('span', { class: 'unseen' }, ` – ${t(`step ${state}`)}`);
  return h('li', { 'data-state': state }, h('span', {}, text, said), more);
}

/** A list of what there was, the newest first; one of them is looked at. */
export function past(label, pick) {
  const list = h('ul', { class: 'past' });
  const place = h('nav', { 'aria-label': t(label) }, h('h3', {}, t(label)), list);
  const draw = drawn(list, ({ rows, at }) => {
    const had = list.contains(document.activeElement) ? document.activeElement.dataset.id : undefined;
    const made = rows.map(({ id, title, line, mood }) => {
      const current = id === at ? 'true' : undefined;
      const text = [h('span', { class: 'title' }, title), h('span', { class: 'note' }, line)];
      const attributes = { type: 'button', 'data-id': id, 'data-mood': mood, 'aria-current': current };
      return h('li', {}, h('button', { ...attributes, onclick: () => pick(id) }, text));
    });
    // Who is in the list with the keyboard stays there.
    if (had) queueMicrotask(() => list.querySelector(`[data-id="${had}"]`)?.focus());
    return made;
  });
  return {
    place,
    draw(rows, at) {
      place.hidden = rows.length === 0;
      draw({ rows: rows.slice(-8).reverse(), at });
    },
  };
}

/** Lines of a table without a head: what it is, and how it is. */
export function facts() {
  const list = h('dl', { class: 'facts' });
  const draw = drawn(list, (rows) => rows.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))));
  return { place: list, draw: (rows) => { list.hidden = !rows.length; draw(rows); } };
}

/** Messages, the newest last. */
export function messages(label, empty) {
  const list = h('ol', { class: 'messages', role: 'log', 'aria-label': t(label) });
  const none = h('p', { class: 'empty' }, t(empty));
  const draw = drawn(list, (rows) => rows.map(({ from, text, kind }) =>
    h('li', { 'data-kind': kind }, from ? h('span', { class: 'note' }, from) : null, h('p', {}, text))));
  return {
    place: h('div', {}, h('h3', {}, t(label)), none, list),
    draw(rows) {
      none.hidden = rows.length > 0;
      const before = list.childElementCount;
      draw(rows);
      if (list.childElementCount > before) list.scrollTop = list.scrollHeight;
    },
  };
}

/**
 * Which of them is looked at: what the address says, else the newest of one's own. `changed` is
 * told.
 */
export function chosen(changed) {
  const read = () => Number(location.hash.slice(1)) || undefined;
  let at = read();
  const over = new AbortController();
  window.addEventListener('hashchange', () => { at = read(); changed(); }, { signal: over.signal });
  return {
    at: (ids, own = ids) => (ids.includes(at) ? at : own.at(-1)),
    /** Looks at this one; with nothing, at the newest, whichever comes. */
    pick(id) {
      at = id;
      history.replaceState(null, '', id ? `#${id}` : location.pathname);
      changed();
    },
    end: () => over.abort(),
  };
}

/** Which services do not answer, in words. */
export function absences() {
  const place = h('p', { class: 'notice', role: 'status', hidden: true });
  return {
    place,
    draw(lists) {
      const away = Object.keys(lists).filter((name) => lists[name] === null);
      write(place, away.length ? t('away', away.join(', ')) : '');
      place.hidden = !away.length;
    },
  };
}
