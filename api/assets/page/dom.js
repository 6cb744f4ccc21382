// Elements, made by hand. Text goes in as text: there is no other way in.

/** An element with attributes, listeners (`onclick`), and children: elements, texts, or nothing. */
export function h(name, given = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(given)) {
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, '');
    else if (value !== false && value != null) element.setAttribute(key, value);
  }
  fill(element, ...children);
  return element;
}

/** Puts these children in place of those that are there. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return element;
}

/** Writes a text, unless it is there already: what is spoken aloud is spoken once. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
  return element;
}

/** Shows an element or hides it. */
export function show(element, shown) {
  element.hidden = !shown;
  return element;
}

/**
 * A part of the page that is drawn from a model, and drawn anew only when the model is another:
 * nothing changes under a finger or a screen reader without need.
 */
export function drawn(element, draw) {
  let before;
  return (model) => {
    const now = JSON.stringify(model);
    if (now === before) return;
    before = now;
    fill(element, draw(model));
  };
}

const SVG = 'http://www.w3.org/2000/svg';

const PATHS = {
  taxi: 'M3 16.500v-3.500l2-.500 1.800-4.300A1.600 1.600 0 0 1 8.300 7.200h7.400a1.600 1.600 0 0 1 1.500 1L19 12.500l2 .500v3.500h-2.200M9.200 16.500h5.600M5 12.500h14M10 7V4.500h4V7M7 18.500a2 2 0 1 0 0-4 2 2 0 0 0 0 4ZM17 18.500a2 2 0 1 0 0-4 2 2 0 0 0 0 4Z',
  hail: 'M12 21s-6-5.2-6-10a6 6 0 0 1 12 0c0 4.800-6 10-6 10ZM12 13a2 2 0 1 0 0-4 2 2 0 0 0 0 4Z',
  move: 'M2 7h11v10H2zM13 10h4l4 4v3h-8M6.500 19.500a1.800 1.800 0 1 0 0-3.600 1.800 1.800 0 0 0 0 3.600ZM17 19.500a1.800 1.800 0 1 0 0-3.600 1.800 1.800 0 0 0 0 3.600Z',
  bike: 'M6 19a3.500 3.500 0 1 0 0-7 3.500 3.500 0 0 0 0 7ZM18 19a3.500 3.500 0 1 0 0-7 3.500 3.500 0 0 0 0 7ZM6 15.500 9.500 8H15l3 7.500M9.500 8l4 7.500H6M14 5h2.500',
  person: 'M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8ZM4.500 20.500c1-4 4-5.500 7.500-5.500s6.500 1.500 7.500 5.500',
  wheel: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM12 14a2 2 0 1 0 0-4 2 2 0 0 0 0 4ZM3.200 11h6.900M13.900 11h6.900M12 14v7',
  chat: 'M4 5h16v11H10l-4 4v-4H4z',
  key: 'M8 15a4 4 0 1 0 0-8 4 4 0 0 0 0 8ZM12 11h9M18 11v4M15 11v2.500',
};

/** A drawing that says nothing that a text beside it does not say. */
export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  const attributes = { viewBox: '0 0 24 24', class: 'icon', 'aria-hidden': 'true' };
  for (const [key, value] of Object.entries(attributes)) svg.setAttribute(key, value);
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', PATHS[name]);
  svg.append(path);
  return svg;
}
