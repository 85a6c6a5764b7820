// The page: finding and sorting models, drawing one when it is opened, light and dark.

const cards = [...document.querySelectorAll(".card")];
const drawn = new Map();

async function open(card) {
  if (drawn.has(card)) return;
  drawn.set(card, null);
  const place = card.querySelector(".drawn");
  try {
    const made = sections(await load(card));
    place.replaceChildren(...made.parts);
    drawn.set(card, made);
    made.draw();
  } catch (error) {
    place.append(element("p", { class: "fault bad" }, `The modules cannot be shown in this browser: ${error.message}`));
    throw error;
  }
}

// A narrow page shows fewer columns.
matchMedia("screen and (max-width: 640px)").addEventListener("change", () => {
  for (const [card, made] of drawn) if (card.open && made) made.draw();
});

for (const card of cards) {
  card.addEventListener("toggle", () => { if (card.open) open(card); });
  if (card.open) open(card);
}

function setUpTools() {
  const tools = document.querySelector(".tools");
  if (!tools) return;
  const chips = [...tools.querySelectorAll(".chip")];
  const find = tools.querySelector(".find");
  const sort = tools.querySelector(".sort");
  const found = tools.querySelector(".found");
  const holder = document.querySelector(".cards");

  function filter() {
    const wanted = new Set(chips.filter((chip) => chip.getAttribute("aria-pressed") === "true").map((chip) => chip.dataset.group));
    const text = find.value.toLowerCase();
    let count = 0;
    for (const card of cards) {
      const shown = (!wanted.size || wanted.has(card.dataset.group)) && card.dataset.name.toLowerCase().includes(text);
      card.hidden = !shown;
      count += shown;
    }
    found.textContent = count === cards.length ? "" : count ? `${count} of ${cards.length} models` : "no model matches";
  }
  function arrange() {
    const by = sort.value;
    const value = (card) => (by === "name" ? card.dataset.name : BigInt(card.dataset[by] ?? -1));
    const keyed = cards.map((card, place) => [by ? value(card) : place, place, card]);
    const sign = by && by !== "name" ? -1 : 1;
    keyed.sort(([one, first], [other, second]) => (one === other ? first - second : one < other ? -sign : sign));
    holder.append(...keyed.map(([, , card]) => card));
  }
  for (const chip of chips) {
    chip.addEventListener("click", () => {
      chip.setAttribute("aria-pressed", String(chip.getAttribute("aria-pressed") !== "true"));
      filter();
    });
  }
  find.addEventListener("input", filter);
  sort.addEventListener("change", arrange);
  tools.hidden = false;
}

function setUpTheme() {
  const root = document.documentElement;
  const button = document.querySelector(".theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const name = () => {
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-label", `Switch to ${isDark() ? "light" : "dark"} colours`);
  };
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    name();
  });
  system.addEventListener("change", name);
  name();
  button.hidden = false;
}

// A link names its model, escaped or as it is: #resnet50; #convnext-2 is the second of that name.
function openLinked() {
  const written = location.hash.slice(1);
  const escaped = /%(?![\dA-F]{2})/i.test(written) ? written : decodeURIComponent(written);
  const card = cards.find((one) => one.id === encodeURIComponent(escaped));
  if (!card) return;
  card.open = true;
  card.scrollIntoView();
}

setUpTools();
setUpTheme();
openLinked();
addEventListener("hashchange", openLinked);
