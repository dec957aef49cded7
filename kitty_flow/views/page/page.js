// ---- Search and filters.

function matches(each, words) {
  if (byId("wave").value && String(each.wave) !== byId("wave").value) return false;
  if (byId("lane").value && each.lane !== byId("lane").value) return false;
  if (byId("state").value && states.get(each.id) !== byId("state").value) return false;
  const text = [each.id, each.title, ...each.files, ...each.requirements].join("\n").toLowerCase();
  return words.every((word) => text.includes(word));
}

function filter() {
  const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  shown = new Set(data.workPackages.filter((each) => matches(each, words)).map((each) => each.id));
  for (const [id, card] of cards) card.classList.toggle("dim", !shown.has(id));
  for (const arrow of arrows) {
    arrow.classList.toggle("dim", !shown.has(arrow.dataset.from) || !shown.has(arrow.dataset.to));
  }
  byId("found").textContent = shown.size === packages.size ? "" : `${shown.size} of ${packages.size}`;
  if (!byId("gantt").hidden) drawGantt();
}

function show(view) {
  stage.hidden = view !== "graph";
  byId("gantt").hidden = view === "graph";
  for (const each of document.querySelectorAll(".zoom")) each.hidden = view !== "graph";
  if (view === "graph") look(seen);
  else drawGantt();
}

// ---- Keyboard: one work package at a time can be reached by Tab; arrows lead to the others.

function focus(node) {
  for (const each of node.parentNode.querySelectorAll('[tabindex="0"]')) each.setAttribute("tabindex", -1);
  node.setAttribute("tabindex", 0);
  node.focus({ preventScroll: !stage.hidden });
  if (stage.hidden) node.scrollIntoView({ block: "nearest" });
  else goTo(node.dataset.wp);
}

function neighbour(id, key) {
  const each = packages.get(id);
  if (key === "ArrowLeft") return [...each.dependencies, ...each.after][0];
  if (key === "ArrowRight") return each.dependents[0];
  const column = data.workPackages.filter((other) => other.wave === each.wave).map((other) => cards.get(other.id));
  column.sort((one, other) => one.getBoundingClientRect().top - other.getBoundingClientRect().top);
  const at = column.indexOf(cards.get(id)) + (key === "ArrowDown" ? 1 : -1);
  return column[at]?.dataset.wp;
}

function onItem(event, item) {
  if (event.key === "Enter" || event.key === " ") choose(item.dataset.wp);
  else if (!event.key.startsWith("Arrow")) return false;
  else if (item.classList.contains("row")) {
    const next = event.key === "ArrowDown" ? item.nextElementSibling : event.key === "ArrowUp" ? item.previousElementSibling : null;
    if (next?.classList.contains("row")) focus(next);
  } else {
    const next = neighbour(item.dataset.wp, event.key);
    if (next !== undefined) focus(cards.get(next));
  }
  return true;
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") {
    if (document.activeElement === byId("search") && byId("search").value) byId("search").value = "";
    choose(null);
    filter();
    return;
  }
  if (event.target.closest("input, select, button, #details")) return;
  const item = event.target.closest(".card, .row");
  const moves = { ArrowLeft: [-0.12, 0], ArrowRight: [0.12, 0], ArrowUp: [0, -0.12], ArrowDown: [0, 0.12] };
  if (item && onItem(event, item)) event.preventDefault();
  else if (event.key === "/") byId("search").focus();
  else if (event.key === "+" || event.key === "=") zoom(0.8);
  else if (event.key === "-") zoom(1.25);
  else if (event.key === "0") fit();
  else if (moves[event.key] && !stage.hidden) move(...moves[event.key]);
  else return;
  event.preventDefault();
}

// ---- Begin.

function options(select, values) {
  for (const [value, words] of values) select.append(element("option", words, { value }));
}

function begin() {
  document.body.classList.add("live");
  options(byId("wave"), Array.from({ length: data.waves }, (_, wave) => [String(wave + 1), String(wave + 1)]));
  options(byId("lane"), data.lanes.map((lane) => [lane, lane]));
  options(byId("state"), Object.entries(data.styles).map(([name, style]) => [name, style.label]));
  byId("state-label").hidden = !recorded;
  if (!data.moments.length) byId("view").querySelector('[value="actual"]').remove();
  byId("moment").max = data.moments.length;
  for (const id of ["controls", "keys"]) byId(id).hidden = false;
  byId("history").hidden = !data.moments.length;
  picture.removeAttribute("role");
  for (const card of cards.values()) {
    card.setAttribute("role", "button");
    card.setAttribute("tabindex", -1);
  }
  cards.values().next().value?.setAttribute("tabindex", 0);
  byId("search").addEventListener("input", filter);
  byId("controls").addEventListener("submit", (event) => {
    event.preventDefault();
    const [first] = shown;
    if (first !== undefined) choose(first);
  });
  for (const id of ["wave", "lane", "state"]) byId(id).addEventListener("change", filter);
  byId("view").addEventListener("change", () => show(byId("view").value));
  byId("closer").addEventListener("click", () => zoom(0.75));
  byId("farther").addEventListener("click", () => zoom(1 / 0.75));
  byId("fit").addEventListener("click", fit);
  byId("moment").addEventListener("input", () => goToMoment(Number(byId("moment").value)));
  byId("earlier").addEventListener("click", () => goToMoment(position - 1));
  byId("later").addEventListener("click", () => goToMoment(position + 1));
  byId("gantt").addEventListener("click", (event) => choose(event.target.closest(".row")?.dataset.wp ?? null));
  document.addEventListener("keydown", onKey);
  window.addEventListener("resize", () => (stage.hidden ? drawGantt() : look(seen)));
  listenToPointer();
  measure();
  tell();
  fit();
  choose.width = stage.getBoundingClientRect().width;
}

begin();
