// What is drawn: histories of counters, and lines of them.

const NAMESPACE = 'http://www.w3.org/2000/svg';

// Counters over the last minutes, and their rates. A counter that falls has begun anew.
export class History {
  constructor(seconds) {
    this.span = seconds * 1000;
    this.samples = [];
  }

  add(time, values) {
    this.samples.push({time, values});
    while (this.samples.length > 2 && this.samples[0].time < time - this.span) this.samples.shift();
  }

  // Per second over the last `seconds`; undefined until there are two samples.
  rate(name, seconds = 5) {
    const last = this.samples.at(-1);
    if (last === undefined) return undefined;
    let first = last;
    for (let i = this.samples.length - 2; i >= 0; --i) {
      if (this.samples[i].values[name] > first.values[name]) break;
      first = this.samples[i];
      if (last.time - first.time >= seconds * 1000) break;
    }
    if (first === last) return undefined;
    return (last.values[name] - first.values[name]) / ((last.time - first.time) / 1000);
  }

  // [{time, rate}] between one sample and the next.
  rates(name) {
    const points = [];
    for (let i = 1; i < this.samples.length; ++i) {
      const [before, after] = [this.samples[i - 1], this.samples[i]];
      const seconds = (after.time - before.time) / 1000;
      const grown = after.values[name] - before.values[name];
      if (seconds > 0) points.push({time: after.time, rate: Math.max(0, grown) / seconds});
    }
    return points;
  }
}

// Fills `svg`, whose viewBox says its size, with a line and the area under it: `now` at the right
// edge, and at the left one `most` seconds ago, or the first point while all of them are younger.
export function drawLine(svg, points, most, now) {
  const age = points.length > 0 ? (now - points[0].time) / 1000 : 0;
  const seconds = Math.min(most, Math.max(20, age));
  const {width, height} = svg.viewBox.baseVal;
  const highest = Math.max(...points.map((point) => point.rate), 1e-12);
  const place = ({time, rate}) => {
    const x = width * (1 - (now - time) / (seconds * 1000));
    return [x.toFixed(1), (height - 2 - (height - 6) * (rate / highest)).toFixed(1)];
  };
  const shown = points.filter(({time}) => now - time <= seconds * 1000).map(place);
  if (svg.firstChild === null) {
    for (const name of ['area', 'line']) {
      const path = document.createElementNS(NAMESPACE, 'path');
      path.setAttribute('class', name);
      path.setAttribute('vector-effect', 'non-scaling-stroke');
      svg.append(path);
    }
  }
  const line = shown.map((point) => point.join(' ')).join('L');
  const [area, stroke] = svg.children;
  stroke.setAttribute('d', shown.length > 1 ? `M${line}` : '');
  area.setAttribute('d', shown.length > 1
    ? `M${shown[0][0]} ${height}L${line}L${shown.at(-1)[0]} ${height}Z` : '');
}
