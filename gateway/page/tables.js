// Pools, experts and budgets.

import {byId, count, digits, duration, element, keyed, milliseconds, number, percent, setAttribute,
  setText, si} from './dom.js';
import {History, drawLine} from './charts.js';

const SPARK_SECONDS = 120;
const FIRST_EXPERTS = 20;
const MORE_EXPERTS = 100;
const MOST_POOLS = 200;
const MOST_BUDGETS = 200;

// A table that stays a table where narrow screens lay its rows out as cards.
function makeTable(label, columns) {
  const head = element('tr', {role: 'row'}, ...columns.map(([title, kind, hint]) =>
    element('th', {scope: 'col', role: 'columnheader', class: kind, title: hint}, title)));
  const body = element('tbody', {role: 'rowgroup'});
  const table = element('table', {role: 'table', 'aria-label': label},
    element('thead', {role: 'rowgroup'}, head), body);
  return {table, body};
}

function makeRow(columns) {
  const row = element('tr', {role: 'row'});
  columns.forEach(([title, kind], index) => {
    row.append(index === 0
      ? element('th', {scope: 'row', role: 'rowheader'})
      : element('td', {role: 'cell', class: kind, 'data-label': title}));
  });
  return row;
}

function note(container, text) {
  const known = container.querySelector(':scope > .note');
  if (known !== null) setText(known, text);
  else container.replaceChildren(element('p', {class: 'note'}, text));
}

const POOL_COLUMNS = [
  ['Pool'], ['Requests/s', 'number'], ['Requests', 'number'], ['Failures', 'number'],
  ['p50', 'number', 'Median latency at the slowest router'],
  ['p99', 'number', '99th percentile of latency at the slowest router'],
  ['In flight', 'number'], ['Energy', 'number', 'Since the routers started'],
  ['Power', 'number', 'Joules a second over the last five'],
  ['Price', 'number', 'Quality units that a joule costs'], ['Power over time', 'spark'],
];

export class PoolTable {
  constructor() {
    this.container = byId('pools');
    this.histories = new Map();
  }

  update(pools, now) {
    setText(byId('pools-count'), pools.length > 0 ? String(pools.length) : '');
    const names = new Set(pools.map((pool) => pool.name));
    for (const name of this.histories.keys()) if (!names.has(name)) this.histories.delete(name);
    if (pools.length === 0) {
      this.parts = undefined;
      return note(this.container,
        'No pools yet: name one under `router.pools`, or ask for a key that may see some.');
    }
    if (this.parts === undefined) {
      this.parts = makeTable('Pools', POOL_COLUMNS);
      this.container.replaceChildren(this.parts.table);
    }
    for (const pool of pools) {
      if (!this.histories.has(pool.name)) this.histories.set(pool.name, new History(SPARK_SECONDS));
      this.histories.get(pool.name).add(now, {
        requests: number(pool.requests), failures: number(pool.failures), joules: pool.energy_j});
    }
    keyed(this.parts.body, pools.slice(0, MOST_POOLS), (pool) => pool.name, () => {
      const row = makeRow(POOL_COLUMNS);
      row.cells[0].append(element('span', {class: 'dot', 'aria-hidden': 'true'}),
        element('span', {class: 'name'}), element('span', {class: 'ready'}));
      const spark = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
      for (const [key, value] of [['viewBox', '0 0 120 22'], ['preserveAspectRatio', 'none'],
        ['aria-hidden', 'true'], ['class', 'spark']]) spark.setAttribute(key, value);
      row.cells[10].append(spark);
      return row;
    }, (row, pool) => this.fill(row, pool, now));
  }

  fill(row, pool, now) {
    const history = this.histories.get(pool.name);
    const cells = row.cells;
    setText(cells[0].children[1], pool.name);
    setText(cells[0].children[2], pool.ready ? 'ready' : 'not ready');
    setAttribute(row, 'data-ready', String(pool.ready));
    const failing = (history.rate('failures') ?? 0) > 0;
    setAttribute(row, 'data-failing', String(failing));
    const texts = [
      digits(history.rate('requests')), count(pool.requests), count(pool.failures),
      milliseconds(pool.p50_ms), milliseconds(pool.p99_ms), count(pool.in_flight),
      si(pool.energy_j, 'J'), si(history.rate('joules'), 'W'),
      pool.price_per_joule > 0 ? `${digits(pool.price_per_joule)}/J` : '0',
    ];
    texts.forEach((text, index) => setText(cells[index + 1], text));
    drawLine(cells[10].firstChild, history.rates('joules'), SPARK_SECONDS, now);
  }
}

const EXPERT_COLUMNS = [
  ['Expert'], ['Share', 'share'], ['Requests', 'number'],
  ['Replicas', 'replicas', 'Healthy ones of all; breakers that are not closed'],
  ['p50', 'number', 'Of the slowest replica'], ['p99', 'number', 'Of the slowest replica'],
  ['Mean', 'number', 'Joules of one answer'],
];

const slowest = (expert, field) => Math.max(0, ...expert.replicas.map((replica) => replica[field]));
const healthyOf = (expert) => expert.replicas.filter((replica) => replica.healthy).length;
const troubled = (expert) => !expert.admitted || healthyOf(expert) < expert.replicas.length ||
  expert.replicas.some((replica) => replica.ejected !== '' || replica.breaker === 'open');
const ORDERS = {
  share: (a, b) => b.share - a.share,
  latency: (a, b) => slowest(b, 'p99_ms') - slowest(a, 'p99_ms'),
  joules: (a, b) => b.energy_j_mean - a.energy_j_mean,
  health: (a, b) => troubled(b) - troubled(a),
  name: () => 0,
};

function breakersOf(expert) {
  const words = new Map();
  for (const replica of expert.replicas) {
    const word = replica.ejected !== '' ? `ejected: ${replica.ejected}`
      : replica.breaker !== '' && replica.breaker !== 'closed' ? `breaker ${replica.breaker}` : '';
    if (word !== '') words.set(word, (words.get(word) ?? 0) + 1);
  }
  return [...words].map(([word, times]) => times > 1 ? `${times} × ${word}` : word).join(', ');
}

export class ExpertTable {
  constructor() {
    this.container = byId('experts');
    this.experts = [];
    this.most = FIRST_EXPERTS;
    byId('experts-filter').addEventListener('input', () => this.draw());
    byId('experts-order').addEventListener('change', () => this.draw());
    byId('experts-more').addEventListener('click', () => {
      this.most += MORE_EXPERTS;
      this.draw();
    });
  }

  update(experts) {
    this.experts = experts;
    this.draw();
  }

  draw() {
    const words = byId('experts-filter').value.toLowerCase().split(/\s+/).filter((word) => word);
    const fits = (expert) => {
      const text = `${expert.pool} ${expert.name} ${expert.model}`.toLowerCase();
      return words.every((word) => text.includes(word));
    };
    const found = this.experts.filter(fits);
    const order = ORDERS[byId('experts-order').value];
    found.sort((a, b) =>
      order(a, b) || a.pool.localeCompare(b.pool) || a.name.localeCompare(b.name));
    const shown = found.slice(0, this.most);
    const more = byId('experts-more');
    more.hidden = shown.length === found.length;
    setText(more, `Show ${Math.min(MORE_EXPERTS, found.length - shown.length)} more`);
    const all = this.experts.length;
    setText(byId('experts-count'), all === 0 ? ''
      : shown.length === all ? String(all) : `${shown.length} of ${all}`);
    if (shown.length === 0) {
      this.parts = undefined;
      return note(this.container, all === 0 ? 'No experts yet.' : 'No expert has such a name.');
    }
    if (this.parts === undefined) {
      this.parts = makeTable('Experts', EXPERT_COLUMNS);
      this.container.replaceChildren(this.parts.table);
    }
    keyed(this.parts.body, shown, (expert) => `${expert.pool}\n${expert.name}`, () => {
      const row = makeRow(EXPERT_COLUMNS);
      row.cells[0].append(element('span', {class: 'name'}), element('span', {class: 'of'}));
      row.cells[1].append(element('span', {class: 'track', 'aria-hidden': 'true'}, element('span')),
        element('span', {class: 'percent'}));
      return row;
    }, fillExpert);
  }
}

function fillExpert(row, expert) {
  const cells = row.cells;
  setText(cells[0].children[0], expert.name);
  setText(cells[0].children[1], expert.pool);
  setAttribute(cells[0], 'title', expert.model === '' ? expert.name : `model ${expert.model}`);
  cells[1].firstChild.firstChild.style.width = `${Math.min(100, 100 * expert.share)}%`;
  setText(cells[1].children[1], percent(expert.share));
  setText(cells[2], count(expert.requests));
  const breakers = breakersOf(expert);
  const health = `${healthyOf(expert)}/${expert.replicas.length} healthy`;
  setText(cells[3], !expert.admitted ? `left out: ${expert.left_out_because}`
    : breakers === '' ? health : `${health}, ${breakers}`);
  setAttribute(row, 'data-troubled', String(troubled(expert)));
  setText(cells[4], milliseconds(slowest(expert, 'p50_ms')));
  setText(cells[5], milliseconds(slowest(expert, 'p99_ms')));
  setText(cells[6], expert.energy_j_mean > 0 ? si(expert.energy_j_mean, 'J') : '–');
}

const UNITS = {JOULES: 'J', DOLLARS: '$', ACCELERATOR_SECONDS: 's', REQUESTS: 'requests'};
const PER = {REQUEST: 'a request', SECOND: 'a second', HOUR: 'an hour', DAY: 'a day'};
const PRICE_UNITS = {JOULES: 'J', DOLLARS: '$', ACCELERATOR_SECONDS: 's', REQUESTS: 'request'};

function amountText(value, resource) {
  if (resource === 'JOULES') return si(value, 'J');
  if (resource === 'DOLLARS') return `$${digits(value)}`;
  return `${digits(value)} ${UNITS[resource] ?? resource}`;
}

export function updateBudgets(budgets) {
  setText(byId('budgets-count'), budgets.length > 0 ? String(budgets.length) : '');
  byId('budgets-note').hidden = budgets.length > 0;
  const keyOf = ({pool, budget}) => [pool, budget.tenant, budget.resource, budget.per].join('\n');
  keyed(byId('budgets'), budgets.slice(0, MOST_BUDGETS), keyOf, makeBudget, fillBudget);
}

function makeBudget() {
  const bar = {class: 'track', role: 'progressbar', 'aria-valuemin': '0', 'aria-valuemax': '100'};
  return element('li', {},
    element('p', {}, element('span', {class: 'name'}), element('span', {class: 'of'})),
    element('span', bar, element('span')),
    element('p', {class: 'budget-text'}));
}

function fillBudget(item, status) {
  const {pool, budget} = status;
  const part = budget.amount > 0 ? status.spent / budget.amount : 0;
  const [name, track, text] = item.children;
  const whose = budget.tenant === '' ? 'everybody' : budget.tenant;
  setText(name.children[0], pool === '' ? `all pools · ${whose}` : `${pool} · ${whose}`);
  const kind = budget.hard ? 'hard' : 'soft';
  setText(name.children[1], status.set_by_call ? `${kind}, set by a call` : kind);
  track.firstChild.style.width = `${Math.min(100, 100 * part)}%`;
  setAttribute(track, 'aria-valuenow', String(Math.round(Math.min(100, 100 * part))));
  setAttribute(track, 'aria-label', `${name.children[0].textContent}: spent`);
  // A soft one may be passed: it raises the price.
  const full = part >= 1 && budget.hard ? 'yes' : part >= 0.8 ? 'nearly' : 'no';
  setAttribute(item, 'data-full', full);
  const amount = (value) => amountText(value, budget.resource);
  const words = [
    `${amount(status.spent)} of ${amount(budget.amount)} ${PER[budget.per] ?? budget.per}`,
    `${amount(Math.max(0, status.remaining))} left`];
  const left = parseFloat(status.window_left ?? '');
  if (left > 0) words.push(`for ${duration(left)}`);
  words.push(`price ${digits(status.price)}/${PRICE_UNITS[budget.resource] ?? 'unit'}`);
  if (status.share > 0 && status.share < 1) {
    words.push(`this router's share ${percent(status.share)}`);
  }
  setText(text, words.join(' · '));
}
