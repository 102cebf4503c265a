// Elements and numbers as text. Whatever comes from the platform reaches the page through
// textContent and attributes only: a name cannot become markup.

export const byId = (id) => document.getElementById(id);

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === 'class') made.className = value;
    else if (value !== undefined && value !== null) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setAttribute(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

// Children of `parent` as `items` say, each kept by its key: focus and what is open stay.
export function keyed(parent, items, keyOf, create, update) {
  const known = parent.keyedRows ??= new Map();
  const seen = new Set();
  let at = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    if (seen.has(key)) continue;
    seen.add(key);
    let row = known.get(key);
    if (row === undefined) {
      row = create(item);
      known.set(key, row);
    }
    update(row, item);
    if (row === at) at = at.nextElementSibling;
    else parent.insertBefore(row, at);
  }
  for (const [key, row] of known) {
    if (seen.has(key)) continue;
    row.remove();
    known.delete(key);
  }
}

// 64-bit counts come as strings.
export const number = (value) => Number(value ?? 0);

const whole = new Intl.NumberFormat('en');
export const count = (value) => whole.format(BigInt(value ?? 0));

// Three digits, without an exponent.
export function digits(value) {
  if (!Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  if (size === 0) return '0';
  if (size >= 1000) return whole.format(Math.round(value));
  if (size >= 100) return value.toFixed(0);
  if (size >= 10) return value.toFixed(1);
  if (size >= 1) return value.toFixed(2);
  if (size >= 0.0005) return value.toFixed(3);
  return value.toExponential(1);
}

const prefixes = [[1e9, 'G'], [1e6, 'M'], [1e3, 'k'], [1, ''], [1e-3, 'm'], [1e-6, 'µ'],
  [1e-9, 'n']];
// 0.0123 J as "12.3 mJ".
export function si(value, unit) {
  if (!Number.isFinite(value)) return '–';
  if (value === 0) return `0 ${unit}`;
  const size = Math.abs(value);
  const [scale, prefix] = prefixes.find(([least]) => size >= least * 0.9995) ?? prefixes.at(-1);
  const scaled = value / scale;
  const text = Math.abs(scaled) >= 99.95 ? scaled.toFixed(0)
    : Math.abs(scaled) >= 9.995 ? scaled.toFixed(1) : scaled.toFixed(2);
  return `${text} ${prefix}${unit}`;
}

export function milliseconds(value) {
  if (!(value > 0)) return '–';
  return value >= 1000 ? `${digits(value / 1000)} s` : `${digits(value)} ms`;
}

export const percent = (share) => `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;

export function duration(seconds) {
  if (!(seconds >= 0)) return '';
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${digits(seconds / 3600)} h`;
}
