// The lines of Python that the programs of several libraries have in common. They are written from the facts
// about a call, which code.js gathers.

export const pair = ([a, b]) => `(${a}, ${b})`;
export const pairOrInt = ([a, b]) => (a === b ? String(a) : pair([a, b]));
export const pairs = ([a, b]) => `(${pair(a)}, ${pair(b)})`;
export const list = (values) => `[${values.join(", ")}]`;

// The kernel as an array: (kh, kw), or (kh, kw, c) if the channels are summed.
export function kernelLines(p) {
  const turned = p.flip ? [`${p.name} = ${p.name}[::-1, ::-1]  # turned by 180°, as mathematics defines convolution`] : [];
  return [...(p.several ? severalLines(p) : unturnedLines(p)), ...turned];
}

function unturnedLines({ layers, colour, image }) {
  const rows = (layer, indent) => layer.map(list).join(`,\n${" ".repeat(indent)}`);
  if (colour !== "summed") return [`kernel = np.array([${rows(layers[0], 19)}])`];
  if (layers.length === 1) {
    return [`kernel = np.array([${rows(layers[0], 19)}])`,
      `kernel = np.stack([kernel] * ${image.c}, axis=-1)  # (kh, kw, c): the same for each channel`];
  }
  const each = layers.map((layer) => `    [${rows(layer, 5)}],`);
  return ["kernel = np.stack([", ...each, "], axis=-1)  # (kh, kw, c)"];
}

// Several kernels: a line for each layer, which is a kernel's for one of the channels that it meets or, if
// no kernel has more than one, for all of them.
function severalLines({ kernels, groups, image }) {
  const count = image.c / groups;
  const line = (layer) => list(layer.map(list));
  if (kernels.every((layers) => layers.length === 1)) {
    return ["kernels = np.array([", ...kernels.map(([layer]) => `    ${line(layer)},`), "])  # (nc, kh, kw)",
      `kernels = np.stack([kernels${count > 1 ? `] * ${count}` : "]"}).transpose(2, 3, 0, 1)  # (kh, kw, c, nc)${count > 1 ? ": the same for each channel" : ""}`];
  }
  const all = kernels.map((layers) => {
    const each = layers.length === 1 ? Array(count).fill(layers[0]) : layers;
    return `    [${each.map(line).join(",\n     ")}],`;
  });
  return ["kernels = np.array([", ...all, "]).transpose(2, 3, 1, 0)  # (kh, kw, c, nc)"];
}

export const rowKernel = (p) => [`kernel = np.array(${list(p.layers[0][0])})`,
  ...(p.flip ? ["kernel = kernel[::-1]  # turned around, as mathematics defines convolution"] : [])];

// Lines that define `output` as a call's result, or as those of all groups side by side if the library
// has no call for groups. `call(images, kernels)` writes the call; the channels are the axis `axis` of `images`.
export function groupedLines(p, images, axis, call, after = "") {
  if (p.groups === 1) return [`output = ${call(images, "kernels")}${after}`];
  return [`groups = zip(np.split(${images}, ${p.groups}, axis=${axis}), np.split(kernels, ${p.groups}, axis=3))`,
    `output = np.concatenate([${call("part", "some")} for part, some in groups], axis=-1)${after}`];
}

// Lines that define `padded`, the image with its padding.
export function padLine(p, picture = "image") {
  const sides = [...p.pads.map(pair), ...(p.coloured ? ["(0, 0)"] : [])].join(", ");
  return `padded = np.pad(${picture}, (${sides})${p.zeros ? "" : `, mode="${p.padMode}"`})`;
}

// Lines that define the image of a pooling as floats, with padding that takes no part: infinite
// for max and min, NaN for averages.
export function poolPadLines(p) {
  const sides = (pads) => [...pads.map(pair), ...(p.coloured ? ["(0, 0)"] : [])].join(", ");
  const hanging = p.hang.map((cells) => [0, cells]);
  const filled = { max: "-np.inf", min: "np.inf", avg: "np.nan" }[p.operation];
  if (p.operation === "avg" && p.countPadding) {
    return ["padded = image.astype(float)", p.padded ? `padded = np.pad(padded, (${sides(p.pads)}))  # zeros, which count` : null,
      p.hanging ? `padded = np.pad(padded, (${sides(hanging)}), constant_values=np.nan)  # beyond: these do not` : null];
  }
  const all = p.pads.map(([before, after], n) => [before, after + p.hang[n]]);
  if (!all.flat().some(Boolean)) return ["padded = image.astype(float)"];
  return [`padded = np.pad(image.astype(float), (${sides(all)}), constant_values=${filled})`];
}

// The image is (1, c, h, w) for kernels that sum the channels, (c, 1, h, w) for channels apart.
export function batch(p, picture, channelsFirst) {
  if (!p.coloured) return channelsFirst ? `${picture}[None, None]` : `${picture}[None, ..., None]`;
  if (p.colour === "summed") return channelsFirst ? `${picture}.transpose(2, 0, 1)[None]` : `${picture}[None]`;
  return channelsFirst ? `${picture}.transpose(2, 0, 1)[:, None]` : `${picture}.transpose(2, 0, 1)[..., None]`;
}

export const unbatch = (p, channelsFirst) => {
  if (p.several) return `output = np.asarray(y)[0]${channelsFirst ? ".transpose(1, 2, 0)" : ""}`;
  const first = p.coloured && p.colour !== "summed" ? ":" : "0";
  const pick = channelsFirst ? `[${first}, 0]` : `[${first}, ..., 0]`;
  return `output = np.asarray(y)${pick}${first === ":" ? ".transpose(1, 2, 0)" : ""}`;
};
