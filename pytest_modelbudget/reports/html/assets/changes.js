// What changed since the baseline, metric by metric: the largest changes, and the others on request.

const LARGEST = 12;
const SAID = 5; // what stands above, with the bars

function changes(model) {
  const telling = model.differences.filter(({ metric }) => isTelling(metric));
  if (!telling.length) return [];
  const parts = telling.map((difference, place) => {
    const { metric, before, after } = difference;
    return element("details", { open: place === 0 && difference.changes.length > SAID },
      element("summary", {}, `${LABELS[metric]} `, amountOf(after - before, metric)),
      ...listed(difference));
  });
  return [element("h2", {}, "Since the baseline"), ...parts];
}

function listed({ metric, changes }) {
  const list = element("ul", { class: "changes" }, ...changes.slice(0, LARGEST).map((one) => changeOf(one, metric)));
  const others = changes.slice(LARGEST);
  if (!others.length) return [list];
  const sum = others.reduce((all, one) => all + one.amount, 0n);
  const more = rest(others.length, "change", () => {
    const items = others.map((one) => changeOf(one, metric));
    list.append(...items);
    more.remove();
    items[0].tabIndex = -1;
    items[0].focus();
  }, ` (${signed(sum, metric)})`);
  return [list, more];
}

function changeOf({ kind, name, cls, count, amount, from }, metric) {
  const many = count > 1 ? ` x${count}` : "";
  if (kind === "moved") return element("li", {}, element("bdi", {}, from), " is now ", element("bdi", {}, name), many);
  const word = { appeared: "new, ", vanished: "gone, " }[kind] || "";
  return element("li", {}, element("bdi", {}, name || "the model itself"), " ", element("bdi", {}, cls), `${many}: `,
    amountOf(amount, metric, word));
}

function amountOf(amount, metric, word = "") {
  return element("b", { class: amount > 0n ? "grew" : "shrank" }, `${word}${signed(amount, metric)}`);
}
