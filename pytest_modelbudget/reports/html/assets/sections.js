// What is shown of one model: the icicle, its memory, its modules, its operators, and what changed since the baseline.

// FLOPs follow from MACs, and mostly all params are trainable.
function isTelling(metric) {
  return !metric.endsWith("flops") && metric !== "trainable_params";
}

function sections(model) {
  const some = (metric) => model.rows.some((row) => row.own[metric] > 0n);
  const grown = model.grown.filter(isTelling).map((metric) => `growth of ${metric}`);
  const shown = [...model.metrics.filter(isTelling), ...grown].filter(some);
  const state = { metric: shown.includes("macs") ? "macs" : "params", top: model.rows[0], below: false };
  const parts = [];
  const chart = element("div", { class: "icicle" });
  const crumbs = element("nav", { class: "crumbs", "aria-label": `Modules above, in ${model.name}` });
  const modules = moduleTable(model, state, zoom);

  function zoom(row) {
    state.top = row;
    modules.follow();
    draw();
  }
  function draw() {
    if (shown.length) fillCrumbs(crumbs, model, state, drawIcicle(chart, model, state.top, state.metric, zoom), zoom);
  }
  const switcher = choice("Height of the boxes", shown.map((metric) => [metric, labelled(metric)]), state.metric, (metric) => {
    state.metric = metric;
    modules.follow();
    draw();
  });
  parts.push(element("h2", {}, "Where it is"));
  if (shown.length) parts.push(element("div", { class: "controls" }, switcher), crumbs, chart, kindsOf(model));
  else parts.push(element("p", { class: "quiet" }, "Nothing in this model costs anything."));
  parts.push(...memoryCurve(model), ...changes(model));
  parts.push(element("h2", {}, "Modules"), ...modules.parts);
  parts.push(element("h2", {}, "Operators"), ...operatorTable(model));
  return { parts, draw };
}

// The way to the module whose parts are shown. One that is all there is in another is shown with that.
function fillCrumbs(place, model, state, base, zoom) {
  const way = [];
  for (let row = base; row; row = model.rows[row.parent]) way.unshift(row);
  const items = way.flatMap((row, depth) => {
    const text = element("bdi", {}, named(model, row));
    const item = row.place >= state.top.place
      ? element("span", { "aria-current": row === base ? "location" : null }, text)
      : element("button", { type: "button", class: "plainly", onclick: () => { zoom(row); place.nextSibling.querySelector(".box").focus(); } }, text);
    return depth ? [element("span", { class: "quiet", "aria-hidden": "true" }, "\u203a"), item] : [item];
  });
  const total = element("span", { class: "quiet" }, `${measured(base.total[state.metric], state.metric)} ${labelled(state.metric)}`);
  place.replaceChildren(...items, total);
}

function kindsOf(model) {
  const metric = model.metrics.includes("macs") ? "macs" : "params";
  const whole = model.rows[0].total[metric];
  const sums = new Map();
  for (const row of model.rows) sums.set(row.cls, (sums.get(row.cls) || 0n) + row.own[metric]);
  const ranked = [...sums].filter(([, sum]) => sum > 0n).sort((one, other) => (one[1] < other[1] ? 1 : -1));
  const others = ranked.splice(LARGEST).reduce((all, [, sum]) => all + sum, 0n);
  if (others) ranked.push(["others", others]);
  const items = ranked.map(([cls, sum]) => element("span", {}, element("bdi", {}, cls), ` ${percent(sum, whole)}`));
  return element("p", { class: "kinds" }, `${LABELS[metric]} by class:`, ...items);
}

function moduleTable(model, state, zoom) {
  const cost = (row, metric) => (state.below ? row.total[metric] : row.own[metric]);
  const whole = () => {
    const total = model.rows[0].total[state.metric];
    return total > 0n ? total : 0n;
  };
  const numeric = (metric) => ({
    title: labelled(metric), number: true, key: (row) => cost(row, metric),
    cell: (row) => {
      const value = cost(row, metric);
      const isEmpty = value === 0n && metric.startsWith("growth");
      return isEmpty ? numberCell("") : numberCell(measured(value, metric), exactly(value, metric.replace("growth of ", "")));
    },
  });
  const name = (row) => {
    const text = element("bdi", {}, titled(model, row));
    const inside = row.children.length
      ? element("button", { type: "button", class: "plainly", title: "Show in the chart", onclick: () => zoom(row) }, text)
      : text;
    const also = row.aliases.length ? element("span", { class: "times" }, " also ", element("bdi", {}, row.aliases.join(", "))) : null;
    return pathCell(inside, also);
  };
  const moved = (metric) => model.rows.some((row) => row.own[metric] !== 0n);
  const grown = model.grown.filter(isTelling).map((metric) => `growth of ${metric}`).filter(moved);
  const columns = [
    { title: "module", key: (row) => row.place, cell: name },
    { title: "class", key: (row) => row.cls.toLowerCase(), cell: (row) => element("td", {}, element("bdi", {}, row.cls)) },
    { title: "how many", number: true, key: (row) => BigInt(row.count), cell: (row) => numberCell(row.count > 1 ? `x${row.count}` : "") },
    { title: "share", key: (row) => cost(row, state.metric), cell: (row) => shareCell(cost(row, state.metric), whole()), number: true, left: true },
    { title: "calls", number: true, key: (row) => BigInt(row.calls), cell: (row) => numberCell(String(row.calls)) },
    ...[...model.metrics.filter(isTelling), ...grown].map(numeric),
    ...(model.shapes.length ? [{ title: "output", key: (row) => row.output, cell: (row) => element("td", { class: "path" }, row.output) }] : []),
  ];
  const shareAt = columns.findIndex((column) => column.title === "share");
  const made = table(`Modules of ${model.name}`, columns, model.rows, {
    sorted: shareAt, noun: "module", matches: (row) => `${titled(model, row)} ${row.cls}`,
    isIdle: (row) => row !== state.top && [...model.metrics, ...grown].every((metric) => cost(row, metric) === 0n),
  });
  const note = element("p", { class: "quiet" });
  const follow = () => {
    made.retitle(shareAt, `share of ${labelled(state.metric)}`);
    made.refill(below(model, state.top));
    const all = element("button", { type: "button", class: "plainly", onclick: () => zoom(model.rows[0]) }, "Show all modules");
    const inside = ["Only those in ", element("bdi", {}, state.top.path), ". ", all];
    note.replaceChildren("Modules that are alike are one row, with what all of them cost together. ", ...(state.top.place ? inside : []));
  };
  const box = element("input", { type: "checkbox", onchange: () => { state.below = box.checked; made.refill(); } });
  follow();
  return {
    follow,
    parts: [note, element("div", { class: "controls" }, made.search, element("label", {}, box, "with everything below"), made.status), made.scroll, made.more],
  };
}

function below(model, top) {
  const found = new Set([top]);
  for (const row of model.rows) if (found.has(model.rows[row.parent])) found.add(row);
  return [...found];
}

function operatorTable(model) {
  const rows = (apart) => {
    const found = new Map();
    for (const [list, unknown] of [[model.ran, false], [model.unknown, true]]) {
      for (const { place, name, calls, macs, training } of list) {
        const row = model.rows[place];
        const key = `${name} ${unknown} ${apart ? place : ""}`;
        const known = found.get(key) || { name, unknown, row: apart ? row : null, modules: 0, calls: 0n, macs: 0n, training: null };
        const times = BigInt(row.count);
        known.modules += row.count;
        known.calls += calls * times;
        known.macs += macs * times;
        if (training !== null) known.training = (known.training || 0n) + training * times;
        found.set(key, known);
      }
    }
    return [...found.values()];
  };
  const whole = model.metrics.includes("macs") ? model.rows[0].total.macs : 0n;
  const known = rows(false);
  if (!known.length) return [element("p", { class: "quiet" }, "No operator was counted.")];
  const trained = known.some((one) => one.training !== null);
  const columns = [
    { title: "operator", key: (one) => one.name, cell: (one) => pathCell(element("bdi", {}, one.name), one.unknown ? element("b", { class: "grew" }, " without a formula") : null) },
    { title: "modules", number: false, key: (one) => (one.row ? one.row.place : BigInt(one.modules)), cell: (one) => element("td", { class: "path" }, one.row ? element("bdi", {}, `${titled(model, one.row)}${one.row.count > 1 ? ` x${one.row.count}` : ""}`) : exactly(BigInt(one.modules), "")) },
    { title: "calls", number: true, key: (one) => one.calls, cell: (one) => numberCell(exactly(one.calls, "")) },
    { title: "MACs", number: true, key: (one) => one.macs, cell: (one) => numberCell(one.unknown ? "unknown" : human(one.macs, ""), exactly(one.macs, "")) },
    ...(trained ? [{ title: LABELS.training_macs, number: true, key: (one) => one.training || 0n, cell: (one) => numberCell(one.training === null ? "-" : human(one.training, ""), one.training === null ? null : exactly(one.training, "")) }] : []),
    { title: "share of MACs", number: true, left: true, key: (one) => one.macs, cell: (one) => shareCell(one.macs, whole) },
  ];
  const made = table(`Operators of ${model.name}`, columns, known, {
    sorted: columns.length - 1, noun: "operator", matches: (one) => `${one.name} ${one.row ? titled(model, one.row) : ""}`,
  });
  const box = element("input", { type: "checkbox", onchange: () => made.refill(rows(box.checked)) });
  return [element("div", { class: "controls" }, made.search, element("label", {}, box, "module by module"), made.status), made.scroll, made.more];
}

