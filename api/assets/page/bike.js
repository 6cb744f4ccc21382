// Bikes: points are bought, a reservation takes a thousand of them, and gives them back when it
// is cancelled.

import { h, drawn, show, write } from './dom.js';
import { t } from './words.js';
import { begin, button, errors, form, made, send } from './send.js';
import { chosen, facts, field, number, panel, past, status, won } from './parts.js';
import { behind } from './saga.js';
import { faults } from './faults.js';

// The words of the protocol.
const STARTED = '예약시작';
const REJECTED = '예약거절';
const CANCELLED = '예약취소';
const RETURNED = '사용완료';

const COST = 1_000;

const STAGES = { [STARTED]: 'reserved', [REJECTED]: 'rejected', [CANCELLED]: 'cancelled', [RETURNED]: 'returned' };
const MOODS = { reserved: 'good', returned: 'good', rejected: 'bad', cancelled: 'bad' };

export function bike() {
  let seen = {};
  const look = () => draw(seen);
  const at = chosen(look);
  // What was bought last, until a reservation is looked at.
  let purchase;
  const user = users(at, (id) => {
    purchase = id;
    look();
  });
  const administrator = administrators();
  const saga = behind();
  const switches = faults([
    ['payment', 'decline'], ['point', 'down'], ['point', 'lose'], ['bike', 'down'], ['reservation', 'down'],
  ]);

  function draw(lists, set) {
    seen = lists;
    const all = reservations(lists);
    const ids = (some) => some.map(({ id }) => id);
    const looked = at.at(ids(all), ids(all.filter((each) => each.user === user.id())));
    const one = all.find(({ id }) => id === looked);
    user.draw(lists, all, one);
    administrator.draw(lists, all);
    if (purchase) saga.look(`bike.approval.${purchase}`);
    else if (one) saga.look(`bike.reservation.${one.id}`);
    if (set) switches.draw(set);
  }

  const aside = h('aside', { class: 'aside' }, switches.place, saga.place);
  return { place: [user.place, administrator.place, aside], draw, end: () => { at.end(); saga.end(); } };
}

/** Every reservation, as the dashboard has it, which answers while the service is away. */
function reservations({ reservations: rows = [], reservationDashboards = [] }) {
  const all = new Map();
  for (const row of [...rows, ...reservationDashboards]) {
    const id = idOf(row, 'reserveNo');
    const before = all.get(id) ?? { id };
    all.set(id, { ...before, user: row.userId, bike: row.bikeId, stage: STAGES[row.reserveStatus] ?? before.stage ?? 'pending' });
  }
  return [...all.values()].sort((a, b) => a.id - b.id);
}

/** The number of a row: its own field, or as upstream had it, only in its link. */
function idOf(row, field) {
  return Number(row[field] ?? row._links?.self?.href.split('/').pop());
}

function users(at, bought) {
  const who = field('userId', 'bike.user', { inputmode: 'numeric', value: '10' });
  const userId = () => Number(who.querySelector('input').value) || undefined;
  who.addEventListener('input', () => { told.clear(); bought(); at.pick(); });
  const balance = h('p', { class: 'balance', role: 'status' });
  const enough = h('p', { class: 'note' });
  const buy = form(t('bike.buy'), [field('price', 'bike.price', { inputmode: 'numeric', value: '3000' })], purchase, 'quiet');
  const last = h('p', { class: 'note', role: 'status' });
  const now = status();
  const told = errors();
  let one;
  const patch = (reserveStatus) => send('PATCH', `/bike/reservations/${one.id}`, { reserveStatus }, told);
  const back = button(t('bike.return'), 'primary', () => patch(RETURNED));
  const cancel = button(t('bike.cancel'), 'quiet', () => patch(CANCELLED));
  const reserve = form(t('bike.reserve'), [field('bikeId', 'bike.number', { inputmode: 'numeric', value: '1' })], order);
  const list = past('bike.reservations', (id) => { told.clear(); bought(); at.pick(id); });

  async function purchase({ price }, problems) {
    const answer = await begin('/bike/approvals', { userId: userId(), price, approveDate: today() }, problems);
    if (answer) bought(made(answer));
  }

  async function order({ bikeId }, problems) {
    const answer = await begin('/bike/reservations', { userId: userId(), bikeId }, problems);
    if (!answer) return;
    bought();
    at.pick(made(answer));
  }

  return {
    id: userId,
    place: panel('bike.rider', 'person', who, h('div', {}, balance, enough, last), buy,
      h('div', { class: 'apart' }, now.place), back, cancel, told.place, reserve, list.place),
    draw({ points = [], approvals = [] }, all, current) {
      if (current?.id !== one?.id) told.clear();
      one = current;
      const account = points.find((row) => idOf(row, 'userId') === userId());
      const total = account?.totalPoint ?? 0;
      write(balance, t('bike.points', number(total)));
      write(enough, t(total < COST ? 'bike.too few' : 'bike.enough', Math.floor(total / COST)));
      const mine = approvals.filter((row) => row.userId === userId()).at(-1);
      write(last, mine ? t(mine.cancelled ? 'bike.not bought' : 'bike.bought', won(mine.price)) : '');
      now.draw(one ? where(one) : { headline: t('bike.none'), mood: 'idle' });
      show(back, one?.stage === 'reserved');
      show(cancel, one && ['reserved', 'pending'].includes(one.stage));
      list.draw(all.map((each) => ({
        id: each.id, title: `${each.id}. ${t(`bike.${each.stage}`)}`, line: t('bike.row', each.bike, each.user), mood: MOODS[each.stage],
      })), one?.id);
    },
  };
}

/** As the documents write a date. */
function today() {
  return new Date().toISOString().slice(0, 10).replaceAll('-', '');
}

function where({ stage, bike, user }) {
  const line = t('bike.row', bike, user);
  const take = t('bike.step hold'), pay = t('bike.step points'), ride = t('bike.step return');
  const steps = {
    pending: [[take, 'now'], [pay, 'todo'], [ride, 'todo']],
    reserved: [[take, 'done'], [pay, 'done', t('bike.cost')], [ride, 'now']],
    returned: [[take, 'done'], [pay, 'done', t('bike.cost')], [ride, 'done']],
    rejected: [[take, 'failed']],
    cancelled: [[take, 'undone'], [pay, 'undone', t('bike.back')]],
  };
  return { headline: t(`bike.${stage}`), line: stage === 'rejected' ? t('bike.why rejected') : line, mood: MOODS[stage], steps: steps[stage] };
}

function administrators() {
  const register = form(t('bike.register'), [
    field('color', 'bike.color', { value: 'red' }),
    field('registeredDate', 'bike.date', { inputmode: 'numeric', value: today() }),
  ], (given, problems) => begin('/bike/managements', given, problems));
  const list = h('ul', { class: 'stock' });
  const none = h('p', { class: 'empty' }, t('bike.no bikes'));
  const draw = drawn(list, (rows) => rows.map(({ id, color, free }) =>
    h('li', {}, h('span', {}, t('bike.one', id, color)), h('span', { class: 'tag', 'data-mood': free ? 'good' : 'now' }, t(free ? 'bike.free' : 'bike.taken')))));
  return {
    place: panel('bike.administrator', 'key', register, h('div', { class: 'apart' }, h('h3', {}, t('bike.bikes')), none, list)),
    draw({ managements = [] }, all) {
      const held = new Set(all.filter(({ stage }) => stage === 'reserved').map(({ bike }) => bike));
      const rows = managements.slice(-12).map((row) => {
        const id = idOf(row, 'bikeId');
        return { id, color: row.color, free: row.status ? row.status === 'AVAILABLE' : !held.has(id) };
      });
      show(none, rows.length === 0);
      draw(rows);
    },
  };
}
