// The parts that the page's forms are made of.

export const $ = (id) => document.getElementById(id);

// Shows what went wrong, in a line at the top of the page.
export const say = (text) => ($("notice").textContent = text);

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

// Makes a field for whole numbers. It accepts a number within its limits, and shows the last one
// again if it is left with anything else.
export function whole(id, accept) {
  const field = $(id);
  field.addEventListener("input", () => {
    const value = Number(field.value);
    const right = field.value !== "" && Number.isInteger(value) && value >= Number(field.min) && value <= Number(field.max);
    field.setAttribute("aria-invalid", String(!right));
    if (right) accept(value);
  });
  field.addEventListener("blur", () => field.dispatchEvent(new Event("settle")));
  let shown = "";
  const show = (value) => {
    shown = String(value);
    if (document.activeElement !== field || Number(field.value) !== value) field.value = shown;
    field.setAttribute("aria-invalid", "false");
  };
  field.addEventListener("settle", () => {
    field.value = shown;
    field.setAttribute("aria-invalid", "false");
  });
  return show;
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
