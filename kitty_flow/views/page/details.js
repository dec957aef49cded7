// ---- Details.

function section(into, heading, items, code) {
  if (!items.length) return;
  const list = element("ul");
  for (const item of items) {
    const line = element("li");
    line.append(element(code ? "code" : "span", item, { dir: "auto" }));
    list.append(line);
  }
  into.append(element("h3", heading), list);
}

function jumps(into, heading, ids) {
  if (!ids.length) return;
  const line = element("div");
  for (const id of ids) {
    const jump = element("button", `${id} · ${label(states.get(id) ?? null)}`, { type: "button", className: "jump" });
    if (!recorded) jump.textContent = id;
    jump.title = packages.get(id)?.title ?? "";
    jump.addEventListener("click", () => {
      choose(id);
      goTo(id);
    });
    line.append(jump);
  }
  into.append(element("h3", heading), line);
}

function slack(each) {
  return `${each.slack} ${each.slack === 1 ? data.unit.replace(/s$/, "") : data.unit}`;
}

function facts(each) {
  const list = element("dl");
  const rows = [
    ["wave", each.wave],
    ["execution lane", each.lane],
    ["slack", each.critical ? "none: on the critical path" : slack(each)],
    ["kind", each.mode],
  ];
  if (each.requirements.length) rows.push(["requirements", each.requirements.join(", ")]);
  for (const [name, value] of rows) list.append(element("dt", name), element("dd", value));
  return list;
}

function describe() {
  const panel = byId("details");
  panel.hidden = chosen === null;
  if (chosen === null) return;
  const each = packages.get(chosen);
  const state = states.get(chosen);
  panel.replaceChildren();
  const close = element("button", "×", { type: "button", className: "close", ariaLabel: "Close details" });
  close.addEventListener("click", () => choose(null));
  panel.append(close, element("h2", each.id), element("p", each.title, { dir: "auto" }));
  if (recorded) {
    const line = element("p");
    const mark = drawn("svg", { class: `mark kf ${stateClass(state)}`, viewBox: "-7 -7 14 14", "aria-hidden": "true" });
    const holder = drawn("g", { class: stateClass(state) });
    holder.append(drawn("path", { class: "symbol", d: symbol(state) }));
    mark.append(holder);
    line.append(mark, element("strong", label(state)));
    panel.append(line);
  }
  panel.append(facts(each));
  if (position === data.moments.length) section(panel, "Not ready, because", each.waitsFor);
  jumps(panel, "Depends on", each.dependencies);
  jumps(panel, "Ordered after, because of shared files", each.after);
  jumps(panel, "Waiting for it", each.dependents);
  section(panel, "Conflicts", each.conflicts);
  section(panel, "Owned files", each.files, true);
  section(panel, "Subtasks", each.subtasks);
  section(panel, "History", data.moments.slice(0, position).filter((moment) => moment.wp === chosen).map(sentence));
}

function choose(id) {
  if (id === chosen && id !== null) return;
  const before = chosen;
  chosen = id;
  for (const [name, card] of cards) card.classList.toggle("chosen", name === id);
  for (const arrow of arrows) arrow.classList.toggle("near", id !== null && [arrow.dataset.from, arrow.dataset.to].includes(id));
  for (const row of byId("gantt").querySelectorAll(".row")) row.classList.toggle("chosen", row.dataset.wp === id);
  describe();
  // The panel takes room from the stage: keep the scale and what is at its left edge.
  if (!stage.hidden && (before === null) !== (id === null)) {
    const width = stage.getBoundingClientRect().width;
    look({ ...seen, width: (seen.width * width) / (choose.width ?? width) });
  }
  choose.width = stage.getBoundingClientRect().width;
  if (stage.hidden) drawGantt();
  if (id !== null) goTo(id);
}

// ---- History: the states after each event.

function sentence(moment) {
  const change = `${moment.wp} ${moment.from === null ? "" : label(moment.from) + " → "}${label(moment.to)}`;
  return `${moment.at.slice(0, 19).replace("T", " ")}  ${change}${moment.forced ? " (forced)" : ""}, by ${moment.actor}${moment.reason ? ": " + moment.reason : ""}`;
}

function paint(card, each, state) {
  if (painted.get(each.id) === state) return;
  painted.set(each.id, state);
  for (const name of [...card.classList]) if (name.startsWith("s-")) card.classList.remove(name);
  card.classList.add(stateClass(state));
  card.querySelector(".symbol")?.setAttribute("d", symbol(state));
  const words = card.querySelector(".state");
  if (words) words.textContent = label(state);
  const tip = `${each.id} ${each.title}, wave ${each.wave}, ${each.lane}${recorded ? ", " + label(state) : ""}`;
  card.querySelector("title").textContent = tip;
  card.setAttribute("aria-label", tip);
}

function tell() {
  for (const each of data.workPackages) states.set(each.id, data.moments.length ? null : each.state);
  for (const moment of data.moments.slice(0, position)) states.set(moment.wp, moment.to);
  if (position === data.moments.length) for (const each of data.workPackages) states.set(each.id, each.state);
  for (const [id, card] of cards) paint(card, packages.get(id), states.get(id));
  byId("moment").value = position;
  const last = data.moments[position - 1];
  byId("told").textContent = `${position} of ${data.moments.length}` + (last ? ` · ${sentence(last)}` : " · before the first event");
  filter();
  describe();
}

function goToMoment(wanted) {
  position = Math.min(Math.max(wanted, 0), data.moments.length);
  tell();
}
