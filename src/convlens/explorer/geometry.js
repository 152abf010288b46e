// The integer arithmetic of where windows lie along one axis. All sizes on the page come from here.
// The tests compare it with convlens/core/axis.py, which defines the same.

export class Axis {
  constructor(size, window, stride, dilation, before, after, partial = false) {
    Object.assign(this, { size, window, stride, dilation, before, after, partial });
  }

  // The number of cells from the first tap of a window to its last, both included.
  get reach() {
    return (this.window - 1) * this.dilation + 1;
  }

  // The number of pixels and padding cells.
  get padded() {
    return this.before + this.size + this.after;
  }

  // Whether there is a partial window, which starts on a pixel and hangs over the end.
  get hangsOver() {
    const room = this.padded - this.reach;
    const whole = Math.floor(room / this.stride);
    const rest = room - whole * this.stride;
    return this.partial && rest > 0 && (whole + 1) * this.stride < this.before + this.size;
  }

  // The number of windows; 0 or less if not even one fits.
  get outputs() {
    return Math.floor((this.padded - this.reach) / this.stride) + 1 + Number(this.hangsOver);
  }

  // The number of cells to draw: pixels, padding, and what a partial window hangs over.
  get cells() {
    const reached = this.outputs > 0 ? (this.outputs - 1) * this.stride + this.reach : 0;
    return Math.max(this.padded, reached);
  }

  // The pixel under a tap; numbers below 0, or from `size` on, are padding.
  pixel(output, tap) {
    return output * this.stride + tap * this.dilation - this.before;
  }

  isPixel(pixel) {
    return pixel >= 0 && pixel < this.size;
  }

  // Whether this is a pixel or a cell of padding; what a partial window hangs over is neither.
  isCell(pixel) {
    return pixel >= -this.before && pixel < this.size + this.after;
  }

  // The number of a window's taps that lie on pixels, or with `padding` on padding as well.
  count(output, padding = false) {
    let count = 0;
    for (let tap = 0; tap < this.window; tap++) {
      const pixel = this.pixel(output, tap);
      count += Number(padding ? this.isCell(pixel) : this.isPixel(pixel));
    }
    return count;
  }

  // The first output whose window lies on padding alone, or null.
  withoutPixels() {
    for (let output = 0; output < this.outputs; output++) {
      if (this.count(output) === 0) return output;
    }
    return null;
  }
}

// The cells of padding before and after an axis, for a padding word or a pair of numbers. "same"
// gives ceil(size / stride) outputs and puts the odd cell after; with "full" the outermost windows
// touch the image with a single tap; with "causal" a window ends at its own place, and none sees what
// comes later.
export function resolvePadding(padding, size, window, stride, dilation) {
  const reach = (window - 1) * dilation + 1;
  if (padding === "valid") return [0, 0];
  if (padding === "full") return [reach - 1, reach - 1];
  if (padding === "causal") return [reach - 1, 0];
  if (padding === "same") {
    const outputs = Math.ceil(size / stride);
    const total = Math.max(0, (outputs - 1) * stride + reach - size);
    return [Math.floor(total / 2), total - Math.floor(total / 2)];
  }
  return padding;
}

// The pixel that a padded cell takes its value from, or -1 if the cell holds zero. The modes have
// numpy.pad's names: constant, edge, reflect, symmetric, wrap.
export function source(pixel, size, padMode) {
  if (pixel >= 0 && pixel < size) return pixel;
  if (padMode === "constant") return -1;
  if (padMode === "edge") return pixel < 0 ? 0 : size - 1;
  const modulo = (a, b) => ((a % b) + b) % b;
  if (padMode === "wrap") return modulo(pixel, size);
  // A mirror image repeats itself after going there and back. "reflect" turns on the last pixel,
  // "symmetric" behind it, which takes that pixel twice.
  const turn = padMode === "reflect" ? size - 1 : size;
  if (turn === 0) return 0;
  const position = modulo(pixel, 2 * turn);
  return position < size ? position : 2 * turn - position - Number(padMode === "symmetric");
}

// What an output of several operations in a row sees along an axis, where nothing is cut off: a field of
// `size` pixels, of which it meets `met`; that of the next output lies `step` pixels further on.
export function fieldOf(axes) {
  let [offsets, step] = [[0], 1];
  for (const axis of axes) {
    const taps = Array.from({ length: axis.window }, (_, tap) => tap * axis.dilation * step);
    offsets = [...new Set(offsets.flatMap((offset) => taps.map((tap) => offset + tap)))];
    step *= axis.stride;
  }
  return { size: Math.max(...offsets) + 1, met: offsets.length, step };
}

// The pixel that each tap of each output meets, or -1, at index output * window + tap.
export function sources(axis, padMode) {
  const table = new Int32Array(Math.max(0, axis.outputs) * axis.window);
  for (let output = 0, n = 0; output < axis.outputs; output++) {
    for (let tap = 0; tap < axis.window; tap++, n++) {
      table[n] = source(axis.pixel(output, tap), axis.size, padMode);
    }
  }
  return table;
}
