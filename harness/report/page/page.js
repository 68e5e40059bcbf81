"use strict";
// The data of the page is compressed JSON next to this script; it is set as text, never as markup.
let data;

async function unpacked(packed) {
  const bytes = Uint8Array.from(atob(packed), (character) => character.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
}

const $ = (id) => document.getElementById(id);

function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

// A ratio within the tolerance is a tint of blue, the stronger the larger; what is outside is filled by the style sheet.
const LOWEST = 1e-3; // an error ratio below it has no tint
const STRONGEST = 0.45; // of the paper behind a number, so that the number is legible
const along = (ratio) => (ratio === null || Number.isNaN(ratio) ? 1 : Math.min(1, Math.max(0, 1 - Math.log10(ratio) / Math.log10(LOWEST))));
const tint = (ratio) => (ratio === null ? 0 : STRONGEST * along(ratio));

// JSON has no NaN and no infinity: they come as texts, and so do values in full digits.
const number = (value) => (typeof value === "string" ? Number(value.replace("inf", "Infinity")) : value);
function short(value) {
  if (value === null) return "";
  if (value === 0) return "0";
  return Math.abs(value) >= 1e-2 && Math.abs(value) < 1e3 ? Number(value.toPrecision(2)).toString() : value.toExponential(0);
}
const grouped = (count) => count.toLocaleString("en");
const day = (date) => date.replace("T", " ").replace(/([0-9]{2}:[0-9]{2}):.*$/, "$1");
const MARK = { unsupported: "–", error: "!", mismatch: "×" };

function worstOf(run) {
  let worst = null;
  run.ratios.forEach((each, i) => {
    const ratio = run.compared[i] ? number(each) : null;
    if (ratio !== null && (worst === null || !(ratio <= worst))) worst = ratio; // NaN is worse than any number
  });
  return worst;
}
function prepare(each, position) {
  each.position = position;
  each.words = `${each.name} ${each.what} ${each.about}`.toLowerCase();
  each.by = new Map(each.runs.map((run) => [run.implementation, run]));
  for (const run of each.runs) run.worst = worstOf(run);
  const ratios = each.runs.map((run) => run.worst).filter((ratio) => ratio !== null);
  each.worst = ratios.some(Number.isNaN) ? Infinity : Math.max(-1, ...ratios);
  each.disagrees = each.runs.some((run) => run.verdict === "mismatch" || run.verdict === "error");
}
function tensorsOf(each, run) {
  // Only for the case that is shown: for a thousand cases, this takes longer than all the rest.
  run.tensors ??= each.tensors.map((tensor, i) => ({ ...tensor, verdict: "match", ratio: run.ratios[i], ulp: run.ulps[i], ...run.details[tensor.name], heat: run.heats[tensor.name] })).filter((_, i) => run.compared[i]);
  return run.tensors;
}

function cell(each, run) {
  const button = element("button", { className: `cell ${run.verdict}`, type: "button", tabIndex: -1 });
  if (run.verdict === "match") button.style.setProperty("--shade", tint(run.worst));
  button.textContent = MARK[run.verdict] || short(run.worst);
  const why = run.worst === null ? run.reason : `error ratio ${run.worst.toPrecision(3)}`;
  button.title = `${run.implementation}: ${run.verdict}; ${why}`;
  button.setAttribute("aria-label", `${each.name}, ${button.title}`);
  button.dataset.implementation = run.implementation;
  return button;
}

const breakable = (name) => name.split(/(?<=[[,/])/).flatMap((part) => [part, element("wbr")]); // where a long name may break
function rowOf(each) {
  if (each.row && each.drawn === columns) return each.row;
  each.drawn = columns;
  const link = element("a", { href: `#${encodeURIComponent(each.name)}` }, ...breakable(each.name));
  const name = element("th", { className: "case", scope: "row" }, link);
  if (!each.as_expected) name.append(element("span", { className: "unseen" }, " not as expected"));
  const worst = element("td", { className: "worst number" }, each.worst < 0 ? "" : each.worst === Infinity ? "∞" : short(each.worst));
  each.row = element("tr", { className: each.as_expected ? "" : "bad" }, name, worst);
  each.row.dataset.position = each.position;
  for (const { implementation, first } of columns) {
    const run = each.by.get(implementation);
    each.row.append(element("td", first ? { className: "first" } : {}, ...(run ? [cell(each, run)] : [])));
  }
  return each.row;
}

// The columns of the table: what was compared in the cases that are shown. A folded group has none until it is unfolded.
let columns = [];
function columnsOf(cases) {
  const compared = new Set(), asked = new Map();
  for (const each of cases)
    for (const run of each.runs) {
      asked.set(run.implementation, run.reason);
      if (run.verdict !== "unsupported") compared.add(run.implementation);
    }
  const made = [];
  for (const group of data.groups) {
    const there = group.implementations.filter((name) => compared.has(name));
    if (group.folded) {
      $("folded").hidden = !there.length;
      $("folded").lastChild.textContent = ` ${group.name} (${grouped(there.length)})`;
    }
    if (!group.folded || $("unfold").checked) there.forEach((implementation, i) => made.push({ implementation, group: group.name, first: i === 0, alone: there.length === 1 }));
  }
  const absent = [...asked].filter(([name]) => !compared.has(name)).map(([name, reason]) => (reason ? `${name} (${reason})` : name));
  $("absent").textContent = absent.length ? `Without a column, because nothing was compared in these cases: ${absent.join(", ")}.` : "";
  return JSON.stringify(made) === JSON.stringify(columns) ? columns : made;
}

const sorting = { by: "order", down: true };
const rank = (ratio) => (ratio === undefined || ratio === null ? -1 : Number.isNaN(ratio) ? Infinity : ratio);
const SORTS = {
  order: (a, b) => b.position - a.position,
  case: (a, b) => b.name.localeCompare(a.name, "en", { numeric: true }),
  worst: (a, b) => a.worst - b.worst || (a.disagrees - b.disagrees) || b.position - a.position,
};
function bad(run) {
  return run && (run.verdict === "error" || run.verdict === "mismatch") ? 1 : 0;
}
function order(a, b) {
  const compare = SORTS[sorting.by] ?? ((one, other) => {
    const [left, right] = [one.by.get(sorting.by), other.by.get(sorting.by)];
    return bad(left) - bad(right) || rank(left?.worst) - rank(right?.worst) || other.position - one.position;
  });
  return sorting.down ? compare(b, a) : compare(a, b);
}
function sortBy(by) {
  // Largest first, smallest first, as it was; names from A to Z first.
  if (sorting.by !== by) Object.assign(sorting, { by, down: true });
  else if (sorting.down) sorting.down = false;
  else Object.assign(sorting, { by: "order", down: true });
  draw();
  document.querySelector(`#table button[data-sort="${CSS.escape(by)}"]`)?.focus();
}

function shown() {
  const words = $("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const which = $("show").value;
  return data.cases
    .filter((each) => words.every((word) => each.words.includes(word)) && (which === "all" || (which === "wrong" ? !each.as_expected : each.disagrees)))
    .sort(order);
}

const AT_ONCE = 60; // rows; a browser takes a second for a thousand
let found = [];

function draw() {
  found = shown();
  columns = columnsOf(found.length ? found : data.cases);
  head();
  const body = $("table").tBodies[0];
  body.querySelector(".cell[tabindex='0']")?.setAttribute("tabindex", "-1");
  body.replaceChildren();
  drawMore(AT_ONCE);
  if (!found.length) body.append(element("tr", {}, element("td", { className: "nothing", colSpan: columns.length + 2 }, "none")));
  const first = body.querySelector(".cell");
  if (first) first.tabIndex = 0; // one stop for the tab key, arrows within
  $("count").textContent = `${grouped(found.length)} of ${grouped(data.cases.length)} cases`;
}
function drawMore(rows) {
  const body = $("table").tBodies[0];
  const there = body.rows.length;
  body.append(...found.slice(there, there + rows).map(rowOf));
  $("more").hidden = body.rows.length >= found.length;
  $("more").textContent = `${grouped(found.length - body.rows.length)} more`;
}

function sorter(by, text) {
  return element("button", { type: "button", "data-sort": by, title: `sort by ${text}` }, text);
}
function heading(by, text, className) {
  const properties = { scope: "col", className };
  if (sorting.by === by) properties["aria-sort"] = sorting.down === (by !== "case") ? "descending" : "ascending";
  return element("th", properties, sorter(by, text));
}
function head() {
  const groups = element("tr", {}, element("th", { className: "corner", colSpan: 2 }));
  for (const group of data.groups) {
    const count = columns.filter((each) => each.group === group.name).length;
    if (count) groups.append(element("th", { className: "group", scope: "colgroup", colSpan: count }, element("span", {}, group.name)));
  }
  const row = element("tr", {}, heading("case", "case", "corner"), heading("worst", "worst", "worst"));
  for (const { implementation, first } of columns) row.append(heading(implementation, implementation, first ? "implementation first" : "implementation"));
  // With fixed column widths, the browser does not measure every row.
  const widths = element("colgroup", {}, element("col", { className: "case" }), element("col", { className: "worst" }), ...columns.map(({ alone }) => element("col", { className: alone ? "alone" : "implementation" })));
  const body = $("table").tBodies[0] ?? element("tbody");
  $("table").replaceChildren(widths, element("thead", {}, groups, row), body);
}

$("table").addEventListener("click", (event) => {
  const { sort } = event.target.closest("thead button")?.dataset ?? {};
  if (sort) sortBy(sort);
  const button = event.target.closest(".cell");
  if (button) open(data.cases[button.closest("tr").dataset.position].name, button.dataset.implementation);
});
// Rows are added before the end of the table scrolls into view.
const NEAR = "800px";
new IntersectionObserver((entries) => entries.some((each) => each.isIntersecting) && drawMore(AT_ONCE), { root: $("scroll"), rootMargin: NEAR }).observe($("more"));
$("more").addEventListener("click", () => {
  const row = $("table").rows.length;
  drawMore(found.length);
  $("table").rows[row]?.querySelector("a")?.focus(); // where the button was, which is gone
});

$("table").addEventListener("keydown", (event) => {
  const step = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
  const from = event.target.closest(".cell");
  if (!step || !from) return;
  event.preventDefault();
  const row = from.closest("tr");
  let at = [row.rowIndex, from.closest("td").cellIndex];
  for (;;) {
    at = [at[0] + step[0], at[1] + step[1]];
    if (at[0] === $("table").rows.length) drawMore(AT_ONCE);
    const to = $("table").rows[at[0]]?.cells[at[1]];
    if (!to || at[0] < 2 || at[1] < 1) return;
    const button = to.querySelector(".cell");
    if (button) {
      for (const one of $("table").querySelectorAll(".cell[tabindex='0']")) one.tabIndex = -1;
      button.tabIndex = 0;
      button.focus();
      return;
    }
  }
});

function legend() {
  const swatch = (className, text, shade) => {
    const made = element("span", { className }, text);
    if (shade !== undefined) made.style.background = `rgb(var(--right) / ${shade})`;
    return made;
  };
  $("legend").replaceChildren("right, largest error:");
  for (const ratio of [0.001, 0.01, 0.1, 1]) $("legend").append(swatch("swatch", ratio === 0.001 ? "≤.001" : String(ratio), tint(ratio)));
  for (const [verdict, mark] of Object.entries(MARK)) $("legend").append(element("span", { className: "pair" }, swatch(`mark ${verdict}`, mark), verdict));
  $("legend").append("empty: not part of the case");
}

function open(name, implementation) {
  const wanted = `#${encodeURIComponent(name)}` + (implementation ? `&${encodeURIComponent(implementation)}` : "");
  if (location.hash === wanted) show();
  else location.hash = wanted;
}

function command(text) {
  const code = element("code", {}, text);
  const button = element("button", { type: "button" }, "copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch { // an old browser, or a page without the permission: what is selected can be copied
      getSelection().selectAllChildren(code);
      document.execCommand("copy");
    }
    button.textContent = "copied";
  });
  return element("p", { className: "command" }, code, button);
}

// The darkness of an element: its error ratio, or its error relative to the tensor's maximum, as in the fault gallery.
const MEASURES = { ratio: "error ratio", relative: "error relative to the tensor's maximum" };
const isOff = (tensor) => tensor.failed > 0;

function heatmap(tensor, measure, readout) {
  // Each value is the worst element of its block; a tensor of more than two axes has them stacked.
  const grid = element("table", { className: "heatmap" });
  const { rows, columns, index, actual, expected, allowed } = tensor.heat;
  const largest = Math.max(...expected.map((value) => Math.abs(number(value))).filter(Number.isFinite), 0) || 1;
  const read = (k) => {
    const off = Math.abs(number(actual[k]) - number(expected[k]));
    readout.textContent = `${tensor.name}[${index[k].join(", ")}]: actual ${actual[k]}, expected ${expected[k]}, off by ${off.toPrecision(3)}, allowed ${number(allowed[k]).toPrecision(3)}`;
  };
  // The first column of each gate; the blocks of a large tensor may straddle two.
  const gates = tensor.heat.gates.length <= columns ? tensor.heat.gates : [];
  const begins = gates.map((_, g) => Math.round((g * columns) / gates.length));
  if (gates.length) grid.append(element("tr", {}, ...gates.map((gate, g) => element("th", { scope: "col", className: g ? "gate" : "", colSpan: (begins[g + 1] ?? columns) - begins[g] }, gate))));
  for (let i = 0; i < rows; i++) {
    const [here, above] = [index[i * columns], index[Math.max(0, i - 1) * columns]];
    if (here.length > 2 && here[0] !== above[0]) grid.append(element("tr", { className: "gap" })); // the next sequence
    const row = element("tr");
    for (let j = 0; j < columns; j++) {
      const k = i * columns + j;
      const error = Math.abs(number(actual[k]) - number(expected[k]));
      const ratio = error / number(allowed[k]);
      const dark = measure === "ratio" ? ratio / 1e3 : error / largest;
      const same = Object.is(number(actual[k]), number(expected[k])) || number(actual[k]) === number(expected[k]);
      const square = element("td");
      const off = !same && !(ratio <= 1);
      square.className = [off ? "off" : "", j && begins.includes(j) ? "gate" : ""].join(" ").trim();
      square.style.setProperty("--shade", off ? 0.2 + 0.8 * along(dark) : same ? 0 : tint(ratio));
      square.title = `[${index[k].join(", ")}]`;
      square.addEventListener("mouseenter", () => read(k));
      square.addEventListener("click", () => read(k));
      row.append(square);
    }
    grid.append(row);
  }
  grid.tabIndex = 0;
  let at = 0;
  grid.setAttribute("role", "img");
  grid.setAttribute("aria-label", `${tensor.name}: error ratio of each element; arrow keys read them out`);
  grid.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
    if (!step) return;
    event.preventDefault();
    at = Math.min(rows * columns - 1, Math.max(0, at + step));
    read(at);
  });
  return element("figure", {}, element("figcaption", {}, `${tensor.name} (${tensor.shape.join(", ")})`), element("div", { className: "scroll" }, grid));
}

// Each column: its title, its text, and a key to sort by. One that is empty in all rows is left out.
const COLUMNS = [
  ["tensor", (t) => t.name],
  ["verdict", (t) => t.verdict, (t) => bad(t)],
  ["error ratio", (t) => (number(t.ratio) === null ? "" : number(t.ratio).toPrecision(3)), (t) => rank(number(t.ratio))],
  ["wrong elements", (t) => (t.failed ? `${grouped(t.failed)} of ${grouped(t.elements)}` : "none"), (t) => t.failed ?? 0],
  ["ulp", (t) => (t.ulp === null ? "" : short(number(t.ulp))), (t) => rank(number(t.ulp))],
  ["shape", (t) => t.shape.join(" × ") || "scalar"],
  ["worst at", (t) => (t.at?.length ? `[${t.at.join(", ")}]` : "")],
  ["actual", (t) => t.actual ?? ""],
  ["expected", (t) => t.expected ?? ""],
  ["allowed", (t) => t.allowed ?? ""],
  ["tolerance", (t) => t.tolerance],
];
const TEXTS = 2; // columns of words, on the left
function tensorTable(tensors) {
  const wrong = tensors.some(bad);
  // The worst element of a right answer is in the report's tables: here it would be a column with one value.
  const same = tensors.every((t) => !t.allowed || t.allowed === t.tolerance);
  const used = COLUMNS.filter(([title]) => title !== "allowed" || !same).filter(([title, text]) => (wrong ? tensors.some(text) : !["wrong elements", "worst at", "actual", "expected", "allowed"].includes(title) && tensors.some(text)));
  const rows = tensors.map((t) => {
    const row = element("tr", { className: bad(t) ? "bad" : "" }, ...used.map(([, text], i) => element("td", i >= TEXTS ? { className: "number" } : {}, String(text(t)))));
    row.cells[1].classList.add("verdict", t.verdict);
    row.append(element("td", { className: "why faint" }, [t.origin, t.failed ? "" : t.reason].filter(Boolean).join("; ")));
    return { row, tensor: t };
  });
  const body = element("tbody", {}, ...rows.map(({ row }) => row));
  const titles = element("tr", {}, ...used.map(([title], i) => element("th", { scope: "col", className: i >= TEXTS ? "number" : "" }, element("button", { type: "button", title: `sort by ${title}` }, title))), element("th", { scope: "col" }, "where the tolerance is from"));
  titles.addEventListener("click", (event) => {
    const head = event.target.closest("button")?.parentElement;
    if (!head) return;
    const [, text, key = text] = used[head.cellIndex];
    const down = head.getAttribute("aria-sort") !== "descending";
    for (const each of titles.cells) each.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const sign = down ? -1 : 1;
    rows.sort((a, b) => (key(a.tensor) < key(b.tensor) ? -sign : key(a.tensor) > key(b.tensor) ? sign : 0));
    body.replaceChildren(...rows.map(({ row }) => row));
  });
  return element("table", { id: "tensors" }, element("thead", {}, titles), body);
}

function show() {
  const [name, implementation] = location.hash.slice(1).split("&").map(decodeURIComponent);
  const each = data.cases.find((one) => one.name === name);
  const detail = $("detail");
  detail.hidden = !each; // also for the anchors of the page itself
  if (!each) return;
  const compared = each.runs.filter((run) => tensorsOf(each, run).length);
  const worstFirst = [...compared].sort((a, b) => (Number.isNaN(b.worst) ? Infinity : b.worst) - (Number.isNaN(a.worst) ? Infinity : a.worst));
  const wrong = compared.filter((run) => run.verdict === "mismatch" || run.verdict === "error");
  const one = each.runs.find((run) => run.implementation === implementation) || wrong[0] || worstFirst.find((run) => run.tensors.some((tensor) => tensor.heat)) || worstFirst[0] || each.runs[0];
  const parts = [element("p", {}, element("a", { href: "#overview" }, "← all cases")), element("h2", {}, ...breakable(each.name))];
  if (each.about) parts.push(element("p", {}, each.about));
  parts.push(element("p", { className: "faint" }, each.what));
  if (each.because) parts.push(element("p", {}, `Known mismatch, declared in the case file: ${each.because}`));
  if (each.surprise) parts.push(element("p", { className: "verdict mismatch" }, `Not as expected: ${each.surprise}`));

  const chooser = element("select", { id: "implementation" });
  for (const run of each.runs) chooser.append(element("option", { value: run.implementation, selected: run === one }, `${run.implementation}: ${run.verdict}`));
  chooser.addEventListener("change", () => open(each.name, chooser.value));
  parts.push(element("p", { className: "controls" }, element("label", {}, `Compared with ${data.baseline}:`, chooser)));
  if (one) {
    const line = element("p", {}, element("span", { className: `verdict ${one.verdict}` }, one.verdict));
    if (one.reason) line.append(`: ${one.reason}`);
    if (one.since) line.append(`; since ${day(one.since)}`);
    if (one.oracle) line.append(`; ${one.oracle}`);
    parts.push(line);
    for (const { fault, explanation, start, others } of one.diagnoses) {
      const named = fault.split(" + ").flatMap((name, i) => [i ? " + " : "", data.gallery.includes(name) ? element("a", { href: `#fault-${name}` }, name) : name]);
      const cause = element("p", { className: "note" }, "Likely cause: ", element("strong", {}, ...named), `: ${explanation}`);
      if (start && !explanation.includes(start)) cause.append(element("span", { className: "faint" }, ` ${start[0].toUpperCase()}${start.slice(1)}.`));
      if (others.length) cause.append(element("span", { className: "faint" }, ` This case cannot distinguish it from: ${others.join(", ")}.`));
      parts.push(cause);
    }
    if (one.tensors.length) {
      parts.push(element("div", { className: "scroll" }, tensorTable(one.tensors)));
    }
    const readout = element("p", { className: "readout number", role: "status", id: "readout" }, "Point to an element to see its values.");
    const mapped = one.tensors.filter((tensor) => tensor.heat);
    if (mapped.length) {
      const measure = element("select", { id: "measure" });
      for (const [value, text] of Object.entries(MEASURES)) measure.append(element("option", { value, selected: value === (mapped.some(isOff) ? "relative" : "ratio") }, text));
      const maps = element("div", { className: "heatmaps" });
      const fill = () => maps.replaceChildren(...mapped.map((tensor) => heatmap(tensor, measure.value, readout)));
      measure.addEventListener("change", fill);
      fill();
      parts.push(element("h3", {}, "Each element"), element("p", { className: "controls" }, element("label", {}, "Darker means a larger", measure), element("span", { className: "key" }, element("span", { className: "within" }, "within the tolerance"), element("span", { className: "outside" }, "outside"))), readout, maps);
    }
  }
  if (each.plots.length) {
    const plots = element("div", { className: "plots" });
    for (const plot of each.plots) {
      const source = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(plot.svg)}`;
      const image = element("img", { src: source, alt: plot.alt, width: 538, height: 307 });
      plots.append(element("figure", {}, image, element("figcaption", {}, plot.caption)));
    }
    parts.push(element("h3", {}, "Over time"), plots);
  }
  if (one) parts.push(element("h3", {}, "Run again"), command(one.again));
  if (folder()) parts.push(element("h3", {}, "Show it in a terminal"), command(`harness show ${folder()} --case ${each.typed}`));
  detail.replaceChildren(...parts);
  detail.scrollIntoView({ block: "start" });
  detail.focus({ preventScroll: true });
}

// The folder of this page, quoted for a shell; empty if it is unknown, because the page comes from a server.
function folder() {
  if (location.protocol !== "file:") return "";
  try {
    const path = decodeURIComponent(location.pathname).replace(/\/[^/]*$/, "");
    if (/^\/[A-Za-z]:/.test(path)) return `"${path.slice(1)}"`; // on Windows
    return /^[\w/.+-]+$/.test(path) ? path : `'${path.replaceAll("'", `'"'"'`)}'`;
  } catch {
    return ""; // a name that is no UTF-8
  }
}

$("filter").addEventListener("input", draw);
for (const id of ["show", "unfold"]) $(id).addEventListener("change", draw);
addEventListener("hashchange", show);
legend();
unpacked($("data").textContent).then((found) => {
  data = found;
  data.cases.forEach(prepare);
  draw();
  performance.mark("overview"); // by which its loading is measured
  show();
});
