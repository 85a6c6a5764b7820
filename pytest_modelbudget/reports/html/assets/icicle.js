// The module tree as an icicle: the height of a box is its share.

const DEEPEST = 5;
const SMALLEST = 0.008; // of what is shown; smaller siblings share a box, which says how many they are

let plotly = null;

function loadPlotly() {
  plotly ||= inflated("chart").then((text) => {
    document.head.append(element("script", {}, text));
    return window.Plotly;
  });
  return plotly;
}

function escaped(text) {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

// Boxes for a module and what is below it. The value of a box is what no box inside it shows.
function boxes(model, top, metric, deepest) {
  const positive = new Map();
  const amount = (row) => (row.own[metric] > 0n ? row.own[metric] : 0n);
  const add = (row) => row.children.reduce((sum, child) => sum + add(child), amount(row));
  const measureAll = (row) => { for (const child of row.children) measureAll(child); positive.set(row, add(row)); };
  measureAll(top);
  const whole = positive.get(top);
  const found = [];
  const visit = (row, parent, depth) => {
    const first = row;
    let only = row === top ? null : onlyPart(row, positive);
    while (only) { row = only; only = onlyPart(row, positive); }
    const label = first === top ? named(model, top) : chained(first, row);
    const box = { id: String(row.place), parent, row, label, value: positive.get(row), own: positive.get(row) };
    found.push(box);
    if (depth === deepest) return;
    const parts = row.children.filter((one) => positive.get(one) > 0n);
    let small = parts.filter((one) => share(positive.get(one), whole) < SMALLEST);
    if (small.length === 1) small = [];
    for (const part of parts.filter((one) => !small.includes(one))) {
      box.own -= positive.get(part);
      visit(part, box.id, depth + 1);
    }
    const rest = (id, label, value) => {
      if (value === 0n) return;
      box.own -= value;
      found.push({ id: `${id} ${row.place}`, parent: box.id, row: null, cls: id === "itself" ? row.cls : null, label, value, own: value });
    };
    rest("small", `${small.length} smaller ones`, small.reduce((sum, part) => sum + positive.get(part), 0n));
    if (parts.length) rest("itself", "by itself", amount(row));
  };
  visit(top, "", 0);
  return { found, whole };
}

// The one part that has the whole cost of a module: both are one box.
function onlyPart(row, positive) {
  return row.children.find((one) => positive.get(one) === positive.get(row)) || null;
}

function chained(first, last) {
  const path = first.path === first.segment ? last.path : last.path.slice(first.path.length - first.segment.length);
  const count = last.count / (first.count / first.many);
  return path + (count > 1 ? ` x${count}` : "");
}

function kinds(model) {
  const metric = model.metrics.includes("macs") ? "macs" : "params";
  const sums = new Map();
  for (const row of model.rows) sums.set(row.cls, (sums.get(row.cls) || 0n) + row.own[metric]);
  const ranked = [...sums].filter(([, sum]) => sum > 0n).sort((one, other) => (one[1] < other[1] ? 1 : -1));
  return new Map(ranked.map(([cls], rank) => [cls, Math.min(rank, 7)]));
}

async function drawIcicle(place, model, top, metric, zoom) {
  const Plotly = await loadPlotly();
  const narrow = place.clientWidth < 600;
  const { found, whole } = boxes(model, top, metric, narrow ? 2 : DEEPEST);
  const palette = Array.from({ length: 8 }, (_, rank) => colour(`--c${rank}`));
  const text = colour("--text");
  const [grey, sunk] = [colour("--box"), colour("--sunk")];
  const painted = (cls) => (model.kinds.has(cls) ? palette[model.kinds.get(cls)] : grey);
  const colours = found.map((box) => {
    if (!box.row) return box.cls ? painted(box.cls) : sunk;
    return 2n * box.row.own[metric] >= box.value ? painted(box.row.cls) : grey;
  });
  const trace = {
    type: "icicle",
    ids: found.map((box) => box.id),
    parents: found.map((box) => box.parent),
    labels: found.map((box) => escaped(box.label)),
    values: found.map((box) => Number(box.own)),
    text: found.map((box) => `${escaped(box.row && !narrow ? `${box.row.cls} ` : "")}${percent(box.value, whole)}`),
    customdata: found.map((box) => escaped(`${measured(box.value, metric)} (${exactly(box.value, metric)})`)),
    branchvalues: "remainder",
    sort: false,
    texttemplate: found.map((box) => (narrow || share(box.value, whole) > 0.07 ? "%{label}<br>%{text}" : "%{label} %{text}")),
    textfont: { color: text, size: 13 },
    hovertemplate: "<b>%{label}</b><br>%{text}<br>%{customdata}<extra></extra>",
    marker: { colors: colours, line: { color: colour("--card"), width: 1.5 } },
    tiling: { orientation: "h", pad: 0 },
    pathbar: { visible: false },
    root: { color: grey },
  };
  const layout = {
    margin: { l: 0, r: 0, t: 0, b: 0 }, paper_bgcolor: colour("--card"), font: { family: "inherit", color: text },
    hoverlabel: { bgcolor: colour("--card"), bordercolor: colour("--line"), font: { color: text } },
    uniformtext: { minsize: 10, mode: "hide" },
  };
  await Plotly.react(place, [trace], layout, { displayModeBar: false, responsive: true });
  place.removeAllListeners("plotly_icicleclick");
  place.on("plotly_icicleclick", (event) => {
    const row = model.rows[Number(event.points[0].id)];
    if (row && row.children.length) zoom(row === top && row.parent >= 0 ? model.rows[row.parent] : row);
    return false;
  });
  place.setAttribute("aria-label", described(found, whole, model, top, metric));
}

function named(model, row) {
  return (row.segment || model.name) + (row.many > 1 ? ` x${row.many}` : "");
}

function described(found, whole, model, top, metric) {
  const parts = found.filter((box) => box.parent === String(top.place))
    .map((box) => `${box.label} ${percent(box.value, whole)}`);
  return `Icicle of the ${labelled(metric)} of ${titled(model, top)}: ${parts.join(", ") || "it has no parts"}. ` +
    "The table of modules has every number.";
}
