/** Makes and finds elements. Text goes in as text nodes only: nothing that the agent sends becomes markup. */

/** @typedef {Node | string | null} Child null: nothing */

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Readonly<Record<string, string>>} [attributes]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  fill(element, ...children);
  return element;
}

/**
 * Puts these in the place of all that was inside.
 * @param {Element} element
 * @param {...Child} children
 */
export function fill(element, ...children) {
  element.replaceChildren(...children.filter((child) => child !== null));
}

/**
 * Sets the text only where it changed: a screen reader is told of each change.
 * @param {Element} element
 * @param {string} text
 */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * The element with this id, of this type. Throws where the page has none.
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
export function find(id, type) {
  const element = document.getElementById(id);
  if (element instanceof type) return element;
  throw new Error(`the page has no ${type.name} #${id}`);
}

/**
 * A link to the explanation of a decision; main.mjs opens it when the address says so.
 * @param {number} id
 * @param {string} text
 */
export function decisionLink(id, text) {
  return make('a', { href: `#decision-${id}` }, text);
}
