// Writes the program that computes the page's output, for each of several libraries. A program
// starts from `image`, (h, w) or (h, w, c), and defines `output`, (oh, ow) or (oh, ow, c).
import { course, jax, numpy, numpySignal, pytorch, pytorchSignal, scipy, tensorflow } from "./libraries.js";
import { kernelLines, pair, pairOrInt, pairs, rowKernel } from "./lines.js";
import { isPooling, windowOf } from "./state.js";

export const LIBRARIES = ["convlens", "Course files", "NumPy", "SciPy", "PyTorch", "TensorFlow", "JAX"];

// Returns { code, note } for operations in a row: the program, or null if the library has no such call,
// and a remark. Each operation is { state, image, rows, columns }.
export function programFor(library, chain) {
  const programs = chain.map((link, n) => programForOne(library, link, n));
  if (programs.length === 1) return programs[0];
  const missing = programs.find(({ code }) => code === null);
  if (missing) return missing;
  const lines = programs.map(({ code }) => code.trim().split("\n"));
  const isImport = (line) => /^(import|from) /.test(line);
  const imports = [...new Set(lines.flat().filter(isImport))].sort((a, b) => a.includes("convlens") - b.includes("convlens"));
  const bodies = lines.map((some, n) => some.filter((line) => !isImport(line) && (n === 0 || !line.startsWith("# Run"))).join("\n").trim());
  const note = [...new Set(programs.map((program) => program.note))].filter(Boolean).join(" ");
  return { code: `${imports.join("\n").replace("\nimport convlens", "\n\nimport convlens")}\n\n${bodies.join("\n\n")}\n`, note };
}

function programForOne(library, { state, image, bank, rows, columns }, n) {
  const p = facts(state, bank?.image ?? image, rows, columns, n);
  if (image.signal) return programForSignal(library, p);
  const write = {
    convlens, "Course files": course, NumPy: numpy, SciPy: scipy, PyTorch: pytorch, TensorFlow: tensorflow, JAX: jax,
  }[library];
  const { code, note } = written(write(p));
  return { code, note: p.several ? `${note} The page shows output[..., ${state.kernel}].`.trim() : note };
}

function written({ lines, note }) {
  return { code: lines && `${lines.flat().filter((line) => line !== null).join("\n")}\n`, note: note ?? "" };
}

// The program for a signal, which starts from `samples`, (w,), and defines `output`, (ow,). NumPy and
// PyTorch have calls for one axis too; the others take the signal as a picture of one row.
function programForSignal(library, p) {
  const own = { convlens: convlensSignal, NumPy: numpySignal, PyTorch: pytorchSignal }[library]?.(p);
  if (own) return written(own);
  const write = { "Course files": course, NumPy: numpy, SciPy: scipy, PyTorch: pytorch, TensorFlow: tensorflow, JAX: jax }[library];
  const { lines, note } = write({ ...p, heading: `${p.heading}\nimage = samples[np.newaxis]  # a picture of one row` });
  return written({ lines: lines && [...lines.flat(), "output = output[0]"].flat(), note });
}

// The facts about the call that the programs are written from.
function facts(state, image, rows, columns, n) {
  const { operation, layers, flip, stride, dilation, padding, padMode, countPadding, kernels, groups } = state;
  const several = state.colour === "several";
  const [colour, goal] = several ? ["summed", null] : [state.colour, state.goal];
  const pads = [[rows.before, rows.after], [columns.before, columns.after]];
  const hang = [rows, columns].map((axis) => axis.cells - axis.padded);
  const shape = image.signal ? `(${image.w},)` : image.c === 1 ? `(${image.h}, ${image.w})` : `(${image.h}, ${image.w}, ${image.c})`;
  return {
    operation, colour, layers, goal, flip, stride, dilation, padding, padMode, countPadding, pads, hang, image,
    partial: rows.partial, window: windowOf(state), outputs: [rows.outputs, columns.outputs],
    reach: [rows.reach, columns.reach], pooling: isPooling(state), coloured: image.c > 1,
    padded: pads.flat().some(Boolean), zeros: isPooling(state) || padMode === "constant",
    even: pads.every(([before, after]) => before === after),
    hanging: hang.some(Boolean), dilated: dilation.some((n) => n > 1), strided: stride.some((n) => n > 1),
    back: state.operation === "convolve" && state.pin?.[0] === "input" && !several,
    several, kernels, groups, name: several ? "kernels" : "kernel",
    axes: several ? `, ${image.c / groups}, ${kernels.length}` : colour === "summed" ? `, ${image.c}` : "", // of a kernel, after (kh, kw)
    heading: `${n === 0 ? `# ${image.signal ? "samples" : "image"}:` : `${image.signal ? "samples" : "image"} = output  # for operation ${n + 1}:`} ${shape}${several ? ", red, green, blue and brightness" : ""}`,
  };
}

function convlens(p) {
  const options = [];
  if (p.pooling) {
    options.push(pairOrInt(p.window));
    if (String(p.stride) !== String(p.window)) options.push(`stride=${pairOrInt(p.stride)}`);
    if (p.operation !== "max") options.push(`mode="${p.operation}"`);
  } else {
    options.push(p.name);
  }
  const usual = p.pooling ? "valid" : "same";
  if (p.padding !== usual) options.push(`padding=${typeof p.padding === "string" ? `"${p.padding}"` : pairs(p.padding)}`);
  if (!p.pooling && p.strided) options.push(`stride=${pairOrInt(p.stride)}`);
  if (p.dilated) options.push(`dilation=${pairOrInt(p.dilation)}`);
  if (!p.zeros) options.push(`pad_mode="${p.padMode}"`);
  if (p.operation === "avg" && p.countPadding) options.push("count_padding=True");
  if (p.pooling && p.partial) options.push("partial=True");
  if (p.several && p.groups > 1) options.push(`groups=${p.groups}`);
  const alone = p.coloured && (p.pooling || p.colour === "each"); // three axes would be a batch
  const call = `convlens.${p.pooling ? "pool" : "convolve"}(image${alone ? "[np.newaxis]" : ""}, ${options.join(", ")})${alone ? "[0]" : ""}`;
  // A pixel that is pinned asks for the way back.
  const back = p.back ? `back = convlens.convolve_transpose(output${alone ? "[np.newaxis]" : ""}, ${["kernel", pair([p.image.h, p.image.w]), ...options.slice(1)].join(", ")})${alone ? "[0]" : ""}` : null;
  const learned = p.goal ? stepLines(p, kernelLines({ ...p, layers: p.goal }), alone ? "image[np.newaxis]" : "image", options.slice(1), alone) : [];
  const imports = p.pooling && !alone ? ["import convlens"] : ["import numpy as np", "", "import convlens"];
  return { lines: [imports, "", p.heading, p.pooling ? [] : kernelLines(p), `output = ${call}`, back, learned].flat() };
}

function convlensSignal(p) {
  const [before, after] = p.pads[1];
  const pads = p.padding === "causal" || typeof p.padding !== "string" ? pair([before, after]) : `"${p.padding}"`;
  const options = [p.pooling ? String(p.window[1]) : "kernel"];
  if (p.padding !== (p.pooling ? "valid" : "same")) options.push(`padding=${pads}`);
  if (p.pooling ? p.stride[1] !== p.window[1] : p.stride[1] > 1) options.push(`stride=${p.stride[1]}`);
  if (p.pooling && p.operation !== "max") options.push(`mode="${p.operation}"`);
  if (p.dilation[1] > 1) options.push(`dilation=${p.dilation[1]}`);
  if (!p.zeros) options.push(`pad_mode="${p.padMode}"`);
  if (p.operation === "avg" && p.countPadding) options.push("count_padding=True");
  if (p.pooling && p.partial) options.push("partial=True");
  options.push("space=1");
  const back = ["kernel", p.image.w, ...options.slice(1)].join(", ");
  return {
    lines: [p.pooling ? "import convlens" : ["import numpy as np", "", "import convlens"], "", p.heading, p.pooling ? [] : rowKernel(p),
      `output = convlens.${p.pooling ? "pool" : "convolve"}(samples, ${options.join(", ")})`,
      p.back ? `back = convlens.convolve_transpose(output, ${back})` : null,
      p.goal ? stepLines(p, rowKernel({ ...p, layers: p.goal }), "samples", options.slice(1), false) : []].flat(),
    note: p.padding === "causal" ? `Causal: ${before} in front, none behind.` : "",
  };
}

// Lines that define the loss and its gradient by the kernel, while the page shows how one is learned.
function stepLines(p, kernel, image, options, alone) {
  const rest = options.length ? `, ${options.join(", ")}` : "";
  const turn = p.image.signal ? "[::-1]" : "[::-1, ::-1]";
  return ["", ...kernel.map((line) => line.replaceAll("kernel", "goal")),
    `error = output - convlens.convolve(${image}, goal${rest})${alone ? "[0]" : ""}`,
    "loss = np.mean(error**2)",
    `gradient = 2 / error.size * convlens.kernel_gradient(${image}, error${alone ? "[np.newaxis]" : ""}, kernel.shape${rest})`,
    p.flip ? `gradient = gradient${turn}  # by the numbers before they were turned` : null];
}
