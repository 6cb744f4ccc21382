// The front page: which of the four?

import { h, icon } from './dom.js';
import { t } from './words.js';

/** Every system, and its drawing. */
export const SYSTEMS = [
  { name: 'taxisvc', picture: 'taxi' },
  { name: 'anycall', picture: 'hail' },
  { name: 'move', picture: 'move' },
  { name: 'bike', picture: 'bike' },
];

/** What the front page consists of. */
export function home() {
  const card = ({ name, picture }) =>
    h('li', {}, h('a', { class: 'card', href: `/page/${name}` }, icon(picture), h('h2', {}, t(`name.${name}`)), h('p', {}, t(`about.${name}`))));
  return [
    h('div', { class: 'intro' }, h('h1', {}, t('home.headline')), h('p', { class: 'lead' }, t('home.lead'))),
    h('ul', { class: 'cards' }, SYSTEMS.map(card)),
  ];
}
