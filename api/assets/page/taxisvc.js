// taxisvc: a call that is paid when it is placed; a rider, and a driver who ends the ride.

import { h, show, write } from './dom.js';
import { t } from './words.js';
import { begin, button, errors, form, made, send } from './send.js';
import { chosen, facts, field, number, panel, past, status, won } from './parts.js';
import { behind } from './saga.js';
import { faults } from './faults.js';

const WON_PER_KM = 10_000;
const FURTHEST = 100;

const OPEN = new Set([undefined, null, 'driveRequest', 'driveStart']);

export function taxisvc() {
  let seen = {};
  const look = () => draw(seen);
  const at = chosen(look);
  const rider = riders(at);
  const driver = drivers();
  const saga = behind();
  const switches = faults([
    ['payment', 'decline'], ['payment', 'slow'], ['payment', 'down'], ['payment', 'lose'], ['drive', 'down'],
  ]);

  function draw(lists, set) {
    seen = lists;
    const calls = rides(lists);
    const ride = calls.find(({ id }) => id === at.at(calls.map((call) => call.id)));
    rider.draw(calls, ride);
    driver.draw(ride);
    if (ride) saga.look(`taxisvc.call.${ride.id}`);
    if (set) switches.draw(set);
  }

  const aside = h('aside', { class: 'aside' }, switches.place, saga.place);
  return { place: [rider.place, driver.place, aside], draw, end: () => { at.end(); saga.end(); } };
}

/** Every call, with all that is known of it; the view knows what a service that is away does not say. */
function rides({ calls = [], drives = [], payments = [], callViews = [], away = [] }) {
  const of = (rows, id) => rows.find((row) => row.callId === id);
  const ids = new Set([...calls, ...callViews].map((row) => row.callId));
  return [...ids].sort((a, b) => a - b).map((id) => {
    const view = of(callViews, id) ?? {};
    const call = { ...view, ...of(calls, id) };
    const drive = of(drives, id) ?? (view.driveId ? view : undefined);
    return { id, call, drive, payment: of(payments, id), unsure: away.includes('payments') };
  });
}

function riders(at) {
  const fare = h('span', { class: 'note', 'aria-live': 'polite' });
  const km = field('distance', 'distance', { inputmode: 'decimal', value: '20', hint: fare });
  const price = () => {
    const cost = Number(km.querySelector('input').value) * WON_PER_KM;
    const far = cost > FURTHEST * WON_PER_KM;
    write(fare, cost > 0 ? t(far ? 'taxi.too far' : 'taxi.fare', won(cost)) : '');
  };
  km.addEventListener('input', price);
  price();
  const order = form(t('taxi.call'), [field('userName', 'your name', { value: 'nana', autocomplete: 'name' }), km], place);
  const now = status();
  const told = errors();
  let ride;
  const cancel = button(t('taxi.cancel'), 'quiet', () => send('POST', '/taxisvc/calls/cancel', { callId: ride.id }, told));
  const list = past('taxi.calls', (id) => { told.clear(); at.pick(id); });

  async function place({ userName, distance }, problems) {
    // From here on the newest is looked at: it is this one, before its number is known.
    at.pick();
    const answer = await begin('/taxisvc/calls', { userId: '1', userName, distance }, problems);
    if (answer) at.pick(made(answer));
  }

  return {
    place: panel('rider', 'person', now.place, cancel, told.place, order, list.place),
    draw(all, current) {
      ride = current;
      now.draw(ride ? where(ride) : { headline: t('taxi.none'), mood: 'idle' });
      show(cancel, ride && OPEN.has(ride.call.callStatus));
      list.draw(all.map(row), ride?.id);
    },
  };
}

function row({ id, call }) {
  const headline = t(call.callStatus ? `taxi.${call.callStatus}` : 'taxi.paying');
  const km = call.distance === undefined ? '–' : number(call.distance);
  return { id, title: `${id}. ${headline}`, line: t('taxi.row', call.userName || '–', km), mood: mood(call.callStatus) };
}

function mood(callStatus) {
  if (callStatus === 'driveComplete') return 'good';
  return OPEN.has(callStatus) ? 'now' : 'bad';
}

/** Where a ride is, for its rider. */
function where({ call, drive, payment, unsure }) {
  const { callStatus } = call;
  const headline = t(callStatus ? `taxi.${callStatus}` : 'taxi.paying');
  const amount = payment?.fare ?? call.distance * WON_PER_KM;
  // The view does not know it, and may be all that answers.
  const cost = Number.isFinite(amount) ? won(amount) : '–';
  const who = drive && t('taxi.who', drive.driverName, drive.taxiNum);
  const pay = t('taxi.step pay'), find = t('taxi.step find'), arrive = t('taxi.step arrive');
  const shown = (line, ...steps) => ({ headline, line, steps, mood: mood(callStatus) });
  switch (callStatus) {
    case 'driveRequest':
      return shown('', [pay, 'done', cost], [find, 'now'], [arrive, 'todo']);
    case 'driveStart':
      return shown(who, [pay, 'done', cost], [find, 'done'], [arrive, 'now']);
    case 'driveComplete':
      return shown(t('taxi.thanks', cost), [pay, 'done', cost], [find, 'done', who], [arrive, 'done']);
    case 'payFail':
      return shown(refund(payment, unsure), [pay, 'failed'], ...back(payment));
    case 'requestCancel': {
      const far = call.distance > FURTHEST;
      const line = [far ? t('taxi.no driver') : '', refund(payment, unsure)].join(' ').trim();
      const found = drive && !far ? [[t('taxi.step let go'), 'undone', who]] : [];
      const paid = payment ? [[pay, 'undone', cost]] : [];
      return shown(line, ...paid, ...(far ? [[find, 'failed']] : []), ...found, ...back(payment));
    }
    default:
      return shown('', [pay, 'now', cost], [find, 'todo'], [arrive, 'todo']);
  }
}

function refund(payment, unsure) {
  if (!payment) return t(unsure ? 'taxi.unsure' : 'taxi.not charged');
  return t(payment.status === 'REFUNDED' ? 'taxi.refunded' : 'taxi.refunding', won(payment.fare));
}

function back(payment) {
  if (!payment) return [];
  return [[t('taxi.step refund'), payment.status === 'REFUNDED' ? 'done' : 'now', won(payment.fare)]];
}

function drivers() {
  const now = status();
  const about = facts();
  const told = errors();
  let drive, ride;
  const end = button(t('drive.finish'), 'primary', () => send('POST', '/taxisvc/drives/end', { driveId: drive.driveId }, told));

  return {
    place: panel('driver', 'wheel', now.place, about.place, end, told.place),
    draw(current) {
      if (current?.id !== ride?.id) told.clear();
      ride = current;
      drive = ride?.drive;
      now.draw(drive ? driving(ride) : { headline: t('drive.none'), mood: 'idle' });
      const unavailable = drive && ride.call.distance > FURTHEST;
      const rows = drive && !unavailable ? [[t('drive.name'), drive.driverName], [t('drive.plate'), drive.taxiNum]] : [];
      const fare = drive?.fare === undefined ? [] : [[t('drive.fare'), won(drive.fare)]];
      about.draw([...rows, ...fare]);
      show(end, drive?.driveStatus === 'start');
    },
  };
}

function driving({ call, drive }) {
  const far = drive.driveStatus === 'requestCancel' && call.distance > FURTHEST;
  const headline = far ? t('drive.unavailable') : t(`drive.${drive.driveStatus}`, call.userName || '–');
  const moods = { start: 'now', end: 'good', requestCancel: 'bad' };
  return { headline, mood: moods[drive.driveStatus] };
}
