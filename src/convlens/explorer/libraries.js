// Writes the programs of all libraries but convlens, for pictures and, where a library has calls for one
// axis, for signals. Each returns { lines, note }; the lines are null if the library has no such call.
import { batch, groupedLines, kernelLines, list, padLine, pair, poolPadLines, rowKernel, unbatch } from "./lines.js";
import { metBy } from "./state.js";

export function course(p) {
  const head = (file) => [
    "import numpy as np", "", "# Run this in math/convolutions_and_pooling.", `course = __import__("${file}")`, "", p.heading,
  ];
  if (p.pooling) {
    if (p.padded || p.dilated || p.hanging) {
      return { lines: null, note: "The course's pool has neither padding nor dilation, and leaves out windows that hang over." };
    }
    const images = p.coloured ? "image[np.newaxis]" : "image[np.newaxis, ..., np.newaxis]  # (1, h, w, 1)";
    const mode = p.operation === "avg" ? "avg" : "max";
    const sign = p.operation === "min" ? "-" : "";
    return {
      lines: [head("6-pool"), `images = ${images}`,
        sign && "images = -images.astype(float)  # the smallest is minus the largest of the negatives",
        `output = ${sign}course.pool(images, ${pair(p.window)}, ${pair(p.stride)}, "${mode}")[0${p.coloured ? "" : ", ..., 0"}]`,
      ].map((line) => (line === "" ? null : line)),
    };
  }
  const summed = p.colour === "summed";
  const given = p.even && p.zeros;
  const lines = [];
  if (p.dilated) {
    lines.push("# The course files know no dilation; zeros between the taps do the same.",
      `spread = np.zeros((${p.reach.join(", ")}${p.axes}))`,
      `spread[::${p.dilation[0]}, ::${p.dilation[1]}] = ${p.name}`, `${p.name} = spread`);
  }
  if (p.padded && !given) lines.push(padLine(p));
  const picture = p.padded && !given ? "padded" : "image";
  const images = p.colour === "each"
    ? `images = ${picture}.transpose(2, 0, 1)  # each channel as an image of its own`
    : `images = ${picture}[np.newaxis]`;
  lines.push(images);
  const padding = p.padded && given ? pair([p.pads[0][0], p.pads[1][0]]) : null;
  if (p.several) {
    const call = (some, kernels) => `course.convolve(${some}, ${kernels}, ${padding ?? '"valid"'}, ${pair(p.stride)})`;
    return { lines: [head("5-convolve"), kernelLines(p), lines, groupedLines(p, "images", 3, call, "[0]")] };
  }
  let file, call;
  if (summed) {
    file = "4-convolve_channels";
    call = `convolve_channels(images, kernel, ${padding ?? '"valid"'}, ${pair(p.stride)})`;
  } else if (p.strided) {
    file = "3-convolve_grayscale";
    call = `convolve_grayscale(images, kernel, ${padding ?? '"valid"'}, ${pair(p.stride)})`;
  } else if (padding) {
    file = "2-convolve_grayscale_padding";
    call = `convolve_grayscale_padding(images, kernel, ${padding})`;
  } else {
    file = "0-convolve_grayscale_valid";
    call = "convolve_grayscale_valid(images, kernel)";
  }
  lines.push(`output = course.${call}${p.colour === "each" ? ".transpose(1, 2, 0)" : "[0]"}`);
  const note = p.padding === "same" && (p.strided || !p.even)
    ? "In the course files \"same\" keeps the picture's size at every stride and puts an odd zero first, so here the padding is given." : "";
  return { lines: [head(file), kernelLines(p), lines], note };
}

export function numpy(p) {
  const steps = `[${p.stride.map((n) => `::${n}`).join(", ")}]`;
  const shape = p.coloured ? "(oh, ow, c, kh, kw)" : "(oh, ow, kh, kw)";
  const taps = p.dilated ? `windows = windows[..., ::${p.dilation[0]}, ::${p.dilation[1]}]  # the taps` : null;
  const windows = [
    `windows = np.lib.stride_tricks.sliding_window_view(padded, ${pair(p.reach)}${p.coloured ? ", axis=(0, 1)" : ""})`,
    p.strided ? `windows = windows${steps}  # the stride; ${shape}` : null, taps,
  ];
  const head = ["import numpy as np", "", p.heading];
  if (p.pooling) {
    const reduce = { max: "windows.max", min: "windows.min", avg: "np.nanmean" }[p.operation];
    const first = p.operation === "avg" ? "windows, " : "";
    return { lines: [head, poolPadLines(p), windows, `output = ${reduce}(${first}axis=(-2, -1))`] };
  }
  if (p.several) {
    const call = (some, kernels) => `np.einsum("yxcij,ijcn->yxn", ${some}, ${kernels})`;
    return { lines: [head, kernelLines(p), p.padded ? padLine(p) : "padded = image", windows, groupedLines(p, "windows", 2, call)] };
  }
  const letters = { gray: "yxij,ij->yx", summed: "yxcij,ijc->yx", each: "yxcij,ij->yxc" }[p.colour];
  return { lines: [head, kernelLines(p), p.padded ? padLine(p) : "padded = image", windows, `output = np.einsum("${letters}", windows, kernel)`] };
}

export function numpySignal(p) {
  if (p.pooling || p.dilated) return null;
  const mode = p.zeros ? "" : `, mode="${p.padMode}"`;
  return {
    lines: ["import numpy as np", "", p.heading, ...rowKernel(p),
      p.padded ? `padded = np.pad(samples, ${pair(p.pads[1])}${mode})` : "padded = samples",
      `windows = np.lib.stride_tricks.sliding_window_view(padded, ${p.window[1]})${p.strided ? `[::${p.stride[1]}]` : ""}  # (ow, kw)`,
      "output = windows @ kernel"],
    note: p.strided ? "" : "np.correlate(padded, kernel, \"valid\") is the same; np.convolve would turn the kernel around.",
  };
}

export function scipy(p) {
  const head = ["import numpy as np", "from scipy import signal", "", p.heading];
  const steps = `[::${p.stride[0]}, ::${p.stride[1]}]`;
  const spread = (name, value, axes = "") => [
    `spread = np.zeros((${p.reach.join(", ")}${axes}))`, `spread[::${p.dilation[0]}, ::${p.dilation[1]}] = ${value}`, `${name} = spread`,
  ];
  if (p.pooling) {
    if (p.operation !== "avg") {
      const filter = p.operation === "max" ? "maximum_filter" : "minimum_filter";
      const footprint = `footprint = np.zeros(${pair(p.reach)}, bool)`;
      return {
        lines: ["import numpy as np", "from scipy import ndimage", "", p.heading, poolPadLines(p), footprint,
          `footprint[::${p.dilation[0]}, ::${p.dilation[1]}] = True`,
          p.coloured ? "footprint = footprint[..., np.newaxis]" : null,
          `everywhere = ndimage.${filter}(padded, footprint=footprint, mode="nearest")`,
          `output = everywhere[${[0, 1].map((n) => `${Math.floor(p.reach[n] / 2)}::${p.stride[n]}`).join(", ")}][:${p.outputs[0]}, :${p.outputs[1]}]`],
        note: "SciPy has no stride: it pools around every pixel, of which the last line keeps some.",
      };
    }
    return {
      lines: [head, spread("window", "1"), p.coloured ? "window = window[..., np.newaxis]" : null, poolPadLines(p),
        "counted = ~np.isnan(padded)",
        `sums = signal.correlate(np.nan_to_num(padded), window, mode="valid", method="direct")${steps}`,
        `counts = signal.correlate(counted.astype(float), window, mode="valid", method="direct")${steps}`,
        "output = sums / counts"],
      note: "SciPy has no stride and no average over part of a window: sums and counts are taken everywhere, and some are kept.",
    };
  }
  const each = p.colour === "each";
  const padded = p.padded ? padLine(p, "image.astype(float)") : "padded = image.astype(float)  # small integers would wrap around";
  if (p.several) {
    const [first, count] = [p.kernels.map((_, n) => metBy(n, p.groups)[0]), p.image.c / p.groups];
    return {
      lines: [head, kernelLines(p), p.dilated ? spread("kernels", "kernels", p.axes) : null, padded, "output = np.stack([",
        `    signal.correlate(padded[:, :, c:c + ${count}], kernels[..., n], mode="valid", method="direct")[::${p.stride[0]}, ::${p.stride[1]}, 0]`,
        `    for n, c in enumerate(${list(first)})`, "], axis=-1)"],
      note: "SciPy takes one kernel a call.",
    };
  }
  return {
    lines: [head, kernelLines(p), p.dilated ? spread("kernel", "kernel", p.axes) : null, padded,
      each ? "kernel = kernel[..., np.newaxis]  # the same on each channel" : null,
      `everywhere = signal.correlate(padded, kernel, mode="valid", method="direct")`,
      `output = everywhere${p.colour === "summed" ? `[::${p.stride[0]}, ::${p.stride[1]}, 0]` : steps}`],
    note: p.strided ? "SciPy has no stride: the last line keeps some of all results."
      : p.flip ? "signal.convolve turns the kernel itself; here correlate takes the turned one." : "signal.convolve would turn the kernel by 180°; correlate does not.",
  };
}

export function pytorch(p) {
  const head = ["import numpy as np", "import torch", "import torch.nn.functional as F", "", p.heading];
  const [[top, bottom], [left, right]] = p.pads;
  const ends = `(${left}, ${right}, ${top}, ${bottom})`;
  if (p.pooling) {
    const small = p.pads.every(([before], n) => 2 * before <= p.window[n]);
    const direct = p.even && small;
    if (p.operation === "avg" && (p.dilated || (p.padded && !direct && !p.countPadding) || (p.hanging && !direct))) {
      return { lines: null, note: "PyTorch's avg_pool2d has no dilation, and only the same padding of at most half a window on both sides." };
    }
    const sign = p.operation === "min" ? "-" : "";
    const lines = [`x = ${sign}torch.tensor(${batch(p, "image", true)}, dtype=torch.float64)`];
    const options = [pair(p.window), `stride=${pair(p.stride)}`];
    if (p.padded && direct) options.push(`padding=${pair([top, left])}`);
    else if (p.padded) lines.push(`x = F.pad(x, ${ends}${p.operation === "avg" ? "" : ', value=float("-inf")'})`);
    if (p.dilated) options.push(`dilation=${pair(p.dilation)}`);
    if (p.hanging && direct) options.push("ceil_mode=True");
    else if (p.hanging) lines.push(`x = F.pad(x, (0, ${p.hang[1]}, 0, ${p.hang[0]}), value=float("-inf"))`);
    if (p.operation === "avg" && p.padded) options.push(`count_include_pad=${p.countPadding ? "True" : "False"}`);
    lines.push(`y = ${sign}F.${p.operation === "avg" ? "avg" : "max"}_pool2d(x, ${options.join(", ")})`);
    return { lines: [head, lines, unbatch(p, true)] };
  }
  const known = { reflect: "reflect", edge: "replicate", wrap: "circular" }[p.padMode];
  const most = [p.image.h, p.image.w].map((size) => ({ reflect: size - 1, wrap: size }[p.padMode] ?? Infinity));
  const padHere = p.padded && !p.zeros && known && p.pads.every((ends, n) => Math.max(...ends) <= most[n]);
  const padBefore = p.padded && !p.zeros && !padHere;
  const lines = [padBefore ? padLine(p) : null];
  lines.push(`x = torch.tensor(${batch(p, padBefore ? "padded" : "image", true)}, dtype=torch.float64)`);
  if (padHere) lines.push(`x = F.pad(x, ${ends}, mode="${known}")`);
  else if (p.padded && p.zeros && !p.even) lines.push(`x = F.pad(x, ${ends})`);
  const kernels = p.several ? "kernels.transpose(3, 2, 0, 1)" : p.colour === "summed" ? "kernel.transpose(2, 0, 1)[None]" : "kernel[None, None]";
  const weight = p.flip ? `${kernels}.copy()` : kernels; // PyTorch takes no array that runs backwards
  const options = ["x", "weight"];
  if (p.strided) options.push(`stride=${pair(p.stride)}`);
  if (p.padded && p.zeros && p.even) options.push(`padding=${pair([top, left])}`);
  if (p.dilated) options.push(`dilation=${pair(p.dilation)}`);
  if (p.several && p.groups > 1) options.push(`groups=${p.groups}`);
  lines.push(`weight = torch.tensor(${weight}, dtype=torch.float64)  # (nc, c, kh, kw)`, `y = F.conv2d(${options.join(", ")})`);
  const notes = [];
  if (p.padding === "same" && p.strided) notes.push("PyTorch's padding=\"same\" exists at stride 1 only, so here the padding is given.");
  if (padBefore) notes.push(known ? "F.pad mirrors or wraps once around at most, so NumPy pads." : "PyTorch does not know this border, so NumPy pads.");
  return { lines: [head, kernelLines(p), lines, unbatch(p, true)], note: notes.join(" ") };
}

export function pytorchSignal(p) {
  if (p.pooling) return null;
  const options = [p.strided ? `, stride=${p.stride[1]}` : "", p.dilated ? `, dilation=${p.dilation[1]}` : ""].join("");
  return {
    lines: ["import numpy as np", "import torch", "import torch.nn.functional as F", "", p.heading, ...rowKernel(p),
      p.padded ? `padded = np.pad(samples, ${pair(p.pads[1])}${p.zeros ? "" : `, mode="${p.padMode}"`})` : "padded = samples",
      "x = torch.tensor(padded[None, None], dtype=torch.float64)  # (m, c, w)",
      "weight = torch.tensor(kernel[None, None].copy(), dtype=torch.float64)  # (nc, c, kw)",
      `output = F.conv1d(x, weight${options})[0, 0].numpy()`],
  };
}

export function tensorflow(p) {
  const head = ["import numpy as np", "import tensorflow as tf", "", p.heading];
  const word = p.padding === "same" ? "SAME" : "VALID";
  const [[top, bottom], [left, right]] = p.pads;
  if (p.pooling) {
    const counted = p.operation === "avg" && p.countPadding;
    const needsPad = p.padded && (word !== "SAME" || counted);
    if (p.dilated || p.hanging || (needsPad && p.operation === "avg" && !counted)) {
      return { lines: null, note: "TensorFlow's pooling has no dilation with a stride, keeps no windows that hang over, and leaves padding out of averages with \"SAME\" alone." };
    }
    const sign = p.operation === "min" ? "-" : "";
    const filled = p.operation === "avg" ? "0.0" : 'float("-inf")';
    const op = p.operation === "avg" ? "avg_pool2d" : "max_pool2d";
    return {
      lines: [head, `x = ${sign}tf.constant(${batch({ ...p, colour: "each" }, "image", false)}, tf.float64)`,
        needsPad ? `x = tf.pad(x, [[0, 0], [${top}, ${bottom}], [${left}, ${right}], [0, 0]], constant_values=${filled})` : null,
        `y = ${sign}tf.nn.${op}(x, ${pair(p.window)}, ${pair(p.stride)}, "${needsPad ? "VALID" : word}")`, unbatch(p, false)],
      note: `In Keras: keras.layers.${p.operation === "avg" ? "AveragePooling2D" : "MaxPooling2D"}(${pair(p.window)}, strides=${pair(p.stride)}, padding="${word.toLowerCase()}").`,
    };
  }
  const padBefore = p.padded && !p.zeros;
  const padding = !p.padded || padBefore ? '"VALID"' : word === "SAME" ? '"SAME"'
    : `[[0, 0], [${top}, ${bottom}], [${left}, ${right}], [0, 0]]`;
  const filters = p.several ? "kernels" : p.colour === "summed" ? "kernel[..., None]" : "kernel[..., None, None]";
  return {
    lines: [head, kernelLines(p), padBefore ? padLine(p) : null,
      `x = tf.constant(${batch(p, padBefore ? "padded" : "image", false)}, tf.float64)`,
      `filters = tf.constant(${filters}, tf.float64)  # (kh, kw, c, nc)`,
      `y = tf.nn.conv2d(x, filters, ${pair(p.stride)}, ${padding}${p.dilated ? `, dilations=${pair(p.dilation)}` : ""})`, unbatch(p, false)],
    note: `In Keras: keras.layers.Conv2D(${p.several ? p.kernels.length : 1}, ${pair(p.window)}, strides=${pair(p.stride)}, padding="${word.toLowerCase()}"${p.several && p.groups > 1 ? `, groups=${p.groups}` : ""}), whose kernel is learned` +
      `${p.dilated && p.strided ? ", but which takes no stride together with dilation" : ""}. "SAME" means what it means here.`,
  };
}

export function jax(p) {
  const head = ["import jax.numpy as jnp", "import numpy as np", "from jax import lax", "", p.heading];
  const pads = `[${p.pads.map(pair).join(", ")}]`;
  if (p.pooling) {
    const hung = p.pads.map(([before, after], n) => [before, after + p.hang[n]]);
    const four = (name, values) => `${name} = (1, ${values.join(", ")}, 1)`;
    const lines = [
      `x = jnp.asarray(${batch({ ...p, colour: "each" }, "image", false)}, float)`,
      four("window", p.window), four("strides", p.stride), four("dilation", p.dilation),
    ];
    const all = `[(0, 0), ${hung.map(pair).join(", ")}, (0, 0)]`;
    const call = (x, start, op, padding) =>
      `lax.reduce_window(${x}, ${start}, ${op}, window, strides, ${padding}, window_dilation=dilation)`;
    if (p.operation !== "avg") {
      const start = p.operation === "max" ? "-jnp.inf" : "jnp.inf";
      return { lines: [head, lines, `y = ${call("x", start, `lax.${p.operation}`, all)}`, unbatch(p, false)] };
    }
    const ones = p.countPadding ? `jnp.pad(jnp.ones_like(x), [(0, 0), ${p.pads.map(pair).join(", ")}, (0, 0)], constant_values=1.0)` : "jnp.ones_like(x)";
    const left = p.countPadding ? `[(0, 0), ${p.hang.map((cells) => pair([0, cells])).join(", ")}, (0, 0)]` : all;
    return {
      lines: [head, lines, `counted = ${ones}`, `sums = ${call("x", "0.0", "lax.add", all)}`,
        `y = sums / ${call("counted", "0.0", "lax.add", left)}`, unbatch(p, false)],
    };
  }
  const padBefore = p.padded && !p.zeros;
  const filters = p.several ? "kernels" : p.colour === "summed" ? "kernel[..., None]" : "kernel[..., None, None]";
  const word = p.padding === "same" && !padBefore ? '"SAME"' : !p.padded || padBefore ? '"VALID"' : pads;
  return {
    lines: [head, kernelLines(p), padBefore ? padLine(p) : null,
      `x = jnp.asarray(${batch(p, padBefore ? "padded" : "image", false)}, float)`,
      `filters = jnp.asarray(${filters}, float)  # (kh, kw, c, nc)`,
      `y = lax.conv_general_dilated(x, filters, ${pair(p.stride)}, ${word}${p.dilated ? `, rhs_dilation=${pair(p.dilation)}` : ""},`,
      `                             dimension_numbers=("NHWC", "HWIO", "NHWC")${p.several && p.groups > 1 ? `, feature_group_count=${p.groups}` : ""})`, unbatch(p, false)],
    note: "JAX computes in float32 unless told otherwise.",
  };
}
