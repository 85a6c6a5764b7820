// One model: its columns become rows with exact integers, and totals follow from what each module costs by itself.
// Numbers that are so many times others (bytes of params) are stated by them.

async function load(card) {
  return unpacked(JSON.parse(await inflated(card.querySelector(".payload").textContent)));
}

function unpacked(data) {
  const rows = data.parent.map((parent, place) => ({
    place, parent, segment: data.segment[place], cls: data.classes[data.cls[place]], calls: data.calls[place],
    many: data.many[place] || 1, aliases: data.aliases[place] || [], output: data.shapes[data.outputs[place]] || "",
    children: [], path: "", count: 1, own: {}, total: {},
  }));
  for (const row of rows) {
    const above = rows[row.parent];
    row.count = row.many * (above ? above.count : 1);
    row.path = above && above.path ? `${above.path}.${row.segment}` : row.segment;
    if (above) above.children.push(row);
  }
  const own = {};
  for (const [metric, column] of Object.entries(data.own)) own[metric] = numbers(column, own);
  const flops = { flops: "macs", training_flops: "training_macs" };
  const known = [...Object.keys(own), ...Object.keys(flops).filter((metric) => flops[metric] in own)];
  const metrics = Object.keys(LABELS).filter((metric) => known.includes(metric));
  for (const metric of metrics) {
    const column = own[flops[metric] || metric];
    const times = BigInt(flops[metric] ? data.flops_per_mac : 1);
    fill(rows, metric, (row) => column[row.place] * times * BigInt(row.count));
  }
  const differences = changesOf(data, rows);
  const grown = differences.map((difference) => difference.metric);
  for (const { metric, changes } of differences) {
    const amounts = new Map();
    for (const { amount, count, places } of changes) {
      for (const [place, number] of places) {
        amounts.set(place, (amounts.get(place) || 0n) + (amount / BigInt(count)) * BigInt(number));
      }
    }
    fill(rows, `growth of ${metric}`, (row) => amounts.get(row.place) || 0n);
  }
  const operators = { ran: operatorsOf(data, data.ran, own), unknown: operatorsOf(data, data.unknown, own) };
  return { name: data.name, shapes: data.shapes, memory: data.memory, rows, metrics, grown, differences, ...operators };
}

function numbers(told, known) {
  if (Array.isArray(told)) return told.map(BigInt);
  return known[told.like].map((value) => value * BigInt(told.times));
}

// The modules behind each difference, with what they add; a change of one module is told by its row.
function changesOf(data, rows) {
  const changed = data.changed.map(([kind, at, cls, count, places, from]) => (cls === undefined
    ? { kind, name: rows[at].path, cls: rows[at].cls, count: 1, places: [[at, 1]] }
    : { kind, name: at, cls, count, places, from }));
  const [amounts, orders] = [{}, {}];
  return data.differences.map(({ metric, before, after, amounts: told, changes }) => {
    amounts[metric] = numbers(told, amounts);
    orders[metric] = changes || orders[told.like];
    const all = orders[metric].map((number, place) => ({ ...changed[number], amount: amounts[metric][place] }));
    return { metric, before: BigInt(before), after: BigInt(after), changes: all };
  });
}

// Operators whose costs are left out ran alone in their module: theirs are those of the module.
function operatorsOf(data, list, own) {
  return list.map(([place, number, calls, ...costs]) => {
    const all = costs.length ? costs.map(BigInt) : [own.macs[place], own.training_macs?.[place]];
    return { place, name: data.operators[number], calls: BigInt(calls), macs: all[0], training: all[1] ?? null };
  });
}

// What all modules of a row cost together: by themselves, and with everything below.
function fill(rows, metric, own) {
  for (const row of rows) row.own[metric] = row.total[metric] = own(row);
  for (let place = rows.length - 1; place > 0; place -= 1) {
    rows[rows[place].parent].total[metric] += rows[place].total[metric];
  }
}

function titled(model, row) {
  return row.path || `${model.name} itself`;
}

function labelled(metric) {
  const grown = metric.startsWith("growth of ");
  return grown ? `growth of ${LABELS[metric.slice(10)]}` : LABELS[metric];
}

function measured(value, metric) {
  const grown = metric.startsWith("growth of ");
  return grown ? signed(value, metric.slice(10)) : human(value, metric);
}
