// The parts that the page's forms are made of.

export const $ = (id) => document.getElementById(id);

// Shows what went wrong with a picture or a link, above everything else, until it is dismissed.
export const say = (text) => ($("notice").textContent = text);
$("notice-close").addEventListener("click", () => say(""));

// Says something about a control, right below it and over the page, so that nothing moves. The next
// key or press takes it away.
export function remark(control, text) {
  const bubble = $("remark");
  bubble.textContent = text;
  const { left, bottom } = control.getBoundingClientRect();
  const right = document.documentElement.clientWidth - bubble.offsetWidth - 8;
  bubble.style.left = `${Math.max(8, Math.min(left, right)) + scrollX}px`;
  bubble.style.top = `${bottom + scrollY + 6}px`;
}
for (const kind of ["keydown", "pointerdown"]) addEventListener(kind, () => ($("remark").textContent = ""), true);

export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// Makes a row of buttons of which one is chosen: radio buttons or tabs. The Tab key stops once for
// the row, and arrow keys move inside it. `options` are [value, label]; show(value, refused) marks
// the chosen button and disables those that `refused` gives a reason for.
export function choice(container, options, choose, { role = "radio", mark = "aria-checked" } = {}) {
  const buttons = options.map(([value, label]) => {
    const button = element("button", { type: "button" });
    if (label instanceof Node) button.append(label);
    else button.textContent = label;
    button.setAttribute("role", role);
    button.dataset.value = value;
    button.addEventListener("click", () => choose(value));
    return button;
  });
  container.replaceChildren(...buttons);
  container.onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const open = buttons.filter((button) => !button.disabled);
    const at = open.indexOf(document.activeElement);
    if (!step || at < 0) return;
    event.preventDefault();
    event.stopPropagation();
    const next = open[(at + step + open.length) % open.length];
    next.focus();
    next.click();
  };
  return {
    buttons,
    show(value, refused = {}) {
      buttons.forEach((button, n) => {
        const chosen = options[n][0] === value;
        button.setAttribute(mark, String(chosen));
        button.tabIndex = chosen ? 0 : -1;
        button.disabled = options[n][0] in refused;
        button.title = refused[options[n][0]] ?? "";
      });
    },
  };
}

// Makes a field for whole numbers, whose label tells its limits. It accepts a number within them, and
// shows the last one again, and says so, if it is left with anything else.
export function whole(id, accept) {
  const field = $(id);
  field.before(element("span", { className: "limits", textContent: `${field.min} to ${field.max}` }));
  const isRight = () => field.value !== "" && Number.isInteger(Number(field.value)) && field.checkValidity();
  field.addEventListener("input", () => {
    field.setAttribute("aria-invalid", String(!isRight()));
    if (isRight()) accept(Number(field.value));
    else if (field.value !== "") remark(field, `This takes whole numbers from ${field.min} to ${field.max}.`);
  });
  let shown = "";
  const show = (value) => {
    shown = String(value);
    if (document.activeElement !== field || Number(field.value) !== value) field.value = shown;
    field.setAttribute("aria-invalid", "false");
  };
  field.addEventListener("blur", () => {
    if (!isRight()) remark(field, `It is ${shown} still: this takes whole numbers from ${field.min} to ${field.max}.`);
    field.value = shown;
    field.setAttribute("aria-invalid", "false");
  });
  return show;
}

// Lets the Tab key stop at an element as long as it is too narrow for what is in it, so that keys can
// scroll it.
const overflows = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const box = target.closest("[data-scrolls]");
    if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
});
export function scrolls(box, content, name) {
  box.dataset.scrolls = "";
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", name);
  for (const each of [box, ...content]) overflows.observe(each);
}

const restoring = new WeakMap(); // for each button the timer that restores its label
export async function copy(text, button) {
  const label = button.dataset.label ?? button.textContent;
  button.dataset.label = label;
  let done = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // A notebook's sandbox forbids the clipboard, but not to copy a selection.
    const area = element("textarea", { value: text, readOnly: true, className: "hidden" });
    document.body.append(area);
    area.select();
    done = document.execCommand("copy");
    area.remove();
  }
  button.textContent = done ? "Copied" : "Could not copy";
  clearTimeout(restoring.get(button));
  restoring.set(button, setTimeout(() => (button.textContent = label), 1600));
}
