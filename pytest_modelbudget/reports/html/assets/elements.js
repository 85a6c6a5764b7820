// Elements are made from text alone: no data ever becomes markup.

function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function meter(part) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  for (const [name, value] of Object.entries({ viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" })) {
    svg.setAttribute(name, value);
  }
  for (const [kind, width] of [["track", 100], ["part", 100 * part]]) {
    const rect = document.createElementNS(space, "rect");
    rect.setAttribute("class", kind);
    rect.setAttribute("width", width.toFixed(2));
    rect.setAttribute("height", "10");
    svg.append(rect);
  }
  return svg;
}

function colour(name) {
  const probe = element("span", {});
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
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

async function inflated(id) {
  const bytes = Uint8Array.from(atob(document.getElementById(id).textContent), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).text();
}
