// One model: its columns become rows with exact integers, and totals follow from what each module costs by itself.

async function load(place) {
  return unpacked(JSON.parse(await inflated(`data-${place}`)));
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
  const flops = { flops: "macs", training_flops: "training_macs" };
  const known = [...Object.keys(data.own), ...Object.keys(flops).filter((metric) => flops[metric] in data.own)];
  const metrics = Object.keys(LABELS).filter((metric) => known.includes(metric));
  for (const metric of metrics) {
    const column = data.own[flops[metric] || metric];
    const times = BigInt(flops[metric] ? data.flops_per_mac : 1);
    fill(rows, metric, (row) => BigInt(column[row.place]) * times * BigInt(row.count));
  }
  const grown = Object.keys(data.growth);
  for (const metric of grown) {
    fill(rows, `growth of ${metric}`, (row) => BigInt(data.growth[metric][row.place] || 0));
  }
  return { ...data, rows, metrics, grown };
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
