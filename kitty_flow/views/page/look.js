// ---- Pan and zoom: the viewBox is what is seen.

let home = { x: 0, y: 0, width: 1, height: 1 };
let seen = home;
const shortIds = data.workPackages.every((each) => each.id.length <= 6);

/** All that is drawn, once the title (which the page has itself) is hidden. */
function measure() {
  const box = picture.getBBox();
  home = { x: box.x - 16, y: box.y - 16, width: box.width + 32, height: box.height + 32 };
}

function look(view) {
  const size = stage.getBoundingClientRect();
  const ratio = size.width && size.height ? size.height / size.width : 1;
  const width = Math.min(Math.max(view.width, 120), 4 * Math.max(home.width, home.height / ratio));
  const height = width * ratio;
  const x = Math.min(Math.max(view.x, home.x - width * 0.8), home.x + home.width - width * 0.2);
  const y = Math.min(Math.max(view.y, home.y - height * 0.8), home.y + home.height - height * 0.2);
  seen = { x, y, width, height };
  picture.setAttribute("viewBox", `${x} ${y} ${width} ${height}`);
  // From far away only large ids and symbols can be read.
  stage.classList.toggle("far", shortIds && size.width / width < 0.45);
}

function fit() {
  const size = stage.getBoundingClientRect();
  const ratio = size.height / size.width || 1;
  const width = Math.max(home.width, home.height / ratio);
  look({ x: home.x + (home.width - width) / 2, y: home.y + Math.min(0, (home.height - width * ratio) / 2), width });
}

function zoom(factor, clientX, clientY) {
  const size = stage.getBoundingClientRect();
  const rightwards = clientX === undefined ? 0.5 : (clientX - size.left) / size.width;
  const downwards = clientY === undefined ? 0.5 : (clientY - size.top) / size.height;
  const width = seen.width * factor;
  const height = seen.height * factor;
  look({ x: seen.x + (seen.width - width) * rightwards, y: seen.y + (seen.height - height) * downwards, width });
}

function move(rightwards, downwards) {
  look({ ...seen, x: seen.x + seen.width * rightwards, y: seen.y + seen.height * downwards });
}

/** Bring a card into view, large enough to be read. */
function goTo(id) {
  if (stage.hidden) return;
  const box = cards.get(id).getBoundingClientRect();
  const size = stage.getBoundingClientRect();
  const inside = box.left >= size.left && box.right <= size.right && box.top >= size.top && box.bottom <= size.bottom;
  if (inside && box.width >= 110) return;
  const scale = seen.width / size.width;
  const x = seen.x + (box.left + box.width / 2 - size.left) * scale;
  const y = seen.y + (box.top + box.height / 2 - size.top) * scale;
  const width = box.width >= 110 ? seen.width : size.width;
  look({ x: x - width / 2, y: y - (width * size.height) / size.width / 2, width });
}

function listenToPointer() {
  let last = null;
  let travelled = 0;
  stage.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    last = event;
    travelled = 0;
  });
  stage.addEventListener("pointermove", (event) => {
    if (last === null || event.pointerId !== last.pointerId) return;
    const scale = seen.width / stage.getBoundingClientRect().width;
    travelled += Math.abs(event.clientX - last.clientX) + Math.abs(event.clientY - last.clientY);
    if (travelled > 4 && !stage.classList.contains("moving")) {
      stage.classList.add("moving");
      stage.setPointerCapture(event.pointerId);
    }
    look({ ...seen, x: seen.x - (event.clientX - last.clientX) * scale, y: seen.y - (event.clientY - last.clientY) * scale });
    last = event;
  });
  const stop = () => {
    last = null;
    stage.classList.remove("moving");
  };
  stage.addEventListener("pointerup", stop);
  stage.addEventListener("pointercancel", stop);
  stage.addEventListener("click", (event) => {
    if (travelled > 4) return;
    const card = event.target.closest(".card");
    if (card) choose(card.dataset.wp);
    else choose(null);
  });
  stage.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const lines = event.deltaMode === 1 ? 16 : 1;
      zoom(Math.exp(Math.max(-240, Math.min(240, event.deltaY * lines)) / 400), event.clientX, event.clientY);
    },
    { passive: false },
  );
}
