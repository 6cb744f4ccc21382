// move24mall: an order for movers, who are assigned by themselves; KakaoTalk says who comes.

import { h, show } from './dom.js';
import { t } from './words.js';
import { begin, button, errors, form, made, send } from './send.js';
import { chosen, choice, facts, field, messages, panel, past, status, won } from './parts.js';
import { behind } from './saga.js';
import { faults } from './faults.js';

// The words of the protocol.
const CALLED = '호출';
const CONFIRMED = '호출확정';
const CANCELLED = '호출취소';

const STAGES = { [CALLED]: 'called', [CONFIRMED]: 'confirmed', [CANCELLED]: 'cancelled' };
const MOODS = { confirmed: 'good', cancelled: 'bad' };

export function move() {
  let seen = {};
  const look = () => draw(seen);
  const at = chosen(look);
  const customer = customers(at);
  const phone = phones();
  const saga = behind();
  const switches = faults([
    ['movemanage', 'down'], ['movemanage', 'slow'], ['moveassign', 'down'], ['notification', 'down'],
  ]);

  function draw(lists, set) {
    seen = lists;
    const all = orders(lists);
    const one = all.find(({ id }) => id === at.at(all.map((each) => each.id)));
    customer.draw(all, one);
    phone.draw(lists, one);
    if (one) saga.look(`move.order.${one.id}`);
    if (set) switches.draw(set);
  }

  const aside = h('aside', { class: 'aside' }, switches.place, saga.place);
  return { place: [customer.place, phone.place, aside], draw, end: () => { at.end(); saga.end(); } };
}

/** Every order: the view has those that are cancelled, too. */
function orders({ movers = [], moverinfos = [] }) {
  const idOf = (row) => Number(row.id ?? row._links?.self?.href.split('/').pop());
  const all = new Map();
  for (const row of [...moverinfos, ...movers]) {
    const id = idOf(row);
    const before = all.get(id) ?? {};
    all.set(id, { ...before, ...row, id, stage: STAGES[row.status] ?? before.stage ?? 'placing' });
  }
  // What the view calls cancelled is gone from the list of orders.
  for (const row of moverinfos) if (row.status === CANCELLED) all.get(idOf(row)).stage = 'cancelled';
  return [...all.values()].sort((a, b) => a.id - b.id);
}

function customers(at) {
  const kinds = [['포장', t('move.full')], ['반포장', t('move.half')]];
  const policies = [['strict', t('move.strict')], ['fallback', t('move.fallback')]];
  const order = form(t('move.order'), [
    field('tel', 'move.tel', { type: 'tel', value: '01012345678' }),
    field('location', 'move.location', { value: 'mapo' }),
    field('cost', 'move.cost', { inputmode: 'numeric', value: '2500000' }),
    choice('moveType', 'move.type', kinds, '포장'),
    choice('policy', 'move.policy', policies, 'strict'),
  ], place);
  const now = status();
  const about = facts();
  const told = errors();
  let one;
  const cancel = button(t('move.cancel'), 'quiet', () => send('DELETE', `/move/movers/${one.id}`, undefined, told));
  const list = past('move.orders', (id) => { told.clear(); at.pick(id); });

  async function place(given, problems) {
    const answer = await begin('/move/movers', { ...given, status: CALLED }, problems);
    if (answer) at.pick(made(answer));
  }

  return {
    place: panel('move.customer', 'person', now.place, about.place, cancel, told.place, order, list.place),
    draw(all, current) {
      if (current?.id !== one?.id) told.clear();
      one = current;
      now.draw(one ? where(one) : { headline: t('move.none'), mood: 'idle' });
      about.draw(one?.mover && one.stage === 'confirmed' ? [
        [t('move.mover'), one.mover], [t('move.mover tel'), one.movertel], [t('move.plate'), one.moverid],
      ] : []);
      show(cancel, one && one.stage !== 'cancelled');
      list.draw(all.map((each) => ({
        id: each.id, title: `${each.id}. ${t(`move.${each.stage}`)}`, line: t('move.row', each.location, won(each.cost ?? 0)), mood: MOODS[each.stage],
      })), one?.id);
    },
  };
}

function where({ stage, mover, location, cost }) {
  const take = t('move.step requested'), find = t('move.step assigned'), known = t('move.step confirmed');
  const steps = {
    placing: [[take, 'now'], [find, 'todo'], [known, 'todo']],
    called: [[take, 'done'], [find, mover ? 'done' : 'now', mover ?? ''], [known, mover ? 'now' : 'todo']],
    confirmed: [[take, 'done'], [find, 'done', mover ?? ''], [known, 'done']],
    cancelled: [[take, 'undone'], [find, 'undone']],
  };
  return { headline: t(`move.${stage}`), line: t('move.row', location, won(cost ?? 0)), mood: MOODS[stage], steps: steps[stage] };
}

function phones() {
  const feed = messages('move.feed', 'move.no messages');
  return {
    place: panel('move.phone', 'chat', feed.place),
    draw({ kakaotalks = [] }, one) {
      const about = `move.order.${one?.id}`;
      const rows = kakaotalks.filter((row) => row.about === about);
      feed.draw(rows.map((row) => ({ from: 'move24mall', text: row.message, kind: 'kakao' })));
    },
  };
}
