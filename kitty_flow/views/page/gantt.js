// ---- Gantt: planned in waves, actual by the times of the events.

const LABEL = 250;
const ROW = 26;

function planned() {
  const unit = Math.max(46, Math.min(170, (byId("gantt").clientWidth - LABEL - 60) / data.waves));
  const marks = Array.from({ length: data.waves }, (_, wave) => [wave * unit, `wave ${wave + 1}`]);
  const bars = (each) => {
    const start = (each.wave - 1) * unit;
    const found = [bar(start, unit - 4, states.get(each.id), label(states.get(each.id)), each.critical)];
    if (each.slack && !each.critical) {
      const tail = drawn("rect", { class: "slack", x: start + unit - 4, y: 9, width: each.slack * unit, height: 8 });
      tail.append(drawn("title", {}, `slack ${slack(each)}`));
      found.push(tail);
    }
    return found;
  };
  return { marks, bars, width: (data.waves + Math.max(0, ...data.workPackages.map((e) => e.slack + e.wave - data.waves))) * unit };
}

function actual() {
  const times = data.moments.map((moment) => Date.parse(moment.at)).filter(Number.isFinite);
  const isOpen = data.workPackages.some((each) => !["done", "canceled"].includes(each.state));
  if (isOpen && Number.isFinite(Date.parse(data.drawnAt))) times.push(Date.parse(data.drawnAt)); // what is held goes on
  const [first, last] = [Math.min(...times), Math.max(...times)];
  const width = Math.max(420, byId("gantt").clientWidth - LABEL - 70);
  const span = Math.max(1, last - first);
  const place = (at) => ((Date.parse(at) - first) / span) * width;
  const marks = Array.from({ length: 6 }, (_, step) => [(width * step) / 5, clock(first + (span * step) / 5, span)]);
  const own = byWorkPackage(data.moments);
  const bars = (each) =>
    own.get(each.id).map((moment, index, all) => {
      const start = place(moment.at);
      const final = ["done", "canceled"].includes(moment.to);
      const end = index + 1 < all.length ? place(all[index + 1].at) : final ? start + 18 : width;
      return bar(start, Math.max(3, end - start), moment.to, sentence(moment), false);
    });
  const now = data.moments[position - 1];
  return { marks, bars, width, now: now && position < data.moments.length ? place(now.at) : null };
}

function byWorkPackage(moments) {
  const own = new Map(data.workPackages.map((each) => [each.id, []]));
  for (const moment of moments) own.get(moment.wp)?.push(moment);
  return own;
}

function clock(time, span) {
  const text = new Date(time).toISOString();
  return span > 172800000 ? text.slice(0, 10) : span > 7200000 ? text.slice(5, 16).replace("T", " ") : span > 10000 ? text.slice(11, 19) : text.slice(14, 21);
}

function bar(x, width, state, tip, critical) {
  const group = drawn("g", { class: stateClass(state), transform: `translate(${x} 0)` });
  group.append(drawn("title", {}, tip));
  group.append(drawn("rect", { class: "face", x: 0, y: 4, width, height: 18, rx: 3 }));
  group.append(drawn("rect", { class: critical ? "edge frame critical" : "edge", x: 0, y: 4, width, height: 18, rx: 3 }));
  if (width > 11 && state !== null) {
    group.append(drawn("path", { class: "symbol", d: symbol(state), transform: `translate(${Math.min(9, width / 2)} 13) scale(${width > 16 ? 0.9 : 0.75})` }));
  }
  const words = state === null ? "" : label(state);
  if (width > 20 + 6.6 * words.length) group.append(drawn("text", { x: 18, y: 17 }, words));
  return group;
}

function drawGantt() {
  const held = document.activeElement?.closest?.("#gantt .row")?.dataset.wp;
  const chart = byId("view").value === "actual" ? actual() : planned();
  const rows = data.workPackages.filter((each) => shown.has(each.id));
  rows.sort((one, other) => one.wave - other.wave);
  const height = 30 + ROW * rows.length + 10;
  const svg = drawn("svg", { class: "kf", width: LABEL + chart.width + 60, height, role: "group", "aria-label": "Gantt chart" });
  for (const [x, words] of chart.marks) {
    svg.append(drawn("line", { class: "grid", x1: LABEL + x, x2: LABEL + x, y1: 22, y2: height }));
    svg.append(drawn("text", { class: "axis", x: LABEL + x + 3, y: 15 }, words));
  }
  rows.forEach((each, index) => {
    const row = drawn("g", { class: "row", transform: `translate(0 ${28 + ROW * index})`, role: "button", tabindex: -1, "data-wp": each.id });
    row.setAttribute("aria-label", `${each.id} ${each.title}, wave ${each.wave}${recorded ? ", " + label(states.get(each.id)) : ""}`);
    row.classList.toggle("chosen", each.id === chosen);
    row.append(drawn("rect", { class: "stripe", x: 0, y: 0, width: LABEL + chart.width + 58, height: ROW }));
    const words = [...`${each.id}  ${each.title}`];
    row.append(drawn("text", { x: 4, y: 17 }, words.length > 34 ? words.slice(0, 33).join("") + "…" : words.join("")));
    const bars = drawn("g", { transform: `translate(${LABEL} 0)` });
    bars.append(...chart.bars(each));
    row.append(bars);
    svg.append(row);
  });
  if (chart.now != null) svg.append(drawn("line", { class: "now", x1: LABEL + chart.now, x2: LABEL + chart.now, y1: 20, y2: height }));
  byId("gantt").replaceChildren(svg);
  const first = [...svg.querySelectorAll(".row")].find((row) => row.dataset.wp === (held ?? chosen)) ?? svg.querySelector(".row");
  first?.setAttribute("tabindex", 0);
  if (held && first?.dataset.wp === held) first.focus();
}
