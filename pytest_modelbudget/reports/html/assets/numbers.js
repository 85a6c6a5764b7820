// Numbers for people, as the Python side words them: exact integers come in, and are rounded here alone.
// LABELS and UNITS, by metric, come from the table of metrics (page.py).

function human(value, metric) {
  const unit = UNITS[metric] ?? "";
  const sign = value < 0n ? "-" : "";
  const magnitude = value < 0n ? -value : value;
  if (magnitude < 10000n) return `${sign}${magnitude} ${unit}`.trimEnd();
  let digits = String(magnitude).length;
  const step = 10n ** BigInt(digits - 4);
  const rounded = String((magnitude + step / 2n) / step);
  digits = rounded.length + digits - 4;
  const prefix = Math.floor((digits - 1) / 3);
  if (prefix > 5) return exactly(value, metric);
  const whole = digits - 3 * prefix;
  const text = `${rounded.slice(0, whole)}.${rounded.slice(whole, 4)}`;
  return `${sign}${text} ${" KMGTP"[prefix]}${unit}`.replace(". ", " ");
}

function exactly(value, metric) {
  const text = String(value).replace(/\B(?=(\d{3})+$)/g, ",");
  return `${text} ${UNITS[metric] ?? ""}`.trimEnd();
}

function signed(value, metric) {
  return `${value < 0n ? "" : "+"}${human(value, metric)}`;
}

function percent(part, whole) {
  if (whole === 0n) return "";
  if (part === 0n || part === whole) return part ? "100%" : "0%";
  const size = part < 0n ? -part : part;
  for (let decimals = size * 100n >= whole ? 1 : 2; ; decimals++) {
    const scale = 10n ** BigInt(decimals);
    const rounded = (200n * scale * size + whole) / (2n * whole);
    if (rounded === 0n || rounded === 100n * scale) continue;
    const whole_part = String(rounded / scale).replace(/\B(?=(\d{3})+$)/g, ",");
    return `${part < 0n ? "-" : ""}${whole_part}.${String(rounded % scale).padStart(decimals, "0")}%`;
  }
}

function share(part, whole) {
  return whole === 0n ? 0 : Number((1000000n * part) / whole) / 1000000;
}
