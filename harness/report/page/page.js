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

// Cividis: colour-blind readers see the same scale; light is small, dark is large.
const SCALE = ["#fdea9f", "#e9d57b", "#cfbe70", "#b5a876", "#9b937a", "#807f79", "#666b72", "#4b586d", "#2b466a", "#00204d"];
const RIGHT = "#fff6d8"; // no error
const LOWEST = 1e-3; // an error ratio below it has the lightest colour

function shade(ratio) {
  if (ratio === null) return "";
  const position = (Math.log10(Math.max(ratio, LOWEST)) - Math.log10(LOWEST)) / -Math.log10(LOWEST);
  return SCALE[Math.min(SCALE.length - 1, Math.max(0, Math.floor(position * (SCALE.length - 1))))];
}
const onShade = (colour) => (SCALE.indexOf(colour) > 5 ? "#ffffff" : "#1b1b1b");

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
  each.lowered = each.name.toLowerCase();
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
  const colour = run.verdict === "unsupported" ? "" : shade(run.worst);
  if (colour) {
    button.style.background = colour;
    button.style.color = onShade(colour);
  } else button.classList.add("none");
  button.textContent = MARK[run.verdict] || short(run.worst);
  const why = run.worst === null ? run.reason : `error ratio ${run.worst.toPrecision(3)}`;
  button.title = `${run.implementation}: ${run.verdict}; ${why}`;
  button.setAttribute("aria-label", `${each.name}, ${button.title}`);
  button.dataset.implementation = run.implementation;
  return button;
}

function rowOf(each) {
  if (each.row) return each.row;
  const parts = each.name.split(/(?<=[[,/])/).flatMap((part) => [part, element("wbr")]); // possible breaks in a long name
  const link = element("a", { href: `#${encodeURIComponent(each.name)}` }, ...parts);
  if (!each.as_expected) link.append(element("span", { className: "verdict mismatch" }, " not as expected"));
  each.row = element("tr", {}, element("th", { className: "case", scope: "row" }, link));
  each.row.dataset.position = each.position;
  const runs = new Map(each.runs.map((run) => [run.implementation, run]));
  for (const name of data.implementations) each.row.append(element("td", {}, ...(runs.has(name) ? [cell(each, runs.get(name))] : [])));
  return each.row;
}

function shown() {
  const text = $("filter").value.toLowerCase();
  const which = $("show").value;
  const found = data.cases.filter(
    (each) =>
      each.lowered.includes(text) &&
      (which === "all" || (which === "wrong" ? !each.as_expected : each.disagrees)),
  );
  if ($("sort").value === "ratio") found.sort((a, b) => b.worst - a.worst);
  if ($("sort").value === "name") found.sort((a, b) => a.name.localeCompare(b.name));
  return found;
}

const AT_ONCE = 60; // rows; a browser takes a second for a thousand
let found = [];

function draw() {
  found = shown();
  const body = $("table").tBodies[0];
  body.querySelector(".cell[tabindex='0']")?.setAttribute("tabindex", "-1");
  body.replaceChildren();
  drawMore(AT_ONCE);
  const first = body.querySelector(".cell");
  if (first) first.tabIndex = 0; // one stop for the tab key, arrows within
  $("count").textContent = `${grouped(found.length)} of ${grouped(data.cases.length)} cases`;
}
function drawMore(rows) {
  const body = $("table").tBodies[0];
  const there = body.rows.length;
  body.append(...found.slice(there, there + rows).map(rowOf));
  $("more").hidden = body.rows.length === found.length;
  $("more").textContent = `${grouped(found.length - body.rows.length)} more`;
}

function head() {
  const row = element("tr", {}, element("th", { scope: "col" }, "case"));
  for (const name of data.implementations) row.append(element("th", { className: "implementation", scope: "col" }, element("span", {}, name)));
  // With fixed column widths, the browser does not measure every row.
  const columns = element("colgroup", {}, ...[...row.cells].map((_, i) => element("col", { className: i ? "implementation" : "case" })));
  $("table").replaceChildren(columns, element("thead", {}, row), element("tbody"));
}

$("table").addEventListener("click", (event) => {
  const button = event.target.closest(".cell");
  if (button) open(data.cases[button.closest("tr").dataset.position].name, button.dataset.implementation);
});
// Rows are added before the end of the table scrolls into view.
const NEAR = "800px";
new IntersectionObserver((entries) => entries.some((each) => each.isIntersecting) && drawMore(AT_ONCE), { rootMargin: NEAR }).observe($("more"));
$("more").addEventListener("click", () => {
  const row = $("table").rows.length;
  drawMore(found.length);
  $("table").rows[row]?.querySelector("a").focus(); // where the button was, which is gone
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
    if (!to || at[0] < 1 || at[1] < 1) return;
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
  $("legend").replaceChildren("Error ratio:");
  for (const ratio of [0.001, 0.01, 0.1, 1]) {
    const swatch = element("span", { className: "swatch" }, ratio === 0.001 ? "≤.001" : String(ratio));
    swatch.style.background = shade(ratio);
    swatch.style.color = onShade(shade(ratio));
    $("legend").append(swatch);
  }
  $("legend").append("× mismatch, ! error, – unsupported; empty: the case excludes the implementation");
}

function open(name, implementation) {
  const wanted = `#${encodeURIComponent(name)}` + (implementation ? `&${encodeURIComponent(implementation)}` : "");
  if (location.hash === wanted) show();
  else location.hash = wanted;
}

function command(text) {
  const button = element("button", { type: "button" }, "copy");
  button.addEventListener("click", () => navigator.clipboard?.writeText(text).then(() => (button.textContent = "copied")));
  return element("p", {}, element("code", {}, text), " ", button);
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
  for (let i = 0; i < rows; i++) {
    const [here, above] = [index[i * columns], index[Math.max(0, i - 1) * columns]];
    if (here.length > 2 && here[0] !== above[0]) grid.append(element("tr", { className: "gap" })); // the next sequence
    const row = element("tr");
    for (let j = 0; j < columns; j++) {
      const k = i * columns + j;
      const error = Math.abs(number(actual[k]) - number(expected[k]));
      const ratio = error / number(allowed[k]);
      const dark = measure === "ratio" ? ratio : ratio <= 1 ? 0 : error / largest;
      const same = Object.is(number(actual[k]), number(expected[k])) || number(actual[k]) === number(expected[k]);
      const square = element("td");
      square.style.background = same || dark === 0 ? RIGHT : shade(Number.isNaN(dark) ? Infinity : dark);
      if (!same && !(ratio <= 1)) square.className = "off";
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
  const parts = [element("p", {}, element("a", { href: "#overview" }, "all cases")), element("h2", {}, each.name)];
  if (each.about) parts.push(element("p", {}, each.about));
  parts.push(element("p", { className: "faint" }, each.what));
  if (each.because) parts.push(element("p", {}, `Known mismatch, declared in the case file: ${each.because}`));
  if (each.surprise) parts.push(element("p", { className: "wrong" }, each.surprise));

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
    for (const { fault, explanation, start } of one.diagnoses) {
      const cause = element("p", { className: "wrong" }, "Likely cause: ", element("strong", {}, fault), `: ${explanation}`);
      if (start && !explanation.includes(start)) cause.append(element("span", { className: "faint" }, ` ${start[0].toUpperCase()}${start.slice(1)}.`));
      parts.push(cause);
    }
    if (one.tensors.length) {
      const head = ["tensor", "verdict", "ratio", "failed", "ulp", "shape", "worst at", "actual", "expected", "allowed", "tolerance"];
      const table = element("table", { id: "tensors" }, element("thead", {}, element("tr", {}, ...head.map((text) => element("th", { scope: "col" }, text)))));
      const body = element("tbody");
      for (const t of one.tensors) {
        const ratio = number(t.ratio);
        const failed = t.failed ? `${grouped(t.failed)} of ${grouped(t.elements)}` : "";
        const cells = [t.name, t.verdict, ratio === null ? "" : ratio.toPrecision(3), failed, t.ulp === null ? "" : short(number(t.ulp)), t.shape.join(" × "), t.at ? `[${t.at.join(", ")}]` : "", t.actual ?? "", t.expected ?? "", t.allowed ?? "", t.tolerance];
        const row = element("tr", {}, ...cells.map((text, i) => element("td", i > 1 ? { className: "number" } : {}, String(text))));
        row.cells[1].classList.add("verdict", t.verdict);
        row.cells[10].title = t.origin;
        row.cells[10].append(element("div", { className: "faint" }, [t.origin, t.failed ? "" : t.reason].filter(Boolean).join("; ")));
        body.append(row);
      }
      table.append(body);
      parts.push(element("div", { className: "scroll" }, table));
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
      parts.push(element("h3", {}, "Each element"), element("p", { className: "controls" }, element("label", {}, "Darker means a larger", measure), element("span", { className: "faint" }, "outlined: outside the tolerance")), readout, maps);
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
  if (one) parts.push(element("h3", {}, "Run again"), command(one.again), command(`harness show ${folder()}--case ${each.typed}`));
  detail.replaceChildren(...parts);
  detail.scrollIntoView({ block: "start" });
  detail.focus({ preventScroll: true });
}

// The folder of this page, quoted for a shell; empty if it is unknown, which stands for reports/latest.
function folder() {
  if (location.protocol !== "file:") return "";
  try {
    return `'${decodeURIComponent(location.pathname).replace(/\/[^/]*$/, "").replaceAll("'", `'"'"'`)}' `;
  } catch {
    return ""; // a name that is no UTF-8
  }
}

$("filter").addEventListener("input", draw);
for (const id of ["show", "sort"]) $(id).addEventListener("change", draw);
addEventListener("hashchange", show);
legend();
unpacked($("data").textContent).then((found) => {
  data = found;
  data.cases.forEach(prepare);
  head();
  draw();
  performance.mark("overview"); // by which its loading is measured
  show();
});
