// Where windows lie: integer arithmetic along one axis, and the page's only knowledge of sizes.
// It says the same as convlens/geometry.py, and is tested against it.

export class Axis {
  constructor(size, window, stride, dilation, before, after, partial = false) {
    Object.assign(this, { size, window, stride, dilation, before, after, partial });
  }

  // Pixels from the first tap of a window to its last, both included.
  get reach() {
    return (this.window - 1) * this.dilation + 1;
  }

  // Pixels and padding together.
  get padded() {
    return this.before + this.size + this.after;
  }

  // Whether the last window is a partial one: it hangs over, but starts on a pixel.
  get hangsOver() {
    const room = this.padded - this.reach;
    const whole = Math.floor(room / this.stride);
    const rest = room - whole * this.stride;
    return this.partial && rest > 0 && (whole + 1) * this.stride < this.before + this.size;
  }

  // How many windows there are; 0 or less when not even one fits.
  get outputs() {
    return Math.floor((this.padded - this.reach) / this.stride) + 1 + Number(this.hangsOver);
  }

  // Cells to draw: all that is padded, and what the last window hangs over it.
  get cells() {
    const reached = this.outputs > 0 ? (this.outputs - 1) * this.stride + this.reach : 0;
    return Math.max(this.padded, reached);
  }

  // The pixel under a tap; below 0, or from `size` on, it is padding.
  pixel(output, tap) {
    return output * this.stride + tap * this.dilation - this.before;
  }

  isPixel(pixel) {
    return pixel >= 0 && pixel < this.size;
  }

  // A pixel or a cell of padding; what a partial window hangs over is neither.
  isCell(pixel) {
    return pixel >= -this.before && pixel < this.size + this.after;
  }

  // How many taps of a window lie on pixels, or with `padding` on padding as well.
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

// Cells of padding before and after an axis, for a padding word or a pair of numbers. "same" makes
// ceil(size / stride) outputs, the odd cell after; "full" lets the window touch with a single tap.
export function resolvePadding(padding, size, window, stride, dilation) {
  const reach = (window - 1) * dilation + 1;
  if (padding === "valid") return [0, 0];
  if (padding === "full") return [reach - 1, reach - 1];
  if (padding === "same") {
    const outputs = Math.ceil(size / stride);
    const total = Math.max(0, (outputs - 1) * stride + reach - size);
    return [Math.floor(total / 2), total - Math.floor(total / 2)];
  }
  return padding;
}

// The pixel that a padded cell takes its value from, or -1 where it is a zero. The names are
// numpy.pad's: constant, edge, reflect, symmetric, wrap.
export function source(pixel, size, padMode) {
  if (pixel >= 0 && pixel < size) return pixel;
  if (padMode === "constant") return -1;
  if (padMode === "edge") return pixel < 0 ? 0 : size - 1;
  const modulo = (a, b) => ((a % b) + b) % b;
  if (padMode === "wrap") return modulo(pixel, size);
  // A mirror image repeats after a way there and back; "reflect" turns on the last pixel,
  // "symmetric" behind it.
  const turn = padMode === "reflect" ? size - 1 : size;
  if (turn === 0) return 0;
  const position = modulo(pixel, 2 * turn);
  return position < size ? position : 2 * turn - position - Number(padMode === "symmetric");
}

// For every output and tap the pixel it meets, or -1: entry output * window + tap.
export function sources(axis, padMode) {
  const table = new Int32Array(Math.max(0, axis.outputs) * axis.window);
  for (let output = 0, n = 0; output < axis.outputs; output++) {
    for (let tap = 0; tap < axis.window; tap++, n++) {
      table[n] = source(axis.pixel(output, tap), axis.size, padMode);
    }
  }
  return table;
}
