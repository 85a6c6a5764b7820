// The bytes of activations that are alive during each operator of the forward, as steps, and where the most are.

function memoryCurve(model) {
  if (!model.memory) return [];
  const { operator, module, stretch } = model.memory;
  const live = model.memory.live.map(BigInt);
  const peak = live.reduce((most, one) => (one > most ? one : most));
  const label = `${exactly(peak, "peak_bytes")} at the peak, during ${operator} in ${module || `${model.name} itself`}`;
  const steps = live.map((one, place) => `V${(100 - 100 * share(one, peak)).toFixed(2)}H${place + 1}`).join("");
  const at = `${(100 * (live.indexOf(peak) + 0.5)) / live.length}%`;
  const during = stretch > 1 ? `every ${stretch} operators, the most of each` : "each operator";
  const title = `Activations that are alive during ${during}, in order: `;
  const chart = svg("svg", { role: "img", "aria-label": title + label }, svg("title", {}, label),
    svg("svg", { y: 6, height: 114, viewBox: `0 0 ${live.length} 100`, preserveAspectRatio: "none" },
      svg("path", { d: `M0 100${steps}V100Z` })),
    svg("line", { x1: at, x2: at, y1: 6, y2: 120 }), svg("circle", { cx: at, cy: 6, r: 4.5 }));
  const caption = element("figcaption", {}, title, element("b", {}, element("bdi", {}, label)));
  return [element("h2", {}, "Memory"), element("figure", { class: "memory" }, chart, caption)];
}
