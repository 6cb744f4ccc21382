// What is the same on every page: the bar, the language, the connection.

import { h, fill, show, write, icon } from './dom.js';
import { lang, other, t } from './words.js';
import { follow } from './feed.js';
import { absences } from './parts.js';
import { home, SYSTEMS } from './home.js';
import { taxisvc } from './taxisvc.js';
import { anycall } from './anycall.js';
import { move } from './move.js';
import { bike } from './bike.js';

const PAGES = { taxisvc, anycall, move, bike };

const system = location.pathname.split('/')[2];
let stop = () => {};
// What was seen last, for when the page is drawn anew.
let seen, faults;

function bar() {
  const link = ({ name, picture }) => {
    const current = name === system ? 'page' : undefined;
    return h('a', { href: `/page/${name}`, 'aria-current': current }, icon(picture), h('span', {}, t(`name.${name}`)));
  };
  const change = () => {
    other();
    start();
    document.querySelector('#language').focus();
  };
  return h('header', { class: 'bar' },
    h('a', { class: 'skip', href: '#page', onclick: skip }, t('skip')),
    h('a', { class: 'mark', href: '/', 'aria-label': t('home') }, 'Hansom'),
    system ? h('nav', { 'aria-label': t('systems') }, SYSTEMS.map(link)) : null,
    h('button', { id: 'language', type: 'button', class: 'plain', lang: lang() === 'en' ? 'ko' : 'en', onclick: change },
      t('other language')));
}

function foot() {
  const links = [['/openapi.json', 'openapi'], ['/metrics', 'metrics']];
  return h('footer', { class: 'foot' }, links.map(([href, name]) => h('a', { href }, t(name))));
}

/** The address says which call is looked at: a link into the page would write over it. */
function skip(event) {
  event.preventDefault();
  document.querySelector('main').focus();
}

/** Draws the page anew, in the language that is spoken now. */
function start() {
  stop();
  document.documentElement.lang = lang();
  document.title = system ? `${t(`title.${system}`)} · Hansom` : t('title.home');
  const main = h('main', { id: 'page', tabindex: '-1' });
  fill(document.body, bar(), main, foot());
  if (!system) {
    main.append(...home());
    stop = () => {};
    return;
  }
  const connection = h('p', { class: 'connection', role: 'status', 'data-state': 'connecting' }, t('connecting'));
  const away = absences();
  const page = PAGES[system]();
  const stage = h('div', { class: 'stage' }, page.place);
  main.append(
    h('div', { class: 'intro' }, h('h1', {}, t(`title.${system}`)), h('p', { class: 'lead' }, t(`lead.${system}`)), connection),
    away.place, stage);

  // Nothing is there to be tapped before it is known what there is.
  const draw = () => {
    show(stage, Boolean(seen));
    if (seen) page.draw(seen, faults);
  };
  draw();
  const end = follow(system, (now) => {
    away.draw(now.lists);
    // Of a service that does not answer, what was seen before stays.
    const answered = Object.entries(now.lists).filter(([, rows]) => rows !== null);
    const gone = Object.keys(now.lists).filter((name) => now.lists[name] === null);
    seen = { ...seen, ...Object.fromEntries(answered), away: gone };
    faults = now.faults;
    draw();
  }, (state) => {
    connection.dataset.state = state;
    write(connection, t(state));
  });
  stop = () => {
    end();
    page.end();
  };
}

start();
