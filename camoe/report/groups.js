"use strict";
// The page's tables and pictures: search, sort, and what opens below a group. Names are data: only ever set as text.
const FIRST_SHOWN = 20;
const SVG = "http://www.w3.org/2000/svg";
const COLOURS = ["var(--model)", "var(--other)", "var(--third)", "var(--fourth)"];
const number = (value, digits) => (value === null || value === undefined ? "–" : value.toFixed(digits));
const percent = (value) => (value === null || value === undefined ? "–" : `${+(100 * value).toPrecision(3)} %`);
const ranged = ([value, range], digits) =>
  number(value, digits) + (range ? ` (${range.low.toFixed(digits)} to ${range.high.toFixed(digits)})` : "");

function made(tag, text, attributes = {}) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function drawn(tag, attributes, text) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

// A plot of `width` by `height`, with scales of both axes; `log` makes both logarithmic.
class Plot {
  constructor(x, y, { log = false, xText = (v) => +v.toPrecision(2), yText = percent } = {}) {
    [this.left, this.top, this.width, this.height] = [44, 8, 248, 170];
    this.svg = drawn("svg", { viewBox: "0 0 300 205", role: "img" });
    const scale = (range, from, to) => {
      const of = log ? Math.log : (v) => v;
      const [low, high] = range.map(of);
      return (v) => from + ((of(v) - low) / (high - low || 1)) * (to - from);
    };
    this.x = scale(x, this.left, this.left + this.width);
    this.y = scale(y, this.top + this.height, this.top);
    const middle = ([low, high]) => [low, log ? Math.sqrt(low * high) : (low + high) / 2, high];
    for (const v of middle(y)) {
      this.line([[x[0], v], [x[1], v]], "var(--line)", 1);
      this.svg.append(drawn("text", { x: this.left - 5, y: this.y(v) + 4, "text-anchor": "end" }, yText(v)));
    }
    if (xText) middle(x).forEach((v, at) =>
      this.svg.append(drawn("text", { x: this.x(v), y: 195, "text-anchor": ["start", "middle", "end"][at] }, xText(v))));
  }
  line(points, stroke, width = 2, more = {}) {
    const d = points.map(([x, y], at) => `${at ? "L" : "M"}${this.x(x).toFixed(1)} ${this.y(y).toFixed(1)}`).join("");
    this.svg.append(drawn("path", { d, fill: "none", stroke, "stroke-width": width, ...more }));
  }
  dot(x, y, fill, title, r = 3) {
    const circle = drawn("circle", { cx: this.x(x).toFixed(1), cy: this.y(y).toFixed(1), r, fill });
    if (title) circle.append(drawn("title", {}, title));
    this.svg.append(circle);
  }
  bar(low, high, value, fill) {
    const [left, right, top, base] = [this.x(low), this.x(high), this.y(value), this.top + this.height];
    this.svg.append(drawn("rect", { x: left, y: top, width: Math.max(right - left - 0.7, 0.5), height: base - top, fill }));
  }
}

function figure(title, plot, legend = []) {
  const box = made("div");
  box.append(made("h4", title), plot.svg);
  if (legend.length > 1) {
    const names = made("div", undefined, { class: "soft" });
    legend.forEach((name, at) => {
      const entry = made("span", `${name}  `);
      entry.prepend(made("i", "", { class: "dot", style: `background:${COLOURS[at % COLOURS.length]}` }));
      names.append(entry);
    });
    box.append(names);
  }
  return box;
}

function precisionRecall(curves, rate) {
  const models = curves.filter(([, points]) => points.length);
  if (!models.length) return null;
  const highest = Math.max(...models.flatMap(([, points]) => points.map(([, p]) => p)), rate);
  const plot = new Plot([0, 1], [0, highest]);
  plot.line([[0, rate], [1, rate]], "var(--soft)", 1, { "stroke-dasharray": "4 3" });
  models.forEach(([, points], at) => plot.line(points, COLOURS[at % COLOURS.length]));
  return figure("Precision by recall (dashed: CTR)", plot, models.map(([name]) => name));
}

function reliability(points) {
  const shown = points.filter(([p, o]) => p > 0 && o > 0);
  if (!shown.length) return null;
  const all = shown.flatMap(([p, o]) => [p, o]);
  const range = [Math.min(...all) * 0.7, Math.min(Math.max(...all) * 1.4, 1)];
  const plot = new Plot(range, range, { log: true, xText: percent });
  plot.line([[range[0], range[0]], [range[1], range[1]]], "var(--soft)", 1, { "stroke-dasharray": "4 3" });
  for (const [p, o, low, high] of shown) {
    plot.line([[p, Math.max(low, range[0])], [p, Math.min(high, range[1])]], "var(--model)", 1.3, { opacity: 0.6 });
    plot.dot(p, o, "var(--model)");
  }
  return figure("Observed by predicted, 95 % intervals", plot);
}

function overDays(days) {
  const known = days.filter(([, p, o]) => p !== null && o !== null);
  if (known.length < 2) return null;
  const top = Math.max(...known.flatMap(([, p, o]) => [p, o])) * 1.1 || 1;
  const last = Math.max(known.length - 1, 1);
  const plot = new Plot([0, last], [0, top], { xText: (v) => (known[Math.round(v)] || [""])[0].slice(5) });
  [1, 2].forEach((of, at) => {
    const points = known.map((day, place) => [place, day[of]]);
    plot.line(points, COLOURS[at]);
    points.forEach(([x, y]) => plot.dot(x, y, COLOURS[at], `${known[x][0]}: ${percent(y)}`));
  });
  return figure("Predicted and observed by day", plot, ["predicted", "observed"]);
}

function scores(bars) {
  if (!bars.length) return null;
  const highest = Math.max(...bars.map((bar) => bar[2]));
  const plot = new Plot([bars[0][0], bars[bars.length - 1][1]].map(Math.log), [0, highest], {
    xText: (v) => percent(Math.exp(v)), yText: (v) => Math.round(v).toLocaleString("en") });
  bars.forEach(([low, high, count]) => plot.bar(Math.log(low), Math.log(high), count, "var(--model)"));
  bars.forEach(([low, high, , clicks]) => plot.bar(Math.log(low), Math.log(high), clicks, "var(--other)"));
  return figure("Distribution of predictions", plot, ["impressions", "clicks"]);
}

function calibration(groups) {
  const known = groups.filter((of) => of.predicted > 0 && of.observed > 0);
  if (known.length < 2) return null;
  const all = known.flatMap((of) => [of.predicted, of.observed]);
  const range = [Math.min(...all) * 0.8, Math.min(Math.max(...all) * 1.25, 1)];
  const plot = new Plot(range, range, { log: true, xText: percent });
  plot.line([[range[0], range[0]], [range[1], range[1]]], "var(--soft)", 1, { "stroke-dasharray": "4 3" });
  const most = Math.max(...known.map((of) => of.n));
  for (const of of known) {
    const told = `${of.name}: predicted ${percent(of.predicted)}, observed ${percent(of.observed)}`;
    plot.dot(of.predicted, of.observed, "var(--model)", told, 2 + 4 * Math.sqrt(of.n / most));
  }
  return figure("Observed by predicted, a dot a value", plot);
}

function table(head, rows, attributes) {
  const element = made("table", undefined, attributes);
  const line = made("tr");
  head.forEach((name, at) => line.append(made("th", name, at ? {} : { class: "left" })));
  element.append(made("thead"));
  element.tHead.append(line);
  const body = made("tbody");
  for (const row of rows) {
    const made_ = made("tr");
    row.forEach((text, at) => made_.append(made("td", text, { ...(at ? {} : { class: "left" }), "data-of": head[at] })));
    body.append(made_);
  }
  element.append(body);
  return element;
}

function opened(data, labels, columns, rate) {
  const cell = made("td", undefined, { colspan: columns });
  const charts = made("div", undefined, { class: "charts" });
  const curves = data.curves || {};
  const pictures = [
    curves.pr && precisionRecall(curves.pr, rate), curves.reliability && reliability(curves.reliability),
    overDays(data.days), curves.scores && scores(curves.scores)];
  charts.append(...pictures.filter(Boolean));
  const lines = data.rows.map(([name, p, pr, lift, roc, ne, ece, pcoc]) => [
    labels[name] || name, percent(p), ranged(pr, 4), number(lift[0], 2), ranged(roc, 4), ranged(ne, 4), ranged(ece, 4),
    ranged(pcoc, 3)]);
  const head = ["predictor", "mean p", "AUC-PR", "over CTR", "ROC-AUC", "NE", "ECE", "PCOC"];
  cell.append(charts, table(head, lines, { class: "predictors" }));
  const small = (p) => (p !== null && p < 0.001 ? "< 0.001" : number(p, 3));
  const told = data.differences.map(([against, metric, value, range, p, verdict]) => [
    `${labels[against] || against}: ${metric}`, ranged([value, range], 4), small(p), verdict]);
  const pairs = made("details");
  pairs.append(made("summary", "Differences in pairs"));
  pairs.append(table(["model less", "difference", "p (Holm)", "verdict"], told, { class: "predictors" }));
  if (told.length) cell.append(pairs);
  const row = made("tr", undefined, { class: "detail" });
  row.append(cell);
  return row;
}

for (const section of document.querySelectorAll("section.objective")) {
  const data = JSON.parse(section.querySelector("script.data").textContent);
  for (const kind of section.querySelectorAll("details.kind[data-kind]")) {
    const list = kind.querySelector("table.groups");
    const bodies = [...list.querySelectorAll("tbody.group")];
    const chart = kind.querySelector(".chart");
    if (chart) {
      const picture = calibration(bodies.map((body) => {
        // Where there are histograms, the base rate and the slot's come before the model.
        const [, predicted] = data.groups[body.dataset.at].rows.find(([name]) => name === "model");
        const n = +body.dataset.n;
        const name = body.querySelector("button").textContent;
        return { name, n, observed: n ? body.dataset.clicks / n : 0, predicted: predicted || 0 };
      }));
      if (picture) chart.append(picture);
    }
    for (const body of bodies) {
      const button = body.querySelector("button");
      button.addEventListener("click", () => {
        const shown = body.querySelector("tr.detail");
        button.setAttribute("aria-expanded", String(!shown));
        if (shown) return shown.remove();
        const rate = +body.dataset.n ? body.dataset.clicks / body.dataset.n : 0;
        body.append(opened(data.groups[body.dataset.at], data.labels, body.rows[0].cells.length, rate));
      });
    }
    const [search, sort] = [kind.querySelector("input"), kind.querySelector("select")];
    const more = kind.querySelector(".more");
    let all = false;
    const show = () => {
      const words = (search ? search.value : "").toLowerCase().split(/\s+/);
      const found = bodies.filter((body) => words.every((word) => body.dataset.name.toLowerCase().includes(word)));
      bodies.forEach((body) => { body.hidden = true; });
      found.forEach((body, at) => { body.hidden = !all && at >= FIRST_SHOWN; });
      more.hidden = all || found.length <= FIRST_SHOWN;
      more.firstElementChild.textContent = `Show all ${found.length}`;
    };
    if (search) search.addEventListener("input", show);
    more.firstElementChild.addEventListener("click", () => { all = true; show(); });
    if (sort) sort.addEventListener("change", () => {
      const [key, direction] = sort.value.split(" ");
      const value = (body) => (key === "at" ? +body.dataset.at : body.dataset[key] === "" ? null : +body.dataset[key]);
      const compare = (a, b) => key === "name" ? a.dataset.name.localeCompare(b.dataset.name)
        : value(a) === null ? 1 : value(b) === null ? -1 : (direction === "down" ? -1 : 1) * (value(a) - value(b));
      bodies.sort(compare).forEach((body) => list.append(body));
      show();
    });
    show();
  }
}
