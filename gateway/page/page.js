// The live page: asks the API in turns, says how fresh what it shows is, and draws.

import {byId, count, digits, number, setText, si} from './dom.js';
import {History, drawLine} from './charts.js';
import {ExpertTable, PoolTable, updateBudgets} from './tables.js';
import {DecisionList} from './decisions.js';

const EVERY_MS = 1000;
const PATIENCE_MS = 8000;
const STALE_MS = 5000;
const LONGEST_PAUSE_MS = 15000;
const DECISION_WAIT_S = 5;
const DECISION_PAUSE_MS = 400;
const POWER_SECONDS = 300;
const KEY = 'penstock-key';
const THEME = 'penstock-colours';

class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

async function ask(path, patience = PATIENCE_MS) {
  const key = sessionStorage.getItem(KEY);
  const headers = key === null ? {} : {authorization: `Bearer ${key}`};
  const signal = AbortSignal.timeout(patience);
  const answer = await fetch(path, {headers, cache: 'no-store', signal});
  const body = await answer.json().catch(() => ({}));
  if (answer.ok) return body;
  throw new ApiError(answer.status, body.code ?? '', body.message ?? `HTTP ${answer.status}`);
}

const sleep = (ms) => new Promise((resolve) => {
  wake = resolve;
  setTimeout(resolve, ms);
});
let wake = () => {};
const pools = new PoolTable();
const experts = new ExpertTable();
const decisions = new DecisionList();
const power = new History(POWER_SECONDS);
let lastGood = 0;       // performance.now() of the last answer
let problem = undefined;  // why there is none since
let nextTry = 0;
let wantsKey = false;
let everGood = false;
let mayWatch = false;     // decisions want the admin right

function drawFigures(list, now) {
  const sum = (field) => list.reduce((total, pool) => total + number(pool[field]), 0);
  power.add(now, {requests: sum('requests'), failures: sum('failures'), joules: sum('energy_j')});
  const requests = power.rate('requests');
  const watts = power.rate('joules');
  setText(byId('figure-requests'), requests === undefined ? '–' : `${digits(requests)}/s`);
  const failures = power.rate('failures');
  setText(byId('figure-failures'), failures === undefined ? '–' : `${digits(failures)}/s`);
  byId('figure-failures').dataset.bad = String(failures > 0);
  setText(byId('figure-in-flight'), count(sum('in_flight')));
  setText(byId('figure-joules'), requests > 0 ? si(watts / requests, 'J') : '–');
  setText(byId('figure-watts'), watts === undefined ? '–' : si(watts, 'W'));
  const points = power.rates('joules');
  drawLine(byId('power'), points, POWER_SECONDS, now);
  const most = Math.max(0, ...points.map((point) => point.rate));
  const range = `at most ${si(most, 'W')} in five minutes`;
  setText(byId('power-range'), points.length > 0 ? range : '');
  byId('power').setAttribute('aria-label',
    `Joules a second: now ${si(watts ?? NaN, 'W')}, ${range}`);
}

function drawState() {
  const age = performance.now() - lastGood;
  let state = 'live';
  let text = 'live';
  if (wantsKey) {
    [state, text] = ['locked', 'wants a key'];
  } else if (!everGood) {
    [state, text] = problem === undefined ? ['connecting', 'connecting'] : ['gone', 'no answer'];
  } else if (problem !== undefined || age > STALE_MS) {
    [state, text] = ['stale', 'stale'];
  }
  byId('state').dataset.state = state;
  setText(byId('state-text'), text);
  document.body.dataset.state = state;
  const troubled = state === 'stale' || state === 'gone';
  byId('banner').hidden = !troubled;
  if (!troubled) return;
  const why = problem === undefined ? 'No answer' : problem;
  const seconds = Math.max(0, Math.ceil((nextTry - performance.now()) / 1000));
  const shown = everGood ? ` What is shown is ${Math.round(age / 1000)} s old.` : '';
  const next = seconds > 0 ? `Trying again in ${seconds} s.` : 'Trying again.';
  setText(byId('banner-text'), `${why}.${shown} ${next}`);
}

function showKeyForm(message) {
  wantsKey = true;
  byId('key-form').hidden = false;
  setText(byId('key-problem'), sessionStorage.getItem(KEY) === null ? '' : message);
}

function hideKeyForm() {
  wantsKey = false;
  byId('key-form').hidden = true;
  byId('forget-key').hidden = sessionStorage.getItem(KEY) === null;
}

function drawWho(summary) {
  if (!summary.admin) decisions.note(`Not shown: ${summary.tenant} lacks the admin right.`);
  else if (!mayWatch) decisions.tell();
  mayWatch = summary.admin;
  const routers = summary.routers;
  setText(byId('who'), `${summary.tenant} · ${routers.healthy} of ${routers.configured} ` +
    `${routers.configured === 1 ? 'router' : 'routers'} · ${summary.version}`);
}

function reasonOf(error) {
  if (error instanceof ApiError) {
    return error.status === 503 ? `The gateway answers, but ${error.message}` : error.message;
  }
  return error.name === 'TimeoutError' ? 'The gateway does not answer in time'
    : 'The gateway cannot be reached';
}

async function refresh() {
  const summary = await ask('api/summary');
  hideKeyForm();
  drawWho(summary);
  if (summary.routers.healthy === 0) throw new ApiError(503, 'UNAVAILABLE', 'no router is healthy');
  const [poolList, expertList, budgetList] = await Promise.all([
    ask('api/pools'), ask('api/experts'), ask('api/budgets')]);
  const now = performance.now();
  drawFigures(poolList.pools, now);
  pools.update(poolList.pools, now);
  experts.update(expertList.experts);
  updateBudgets(budgetList.budgets);
}

async function refreshForever() {
  let failures = 0;
  for (;;) {
    if (document.hidden) {
      await new Promise((resolve) =>
        document.addEventListener('visibilitychange', resolve, {once: true}));
      continue;
    }
    try {
      await refresh();
      failures = 0;
      problem = undefined;
      everGood = true;
      lastGood = performance.now();
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) {
        problem = undefined;
        showKeyForm(error.message);
      } else {
        failures += 1;
        problem = reasonOf(error);
      }
    }
    const pause = wantsKey ? LONGEST_PAUSE_MS
      : failures === 0 ? EVERY_MS : Math.min(LONGEST_PAUSE_MS, EVERY_MS * 2 ** (failures - 1));
    nextTry = performance.now() + pause;
    drawState();
    await sleep(pause);
  }
}

async function followDecisions() {
  let after = 0;
  let pause = DECISION_PAUSE_MS;
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, pause));
    if (document.hidden || wantsKey || !mayWatch || !everGood || problem !== undefined) continue;
    try {
      // The first answer is what others have caused to be kept: it need not wait.
      const wait = after === 0 ? 0 : DECISION_WAIT_S;
      const batch = await ask(`api/decisions?after=${after}&wait=${wait}`,
        PATIENCE_MS + 1000 * wait);
      after = batch.next;
      decisions.add(batch.decisions, batch.missed);
      pause = DECISION_PAUSE_MS;
    } catch {
      pause = Math.min(LONGEST_PAUSE_MS, 2 * pause);
    }
  }
}

function useTheme(theme) {
  if (theme === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  setText(byId('theme'), `Colours: ${theme}`);
  const spoken = theme === 'system' ? 'as the system' : theme;
  byId('theme').setAttribute('aria-label', `Colours: ${spoken}`);
}

function setUp() {
  const themes = ['system', 'light', 'dark'];
  let theme = localStorage.getItem(THEME);
  if (!themes.includes(theme)) theme = 'system';
  useTheme(theme);
  byId('theme').addEventListener('click', () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    localStorage.setItem(THEME, theme);
    useTheme(theme);
  });
  byId('key-form').addEventListener('submit', (event) => {
    event.preventDefault();
    sessionStorage.setItem(KEY, byId('key').value.trim());
    byId('key').value = '';
    wake();
  });
  byId('forget-key').addEventListener('click', () => {
    sessionStorage.removeItem(KEY);
    location.reload();
  });
  byId('retry').addEventListener('click', () => wake());
  document.addEventListener('visibilitychange', () => wake());
  setInterval(drawState, 500);
  decisions.tell();
  refreshForever();
  followDecisions();
}

setUp();
