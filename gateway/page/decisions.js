// The live list of decisions, newest first.

import {byId, count, digits, element, milliseconds, number, setText, si} from './dom.js';

const MOST = 200;  // rows that are kept, and decisions that wait while it is paused
const MOST_CANDIDATES = 50;

const clockText = (time) => {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? '' : date.toLocaleTimeString('en-GB') +
    `.${String(date.getMilliseconds()).padStart(3, '0')}`;
};

function tableRow(tag, values) {
  return element('tr', {}, ...values.map(([text, kind]) =>
    element(tag, {class: kind ?? '', scope: tag === 'th' ? 'col' : undefined}, text)));
}

function smallTable(label, head, rows) {
  return element('div', {class: 'scroll', tabindex: '0', role: 'region', 'aria-label': label},
    element('table', {}, element('caption', {}, label),
      element('thead', {}, tableRow('th', head)),
      element('tbody', {}, ...rows.map((row) => tableRow('td', row)))));
}

const right = (text) => [text, 'number'];
const known = (parts) => parts.filter((part) => part).join(', ');

function factsOf(decision) {
  const prices = Object.entries(decision.prices ?? {});
  return [
    ['Id', decision.id],
    ['Status', decision.status],
    ['Objective', decision.objective],
    ['Class', decision.application_class],
    ['Predicted', known([milliseconds(decision.predicted_latency_ms),
      si(decision.predicted_energy_j, 'J')])],
    ['Measured', known([milliseconds(decision.latency_ms),
      `${si(decision.energy_j, 'J')} ${decision.energy_method}`])],
    ['Limits', known([decision.latency_budget_ms > 0 && milliseconds(decision.latency_budget_ms),
      decision.energy_budget_j > 0 && si(decision.energy_budget_j, 'J')])],
    ['Selection', decision.exact ? 'proven optimal'
      : `within ${digits(decision.optimality_gap)} of optimal`],
    ['Prices', known(prices.map(([name, price]) => `${name} ${digits(price)}`))],
    ['Degraded', decision.degraded],
    ['Explored', decision.explored ? 'yes, to learn' : ''],
  ].filter(([, value]) => value !== undefined && value.trim() !== '');
}

function runTable(runs) {
  const head = [['Expert'], ['Replica'], ['Why'], right('Latency'), right('Energy'), ['Status']];
  return smallTable('Runs', head, runs.map((run) => [[run.expert], [run.replica], [run.reason],
    right(milliseconds(run.latency_ms)), right(si(run.energy_j, 'J')), [run.status]]));
}

function candidateTable(candidates, chosen) {
  const ordered = [...candidates].sort((a, b) =>
    chosen.has(b.expert) - chosen.has(a.expert) || b.quality - a.quality);
  const shown = ordered.slice(0, MOST_CANDIDATES);
  const label = shown.length === ordered.length ? 'Candidates'
    : `Candidates: ${shown.length} of ${ordered.length}`;
  const head = [['Expert'], right('Quality'), right('Gate'), right('Latency'), right('Energy'),
    right('Load price'), ['Could not be chosen']];
  return smallTable(label, head, shown.map((one) => [
    [chosen.has(one.expert) ? `${one.expert} ✓` : one.expert], right(digits(one.quality)),
    right(digits(one.gate)), right(milliseconds(one.latency_ms)), right(si(one.energy_j, 'J')),
    right(digits(one.load_price)), [one.excluded]]));
}

function details(decision) {
  const runs = decision.runs ?? [];
  const facts = factsOf(decision).map(([name, value]) =>
    element('div', {}, element('dt', {}, name), element('dd', {}, value)));
  const made = element('div', {class: 'details'}, element('dl', {}, ...facts));
  if (runs.length > 0) made.append(runTable(runs));
  made.append(candidateTable(decision.candidates ?? [], new Set(runs.map((run) => run.expert))));
  return made;
}

function makeRow(decision) {
  const experts = [...new Set((decision.runs ?? []).map((run) => run.expert))];
  const failed = decision.status !== '' && decision.status !== 'OK';
  const button = element('button', {type: 'button', 'aria-expanded': 'false', class: 'decision'},
    element('time', {datetime: decision.time ?? ''}, clockText(decision.time)),
    element('span', {class: 'pool'}, decision.pool),
    element('span', {class: 'tenant'}, decision.tenant),
    element('span', {class: 'expert'}, experts.join(' → ') || '–'),
    element('span', {class: 'number latency'}, milliseconds(decision.latency_ms)),
    element('span', {class: 'number joules'}, si(number(decision.energy_j), 'J')),
    element('span', {class: 'reason'},
      failed ? `${decision.status}: ${decision.reason}` : decision.reason));
  const row = element('li', {'data-id': decision.id}, button);
  if (failed) row.className = 'failed';
  else if (decision.degraded !== '') row.className = 'degraded';
  button.addEventListener('click', () => {
    const open = button.getAttribute('aria-expanded') === 'true';
    button.setAttribute('aria-expanded', String(!open));
    if (open) row.lastChild.remove();
    else row.append(details(decision));
  });
  return row;
}

export class DecisionList {
  constructor() {
    this.list = byId('decisions');
    this.paused = false;
    this.waiting = [];
    this.seen = 0;
    this.missed = 0;
    const pause = byId('pause');
    pause.addEventListener('click', () => {
      this.paused = !this.paused;
      pause.setAttribute('aria-pressed', String(this.paused));
      if (!this.paused) this.show(this.waiting.splice(0));
      this.tell();
    });
  }

  // Oldest first, as they come.
  add(decisions, missed) {
    this.seen += decisions.length;
    this.missed += missed;
    if (this.paused) {
      this.waiting = this.waiting.concat(decisions).slice(-MOST);
    } else {
      this.show(decisions);
    }
    this.tell();
  }

  show(decisions) {
    this.list.prepend(...decisions.slice(-MOST).reverse().map(makeRow));
    // One that is being read stays.
    for (let row = this.list.children[MOST]; row !== undefined && row !== null;) {
      const next = row.nextElementSibling;
      if (!row.contains(document.activeElement)) row.remove();
      row = next;
    }
  }

  tell() {
    const fresh = this.waiting.length > 0 ? ` (${this.waiting.length} new)` : '';
    setText(byId('pause'), this.paused ? `Go on${fresh}` : 'Pause');
    const passed = this.missed > 0 ? `, ${count(this.missed)} more passed by` : '';
    setText(byId('decisions-count'), this.seen > 0 ? `${count(this.seen)} seen${passed}` : '');
    this.note(this.seen > 0 ? '' : 'Waiting for the first decision.');
  }

  note(text) {
    byId('decisions-note').hidden = text === '';
    setText(byId('decisions-note'), text);
  }
}
