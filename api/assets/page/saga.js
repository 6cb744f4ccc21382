// The workflow behind what is seen: what was asked, what came of it, what was undone.

import { h, drawn, show } from './dom.js';
import { t, has } from './words.js';

const AGAIN = 2_000;
// Events that are asked for at a time, and lines that are shown: the last ones.
const PAGE = 200;
const LINES = 200;

// Commands are numbered among themselves, in the order in which they were accepted.
const COMMANDS = new Set([
  'run', 'start_timer', 'cancel_timer', 'start_child', 'cancel_child', 'publish', 'label', 'answer',
  'patched', 'continue_as_new', 'pivot', 'unwind', 'undo', 'complete', 'close',
]);

/** A history as a few lines: `{ text, state, note }`. */
export function story(events) {
  const asked = [];
  const lines = [];
  for (const event of events) {
    const name = Object.keys(event).find((key) => key !== 'event' && key !== 'at');
    const told = event[name] ?? {};
    if (COMMANDS.has(name)) {
      const line = asking(name, told, asked);
      asked.push({ told, line });
      if (line) lines.push(line);
      continue;
    }
    const line = asked[told.seq]?.line;
    if (line) outcome(name, told, line);
    else if (has(`saga.${name}`)) lines.push({ text: message(name, told), state: 'said' });
  }
  return lines;
}

function asking(name, told, asked) {
  if (name === 'run') return { text: spoken('do', told.activity), state: 'now' };
  if (name === 'undo') {
    const undone = asked[told.of];
    if (undone?.line) Object.assign(undone.line, { state: 'undone', failed: undone.line.state === 'failed' });
    return { text: spoken('do', undone?.told.undo?.activity ?? 'undo'), state: 'now', undo: true };
  }
  if (name === 'unwind') return { text: t('saga.unwind'), state: 'failed' };
  if (name === 'pivot') return { text: t('saga.pivot'), state: 'said' };
  if (name === 'complete') return { text: t('saga.complete'), state: 'done' };
  if (name === 'close') return { text: t('saga.close'), state: 'said' };
  return undefined;
}

function outcome(name, told, line) {
  if (name === 'done') Object.assign(line, { state: 'done', note: undefined });
  if (name === 'refused') Object.assign(line, { state: 'failed', note: t('saga.refused') });
  if (name === 'unknown') Object.assign(line, { state: 'failed', note: t('saga.unknown') });
  if (name === 'not_done') Object.assign(line, { state: 'failed', note: t('saga.not_done') });
  if (name === 'attempt_failed') line.note = t('saga.again', told.attempt, told.reason);
  if (name === 'held_back') line.note = t('saga.held', told.reason);
  if (name === 'attempt_lost') line.note = t('saga.again', told.attempt, t('saga.lost'));
  if (name === 'stuck') Object.assign(line, { state: 'failed', note: told.detail });
}

function message(name, told) {
  return told.name ? `${t(`saga.${name}`)} ${spoken('say', told.name)}` : t(`saga.${name}`);
}

/** Names are words in the dictionary, or at least without their underscores. */
function spoken(kind, name) {
  const known = `${kind}.${name}`;
  return has(known) ? t(known) : name.replaceAll('_', ' ');
}

/** All events of a workflow, or nothing when it does not answer. */
async function history(path) {
  const events = [];
  for (let after = ''; ;) {
    const answer = await fetch(`${path}/history?limit=${PAGE}${after}`).catch(() => undefined);
    const page = answer?.ok ? await answer.json().catch(() => undefined) : undefined;
    if (!page) return undefined;
    events.push(...page.items);
    if (page.next === null) return events;
    after = `&cursor=${page.next}`;
  }
}

/** What Hansom did for one of them, with links to all that it knows. */
export function behind() {
  const list = h('ol', { class: 'story' });
  const none = h('p', { class: 'empty' }, t('nothing yet'));
  const id = h('code', {});
  const workflow = h('a', { target: '_blank' }, t('workflow'));
  const full = h('a', { target: '_blank' }, t('history'));
  const links = h('p', { class: 'links', hidden: true }, id, ' ', workflow, ' ', full);
  const draw = drawn(list, (lines) => lines.map(({ text, state, note, undo, failed }) =>
    h('li', { 'data-state': state, 'data-undo': undo, 'data-failed': failed }, h('span', {}, text),
      h('span', { class: 'unseen' }, ` – ${t(`step ${state}`)}`),
      note ? h('span', { class: 'note' }, note) : null)));
  let looked, over;
  // An attempt that fails changes nothing that services show.
  const again = setInterval(() => looked && !over && !document.hidden && look(looked), AGAIN);

  async function look(now) {
    looked = now;
    const path = `/v1/workflows/${now}`;
    id.textContent = now;
    workflow.href = path;
    full.href = `${path}/history?limit=${PAGE}`;
    const events = await history(path);
    if (!events || looked !== now) return;
    show(links, true);
    show(none, false);
    over = events.some((event) => 'close' in event || 'complete' in event);
    draw(story(events).slice(-LINES));
  }

  return {
    place: h('section', { class: 'behind', 'aria-labelledby': 'behind' },
      h('h2', { id: 'behind' }, t('behind')), h('p', { class: 'lead' }, t('behind.lead')), none, list, links),
    /** Looks at the history of a workflow again. */
    look,
    end: () => clearInterval(again),
  };
}
