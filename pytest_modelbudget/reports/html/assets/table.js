// A table that is sorted by the buttons in its head, and searched; long ones begin with some rows and say how many follow.

const FIRST = 100;

// columns: { title, key(row) -> text or BigInt, cell(row) -> td, number }; rows that are idle follow on request alone
function table(label, columns, rows, { sorted = 0, descending = true, matches = null, noun = "row", isIdle = () => false } = {}) {
  const state = { sorted, descending, all: false, text: "", rows };
  const body = element("tbody", {});
  const status = element("span", { role: "status", class: "quiet" });
  const more = element("div", {});
  const heads = columns.map((column, place) =>
    element("th", { scope: "col", class: column.number && !column.left ? "number" : null },
      element("button", { type: "button", class: "plainly", onclick: () => {
        state.descending = state.sorted === place ? !state.descending : Boolean(column.number);
        state.sorted = place;
        fillBody();
      } }, column.title)));
  const search = element("input", { type: "search", placeholder: `${noun}s`, oninput: () => {
    state.text = search.value.toLowerCase();
    fillBody();
  } });

  function fillBody() {
    const column = columns[state.sorted];
    const found = state.rows.filter((row) => !state.text || matches(row).toLowerCase().includes(state.text));
    const keyed = found.map((row, place) => [column.key(row), place, row]);
    const sign = state.descending ? -1 : 1;
    keyed.sort(([one, first], [other, second]) => (one === other ? first - second : one < other ? -sign : sign));
    heads.forEach((head, place) => {
      if (place === state.sorted) head.setAttribute("aria-sort", state.descending ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    const order = keyed.map(([, , row]) => row);
    const busy = state.text ? order : order.filter((row) => !isIdle(row));
    const shown = state.all || !busy.length ? order : busy.slice(0, FIRST);
    body.replaceChildren(...shown.map((row) => element("tr", {}, ...columns.map((one) => one.cell(row)))));
    const left = order.length - shown.length;
    const why = left && busy.length <= FIRST ? `, which cost${left > 1 ? "" : "s"} nothing` : "";
    more.replaceChildren(...(left ? [rest(left, noun, () => showAll(order.findIndex((row) => !shown.includes(row))), why)] : []));
    status.textContent = order.length ? `${exactly(BigInt(order.length), "")} of ${exactly(BigInt(state.rows.length), "")} ${noun}s` : `no ${noun} matches`;
  }

  function showAll(first) {
    state.all = true;
    fillBody();
    body.rows[first].tabIndex = -1;
    body.rows[first].focus();
  }

  fillBody();
  const whole = element("table", {}, element("thead", {}, element("tr", {}, ...heads)), body);
  return {
    search: matches ? element("label", {}, "Find ", search) : null,
    status,
    more,
    scroll: element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, whole),
    refill(rows) { if (rows) state.rows = rows; fillBody(); },
    retitle(place, title) { heads[place].firstChild.textContent = title; },
  };
}

function numberCell(text, title) {
  return element("td", { class: "number", title }, text);
}

function pathCell(...children) {
  return element("th", { scope: "row", class: "path" }, ...children);
}

function shareCell(part, whole) {
  const value = share(part < 0n ? 0n : part, whole);
  return element("td", { class: "share" }, meter(value), percent(part < 0n ? 0n : part, whole));
}
