// What all parts of the page share. Text from the mission is only ever written with textContent or as an attribute.

const data = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg";
const byId = (id) => document.getElementById(id);
const stage = byId("stage");
const picture = stage.querySelector("svg");
const packages = new Map(data.workPackages.map((each) => [each.id, each]));
const cards = new Map([...picture.querySelectorAll(".card")].map((card) => [card.dataset.wp, card]));
const arrows = [...picture.querySelectorAll(".arrow[data-from]")];
const recorded = data.moments.length > 0 || data.workPackages.some((each) => each.state !== null);
const states = new Map(data.workPackages.map((each) => [each.id, each.state]));
let shown = new Set(packages.keys());
const painted = new Map();
let chosen = null;
let position = data.moments.length;

function element(tag, words, properties) {
  const made = document.createElement(tag);
  if (words !== undefined && words !== null) made.textContent = words;
  return Object.assign(made, properties);
}

function drawn(tag, attributes, words) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (words !== undefined) made.textContent = words;
  return made;
}

const known = (state) => Object.hasOwn(data.styles, state ?? "");
const label = (state) => (known(state) ? data.styles[state].label : state === null ? "not recorded yet" : state.replaceAll("_", " "));
const stateClass = (state) => "s-" + (state === null ? "none" : known(state) ? state : "other");
const symbol = (state) => (known(state) ? data.styles[state].symbol : "M-2.5 0H2.5");
