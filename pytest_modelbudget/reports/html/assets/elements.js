// Elements are made from text alone: no data ever becomes markup.

function element(tag, attributes, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

function svg(tag, attributes, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function filled(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function meter(part) {
  const bars = [["track", 100], ["part", 100 * part]].map(([kind, width]) =>
    svg("rect", { class: kind, width: width.toFixed(2), height: 10 }));
  return svg("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" }, ...bars);
}

// A group of buttons of which one is pressed.
function choice(label, options, chosen, choose) {
  const buttons = options.map(([value, text]) =>
    element("button", { type: "button", class: "chip", "data-value": value, "aria-pressed": String(value === chosen), onclick: () => {
      for (const other of buttons) other.setAttribute("aria-pressed", String(other.dataset.value === value));
      choose(value);
    } }, text));
  return element("div", { class: "groups", role: "group", "aria-label": label }, ...buttons);
}

// The button behind the first lines of a long list; in print it says how many were left out.
function rest(number, noun, show, more = "") {
  const text = `${exactly(BigInt(number), "")} more ${noun}${number > 1 ? "s" : ""}${more}`;
  return element("button", { type: "button", class: "more", onclick: show }, element("span", { class: "verb" }, "Show "), text);
}

async function inflated(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).text();
}
