// Switches that make services misbehave.

import { h } from './dom.js';
import { t } from './words.js';
import { errors, send } from './send.js';

const SLOW = 2_000;

const KINDS = {
  decline: { is: (faults) => faults.decline, on: { decline: true }, off: { decline: false } },
  slow: { is: (faults) => faults.latency_ms > 0, on: { latency_ms: SLOW }, off: { latency_ms: 0 } },
  down: { is: (faults) => faults.down, on: { down: true }, off: { down: false } },
  lose: { is: (faults) => faults.lose_answer, on: { lose_answer: true }, off: { lose_answer: false } },
};

/**
 * Switches, each of a service and a kind of fault, `[service, kind]`; their words are
 * `fault.{service}.{kind}` and, for what to expect of it, `fault.{service}.{kind}.why`.
 * `more` is what can be tried without a switch.
 */
export function faults(switches, more) {
  const told = errors();
  let now = {};
  const made = switches.map(([service, kind]) => {
    const name = `fault.${service}.${kind}`;
    const why = h('span', { class: 'note' }, t(`${name}.why`));
    const knob = h('span', { class: 'knob', 'aria-hidden': 'true' });
    const button = h('button', { type: 'button', class: 'switch', role: 'switch', 'aria-checked': 'false', 'data-fault': `${service}.${kind}` },
      h('span', {}, h('span', { class: 'title' }, t(name)), why), knob);
    button.addEventListener('click', () => flip(button, service, kind));
    return { button, service, kind };
  });

  async function flip(button, service, kind) {
    if (button.getAttribute('aria-busy') === 'true') return;
    button.setAttribute('aria-busy', 'true');
    const { is, on, off } = KINDS[kind];
    // The others of the service stay as they are, which nobody here may know.
    const answer = await send('PATCH', `/faults/${service}`, is(now[service] ?? {}) ? off : on, told);
    if (answer) draw({ ...now, [service]: answer.body });
    button.removeAttribute('aria-busy');
  }

  function draw(given) {
    now = given ?? now;
    for (const { button, service, kind } of made) {
      const on = Boolean(now[service] && KINDS[kind].is(now[service]));
      button.setAttribute('aria-checked', String(on));
    }
  }

  return {
    place: h('section', { class: 'faults', 'aria-labelledby': 'faults' },
      h('h2', { id: 'faults' }, t('break')), h('p', { class: 'lead' }, t('break.lead')),
      made.map(({ button }) => button), more ? h('p', { class: 'note more' }, t(more)) : null, told.place),
    draw,
  };
}
