// The module tree as an icicle: the height of a box is its share of what is shown, and its column is its depth.

const DEEPEST = 5;
const TALLEST = 440; // pixels; a few boxes take less
const SMALLEST = 0.008; // of what is shown; smaller siblings share a box, which says how many they are
const MOST = 0.9; // a part with more than this of what is shown is no branch: its own parts are
const COLOURS = 7;

// What a module and all below it cost, without what shrank.
function positives(row, metric, found = new Map()) {
  const below = row.children.reduce((sum, child) => sum + positives(child, metric, found).get(child), 0n);
  return found.set(row, below + (row.own[metric] > 0n ? row.own[metric] : 0n));
}

// The one part that has the whole cost of a module: both are one box.
function onlyPart(row, costs) {
  return row.children.find((one) => costs.get(one) === costs.get(row)) || null;
}

function lastOfChain(row, costs) {
  for (let only = onlyPart(row, costs); only; only = onlyPart(row, costs)) row = only;
  return row;
}

// The boxes inside a module, of which the box around them is left out; ``above`` is the place of its box, or -1.
function boxes(model, top, metric, deepest) {
  const costs = positives(top, metric);
  const base = lastOfChain(top, costs);
  const whole = costs.get(base);
  const found = [];
  let branches = 0;
  const add = (box) => found.push({ ...box, start: share(box.from, whole), size: share(box.value, whole) }) - 1;
  const visit = (row, from, above, column, branch) => {
    const { parts, rest } = partsOf(row, costs, metric, whole);
    for (const part of parts) {
      const last = lastOfChain(part, costs);
      const ends = column + 1 === deepest || !last.children.some((one) => costs.get(one) > 0n);
      const isBranch = branch.colour === null && (ends || share(costs.get(part), whole) <= MOST);
      const tone = isBranch ? { colour: branches++ % COLOURS, shade: 0 } : { ...branch, shade: branch.shade + 1 };
      const place = add({ row: last, label: chained(part, last), value: costs.get(part), from, above, column, ends, ...tone });
      if (!ends) visit(last, from, place, column + 1, tone);
      from += costs.get(part);
    }
    for (const [label, value] of rest) {
      add({ row: null, label, value, from, above, column, ends: true, ...branch, shade: branch.shade + 1 });
      from += value;
    }
  };
  visit(base, 0n, -1, 0, { colour: null, shade: -1 });
  if (!found.length) add({ row: base, label: named(model, base), value: whole, from: 0n, above: -1, column: 0, ends: true, colour: 0, shade: 0 });
  return { found, whole, base };
}

function partsOf(row, costs, metric, whole) {
  const all = row.children.filter((one) => costs.get(one) > 0n);
  let small = all.filter((one) => share(costs.get(one), whole) < SMALLEST);
  if (small.length === 1) small = [];
  const rest = [
    [`${small.length} smaller ones`, small.reduce((sum, part) => sum + costs.get(part), 0n)],
    ["by itself", all.length && row.own[metric] > 0n ? row.own[metric] : 0n],
  ];
  return { parts: all.filter((one) => !small.includes(one)), rest: rest.filter(([, value]) => value > 0n) };
}

function chained(first, last) {
  const path = first.path === first.segment ? last.path : last.path.slice(first.path.length - first.segment.length);
  const count = last.count / (first.count / first.many);
  return path + (count > 1 ? ` x${count}` : "");
}

function drawIcicle(place, model, top, metric, zoom) {
  const { found, whole, base } = boxes(model, top, metric, place.clientWidth < 600 ? 3 : DEEPEST);
  const height = Math.min(TALLEST, 40 + 60 * found.length);
  const columns = 1 + Math.max(...found.map((box) => box.column));
  const shapes = found.map((box) => shapeOf(box, columns, height, `${percent(box.value, whole)}${box.row ? ` ${box.row.cls}` : ""}`,
    `${measured(box.value, metric)} (${exactly(box.value, metric)})`, zoom));
  place.style.height = `${height}px`;
  const had = place.contains(document.activeElement);
  place.replaceChildren(svg("svg", {
    role: "group", "aria-label": described(found, whole, model, base, metric), onkeydown: (event) => steer(event, found, shapes, model, top, zoom),
  }, ...shapes));
  shapes[0].setAttribute("tabindex", "0");
  if (had) shapes[0].focus();
  return base;
}

// One box. It is placed by percent, so that it fits whatever the page or the paper is wide.
function shapeOf(box, columns, height, part, amount, zoom) {
  const enters = box.row !== null && box.row.children.length > 0;
  const room = box.size * height;
  const lines = room > 36 ? [box.label, part] : room > 17 ? [`${box.label} \u00b7 ${part}`] : [];
  const shape = svg("svg", {
    class: `box ${enters ? "enters" : ""}`, x: `${(100 * box.column) / columns}%`, y: `${100 * box.start}%`,
    width: `${(100 * (box.ends ? columns - box.column : 1)) / columns}%`, height: `${100 * box.size}%`,
    role: enters ? "button" : "img", tabindex: "-1", "aria-label": `${box.label}, ${part}, ${amount}`,
    onclick: enters ? () => zoom(box.row) : null,
  },
  svg("title", {}, `${box.label}\n${part}\n${amount}`), svg("rect", { width: "100%", height: "100%" }),
  ...lines.map((text, line) => svg("text", { x: 7, y: lines.length > 1 ? 18 + 16 * line : room / 2 + 4.5 }, text)));
  const tone = box.colour === null ? "var(--box)" : `var(--c${box.colour})`;
  shape.style.setProperty("--tone", `color-mix(in srgb, ${tone} ${Math.max(40, 100 - 20 * box.shade)}%, var(--card))`);
  return shape;
}

// Arrows go from box to box, Enter goes into one, and Escape out of what is shown.
function steer(event, found, shapes, model, top, zoom) {
  const place = shapes.indexOf(event.target);
  const box = found[place];
  const beside = () => found.flatMap((one, number) => (one.above === box.above ? [number] : []));
  const to = {
    ArrowRight: () => found.findIndex((one) => one.above === place), ArrowLeft: () => box.above,
    ArrowDown: () => beside().find((number) => number > place), ArrowUp: () => beside().findLast((number) => number < place),
  }[event.key]?.();
  if (shapes[to]) {
    shapes[place].setAttribute("tabindex", "-1");
    shapes[to].setAttribute("tabindex", "0");
    shapes[to].focus();
  } else if (["Enter", " "].includes(event.key) && box.row?.children.length) zoom(box.row);
  else if (event.key === "Escape" && top.parent >= 0) zoom(around(model, top));
  else if (!event.key.startsWith("Arrow")) return;
  event.preventDefault();
}

// The module around another that has more in it than that one.
function around(model, row) {
  do row = model.rows[row.parent]; while (row.parent >= 0 && row.children.length === 1);
  return row;
}

function named(model, row) {
  return (row.segment || model.name) + (row.many > 1 ? ` x${row.many}` : "");
}

function described(found, whole, model, top, metric) {
  const parts = found.filter((box) => box.above < 0).map((box) => `${box.label} ${percent(box.value, whole)}`);
  return `Icicle of the ${labelled(metric)} of ${titled(model, top)}: ${parts.join(", ")}. Arrow keys go from box to box, ` +
    "Enter goes into one, Escape out; the table of modules has every number.";
}
