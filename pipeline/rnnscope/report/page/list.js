// The list of sequences to choose from.
function listed() {
  const label = byId("of-class").value;
  const outcome = byId("of-outcome").value;
  const rows = shown.filter((each) =>
    (label === "" || String(each.label) === label) &&
    (outcome === "" || String(each.correct) === outcome));
  const by = byId("list-order").value;
  return rows.sort((a, b) => (by === "loss" ? b.loss - a.loss : by === "length" ? b.length - a.length
    : by === "short" ? a.length - b.length : 0) || a.number - b.number);
}

const listedText = () => `${count(listed().length)} of ${count(shown.length)} sequences`;

function drawList() {
  const rows = listed();
  byId("list").replaceChildren(...rows.map((sequence) => {
    const wrong = sequence.correct === false ? "wrong" : "";
    const text = sequence.label === undefined || sequence.label === null
      ? `${sequence.number}` : className(sequence.label);
    return element("button", {
      type: "button", className: `choice ${wrong}`, title: named(sequence),
      onclick: (event) => show(sequence, event.shiftKey || byId("side").checked ? 1 : 0),
      "data-sequence": sequence.number,
    }, thumbnail(sequence), element("span", { className: "caption" }, text,
      wrong ? ` → ${className(sequence.prediction)}` : ""));
  }));
  byId("listed").textContent = listedText();
  markChosen();
}

// One stop for the Tab key; arrow keys go from sequence to sequence.
function walkList(event) {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const buttons = [...byId("list").children];
  const next = buttons[buttons.indexOf(document.activeElement) + step];
  if (!next) return;
  event.preventDefault();
  next.focus();
  next.click();
}

function markChosen() {
  const [a, b] = view.panes;
  const buttons = [...byId("list").children];
  const first = buttons.find((each) => Number(each.dataset.sequence) === a.number) ?? buttons[0];
  for (const button of buttons) {
    const n = Number(button.dataset.sequence);
    button.tabIndex = button === first ? 0 : -1;
    button.setAttribute("aria-pressed", n === a.number || (b?.run === own && n === b.number));
  }
  byId("sequence").value = a.number;
}
