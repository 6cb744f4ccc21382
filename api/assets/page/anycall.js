// AnycallTaxi: a driver accepts the call, a friend is told, and the ride is paid when it ends.

import { h, fill, show } from './dom.js';
import { t } from './words.js';
import { begin, button, errors, form, made, send } from './send.js';
import { chosen, choice, facts, field, messages, panel, past, status, won } from './parts.js';
import { behind } from './saga.js';
import { faults } from './faults.js';

// The words of the protocol.
const CALLED = '택시호출';
const CANCELLED = '호출취소';
const REVIEWED = '서비스평가';
const ASSIGNED = '배정됨';
const STARTED = '운행시작';
const ENDED = '운행종료';

const MEMBER = 'hansom-anycall-member';

export function anycall() {
  let seen = {};
  const look = () => draw(seen);
  const at = chosen(look);
  const rider = riders(at, look);
  const driver = drivers();
  const saga = behind();
  const switches = faults([
    ['payment', 'decline'], ['payment', 'slow'], ['payment', 'down'], ['taxi', 'down'], ['notification', 'down'],
  ], 'any.no show');

  function draw(lists, set) {
    seen = lists;
    const all = rides(lists);
    const ride = all.find(({ id }) => id === at.at(all.map((call) => call.id)));
    rider.draw(lists, all, ride);
    driver.draw(ride);
    if (ride) saga.look(`anycall.call.${ride.id}`);
    if (set) switches.draw(set);
  }

  const aside = h('aside', { class: 'aside' }, switches.place, saga.place);
  return { place: [rider.place, driver.place, aside], draw, end: () => { at.end(); saga.end(); } };
}

/** Every call; the view knows it all, and the services know it sooner. */
function rides({ calls = [], taxis = [], taxiServiceInfos = [] }) {
  const of = (rows, id) => rows.find((row) => row.callId === id) ?? {};
  const ids = new Set([...calls, ...taxiServiceInfos].map((row) => row.callId));
  return [...ids].sort((a, b) => a - b).map((id) => {
    const taxi = of(taxis, id), view = of(taxiServiceInfos, id), call = of(calls, id);
    const { latitude, longitude } = view;
    return {
      id, latitude, longitude,
      stage: stage(call.callStatus ?? view.callStatus, taxi.taxiStatus ?? view.taxiStatus),
      from: call.startAddress ?? view.startAddress,
      to: call.endAddress ?? view.endAddress,
      phone: call.phoneNumber ?? view.phoneNumber,
      friend: taxi.friendPhoneNumber ?? view.friendPhoneNumber,
      name: taxi.memberName ?? view.memberName,
      taxi: taxi.taxiNumber ?? view.taxiNumber,
      info: taxi.taxiInfo ?? view.taxiInfo,
      paid: taxi.payAmt ?? view.payAmt,
      score: taxi.estimateScore ?? view.estimateScore,
    };
  });
}

function stage(callStatus, taxiStatus) {
  if (callStatus === CANCELLED) return 'cancelled';
  if (callStatus === REVIEWED) return 'reviewed';
  const stages = { [ASSIGNED]: 'assigned', [STARTED]: 'started', [ENDED]: 'ended' };
  return stages[taxiStatus] ?? (callStatus === CALLED ? 'searching' : 'placing');
}

const MOODS = { ended: 'good', reviewed: 'good', cancelled: 'bad' };

function riders(at, look) {
  const member = members(look);
  const now = status();
  const told = errors();
  let ride;
  const patch = (body, problems) => send('PATCH', `/anycall/calls/${ride.id}`, body, problems);
  const cancel = button(t('any.cancel'), 'quiet', () => patch({ callStatus: CANCELLED }, told));
  const stars = ['1', '2', '3', '4', '5'].map((score) => [score, t('any.stars', score)]);
  const review = form(t('any.send review'), [choice('estimateScore', 'any.review', stars, '5')],
    ({ estimateScore }, problems) => patch({ callStatus: REVIEWED, estimateScore }, problems), 'quiet');
  const order = form(t('any.call'), [
    field('startAddress', 'any.from', { value: '경기도 분당구 정자동' }),
    field('endAddress', 'any.to', { value: '서울시 양천구 목동서로 400' }),
  ], place);
  const inbox = messages('any.messages', 'any.no messages');
  const list = past('any.calls', (id) => { told.clear(); at.pick(id); });

  async function place(given, problems) {
    const { memberId, phoneNumber } = member.who();
    const answer = await begin('/anycall/calls', { memberId, phoneNumber, ...given, callStatus: CALLED }, problems);
    if (answer) at.pick(made(answer));
  }

  return {
    place: panel('rider', 'person', now.place, cancel, told.place, review, member.place, order, h('div', { class: 'apart' }, inbox.place), list.place),
    draw({ memberShips = [], notifies = [] }, all, current) {
      if (current?.id !== ride?.id || current?.stage !== ride?.stage) told.clear();
      ride = current;
      member.draw(memberShips);
      show(order, Boolean(member.who()));
      now.draw(ride ? where(ride) : { headline: t('any.none'), mood: 'idle' });
      show(cancel, ride && ['placing', 'searching'].includes(ride.stage));
      show(review, ride?.stage === 'ended');
      inbox.draw(mine(notifies, ride, member.who()));
      list.draw(all.map((one) => ({ id: one.id, title: `${one.id}. ${t(`any.${one.stage}`)}`, line: t('any.row', one.from, one.to), mood: MOODS[one.stage] })), ride?.id);
    },
  };
}

/** What arrived on the rider's phone, and on the friend's. */
function mine(notifies, ride, member) {
  const phone = ride?.phone ?? member?.phoneNumber;
  const friend = ride?.friend ?? member?.friendPhoneNumber;
  const from = { [phone]: 'any.to you', [friend]: 'any.to friend' };
  return notifies.filter((one) => one.toPhoneNumber in from).slice(-8)
    .map((one) => ({ from: t(from[one.toPhoneNumber], one.toPhoneNumber), text: one.message, kind: one.channel }));
}

/** Who rides: a member who is registered, or a new one. */
function members(look) {
  let all = [];
  let id = Number(sessionStorage.getItem(MEMBER)) || undefined;
  const chosenOne = () => all.find((one) => one.memberId === id) ?? (id === 0 ? undefined : all.at(-1));
  const select = h('select', {});
  select.addEventListener('change', () => pick(Number(select.value)));
  const who = h('label', { class: 'field' }, h('span', { class: 'label' }, t('any.member')), select);
  const about = facts();
  const register = form(t('any.register'), [
    field('memberName', 'your name', { value: 'nana', autocomplete: 'name' }),
    field('phoneNumber', 'any.phone', { type: 'tel', value: '010-7202-2664' }),
    field('creditCardNumber', 'any.card', { inputmode: 'numeric', value: '1234-5678-9012-3456' }),
    field('friendPhoneNumber', 'any.friend', { type: 'tel', value: '010-1111-2222', required: false }),
  ], async (given, problems) => {
    const answer = await send('POST', '/anycall/memberShips', given, problems);
    if (answer) pick(made(answer));
  });

  function pick(given) {
    id = given;
    sessionStorage.setItem(MEMBER, String(id));
    look();
  }

  let drawnOf;
  return {
    place: h('div', { class: 'apart form' }, who, about.place, register),
    who: chosenOne,
    draw(given) {
      all = given;
      const current = chosenOne();
      const options = JSON.stringify([all.map((one) => [one.memberId, one.memberName]), current?.memberId]);
      if (options !== drawnOf) {
        drawnOf = options;
        const option = (value, text) => h('option', { value, selected: value === (current?.memberId ?? 0) }, text);
        fill(select, all.map((one) => option(one.memberId, `${one.memberId}. ${one.memberName}`)), option(0, t('any.new member')));
      }
      show(who, all.length > 0);
      show(register, !current);
      about.draw(current ? [
        [t('any.card'), current.creditCardNumber || '–'],
        [t('any.friend fact'), current.friendPhoneNumber || '–'],
      ] : []);
    },
  };
}

/** Where a ride is, for its rider. */
function where({ stage, taxi, info, paid, score, latitude, longitude }) {
  const order = ['placing', 'searching', 'assigned', 'started', 'ended', 'reviewed'];
  const reached = order.indexOf(stage);
  const state = (from, to) => (reached >= to ? 'done' : reached >= from ? 'now' : 'todo');
  const where = latitude == null ? '' : t('any.position', latitude.toFixed(4), longitude.toFixed(4));
  const who = taxi ? [taxi, info].filter(Boolean).join(' · ') : '';
  const lines = {
    searching: t('any.searching line'),
    assigned: [who, where].filter(Boolean).join('\n'),
    started: [who, where].filter(Boolean).join('\n'),
    ended: t('any.paid', won(paid ?? 0)),
    reviewed: t('any.scored', score ?? ''),
    cancelled: t('any.free'),
  };
  const headline = t(`any.${stage}`);
  if (stage === 'cancelled') return { headline, line: lines.cancelled, mood: 'bad', steps: [[t('any.step called'), 'undone']] };
  return {
    headline,
    line: lines[stage],
    mood: MOODS[stage],
    steps: [
      [t('any.step called'), state(0, 1)],
      [t('any.step assigned'), state(1, 2)],
      [t('any.step on board'), state(2, 3)],
      [t('any.step paid'), state(3, 4), paid == null ? '' : won(paid)],
      [t('any.step review'), state(4, 5)],
    ],
  };
}

function drivers() {
  const now = status();
  const about = facts();
  const told = errors();
  let ride;
  const patch = (body, problems) => send('PATCH', `/anycall/taxis/${ride.id}`, body, problems);
  const accept = form(t('any.accept'), [
    field('taxiNumber', 'any.plate', { value: '114너7484' }),
    field('taxiInfo', 'any.info', { value: '서울택시(주) 기사명 : 홍길동 종류 : 일반택시' }),
  ], (given, problems) => patch({ ...given, callStatus: ASSIGNED, taxiStatus: ASSIGNED }, problems));
  const start = button(t('any.start'), 'primary', () => patch({ taxiStatus: STARTED }, told));
  const position = button(t('any.send position'), 'quiet', () => patch(somewhere(ride), told));
  const end = form(t('any.end'), [field('payAmt', 'any.fare', { inputmode: 'numeric', value: '15000' })],
    ({ payAmt }, problems) => patch({ taxiStatus: ENDED, payAmt }, problems));

  return {
    place: panel('driver', 'wheel', now.place, about.place, accept, start, end, position, told.place),
    draw(current) {
      if (current?.id !== ride?.id || current?.stage !== ride?.stage) told.clear();
      ride = current;
      const stage = ride?.stage;
      const idle = !stage || stage === 'placing';
      now.draw({ headline: t(idle ? 'any.driver none' : `any.driver ${stage}`), mood: idle ? 'idle' : MOODS[stage] });
      about.draw(idle ? [] : [
        [t('any.from'), ride.from], [t('any.to'), ride.to],
        ...(ride.name ? [[t('rider'), ride.name]] : []),
        ...(ride.paid == null ? [] : [[t('any.fare'), won(ride.paid)]]),
        ...(ride.score ? [[t('any.review'), t('any.stars', ride.score)]] : []),
      ]);
      show(accept, stage === 'searching');
      show(start, stage === 'assigned');
      show(end, stage === 'started');
      show(position, stage === 'assigned' || stage === 'started');
    },
  };
}

/** A little further on the way through Seoul, each time it is asked. */
function somewhere({ latitude, longitude }) {
  return { latitude: (latitude ?? 37.3595) + 0.0123, longitude: (longitude ?? 127.1052) - 0.0171 };
}
