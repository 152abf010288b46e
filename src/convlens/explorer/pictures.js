// Makes pictures: samples, those that Python passed on, and those that users open or draw. Large
// ones are reduced to a size that can be looked at. A picture is { id, name, h, w, c, data, high,
// signed }, with data (h, w, c) row by row, channels last; `high` is the number drawn white.

export const SIDES = [16, 32, 64, 128]; // pixels: the sizes to choose from for large pictures
export const KEPT = 512; // pixels: an opened file is reduced to this on its longer side
const MOST_PIXELS = 64e6;
const MOST_BYTES = 64e6;
export const DRAWING = 16; // the side of the drawing canvas, in pixels
export const INK = 9; // the number of a fully drawn pixel; an empty one is 0

export function makePicture(id, name, h, w, c, data, high = 255) {
  return { id, name, h, w, c, data, high, signed: data.some((value) => value < 0) };
}

// The ink at each pixel of a drawing. Its strokes are lists of points [x, y], in pixels.
export function inked(strokes, side = DRAWING, radius = 1.05) {
  const data = new Uint8Array(side * side); // (side, side)
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      let nearest = Infinity;
      for (const stroke of strokes) {
        stroke.forEach((to, n) => {
          nearest = Math.min(nearest, distance([x + 0.5, y + 0.5], stroke[Math.max(0, n - 1)], to));
        });
      }
      data[y * side + x] = Math.round(INK * Math.min(1, Math.max(0, radius + 0.5 - nearest)));
    }
  }
  return data;
}

// The distance of a point from a line segment.
function distance([x, y], [ax, ay], [bx, by]) {
  const length = (bx - ax) ** 2 + (by - ay) ** 2;
  const along = length ? Math.min(1, Math.max(0, ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length)) : 0;
  return Math.hypot(x - ax - along * (bx - ax), y - ay - along * (by - ay));
}

const FIVE = [
  [[11.6, 3], [5.6, 3], [5.1, 7.4], [6.6, 6.7], [8.4, 6.5], [10.3, 7.2], [11.4, 8.8], [11.3, 10.7],
    [10, 12.4], [8, 13.1], [6, 12.8], [4.3, 11.7]],
];

// The samples that are made here and need no photograph.
export function drawnSamples() {
  const edge = [];
  for (const row of [[8, 8, 7, 1, 0], [8, 9, 7, 1, 1], [9, 8, 8, 0, 1], [8, 8, 7, 1, 0], [9, 9, 8, 1, 1]]) {
    edge.push(...row, row[3], row[4], row[3]);
  }
  edge.push(...edge.slice(0, 24)); // (8, 8)
  const dot = new Uint8Array(49);
  dot[24] = 1;
  const count = Uint8Array.from({ length: 36 }, (_, n) => n + 1);
  return [
    makePicture("digit", "A five, drawn by hand", DRAWING, DRAWING, 1, inked(FIVE), INK),
    makePicture("edge", "Bright left, dark right", 8, 8, 1, Uint8Array.from(edge), 9),
    makePicture("count", "1 to 36", 6, 6, 1, count, 36),
    makePicture("dot", "One bright pixel", 7, 7, 1, dot, 1),
  ];
}

// A picture that Python wrote into the page, as bytes or 64-bit floats in base64.
export function givenPicture({ id, name, shape, type, data, high, note, signal = false }) {
  const bytes = fromBase64(data);
  const numbers = type === "u1" ? bytes : new Float64Array(bytes.buffer);
  const picture = makePicture(id, name, ...shape, numbers, high);
  return { ...picture, note, signal, signed: picture.signed || signal };
}

export function fromBase64(text) {
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
}

export function toBase64(bytes) {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

export class Unreadable extends Error {}

// Reads an image file as a picture of at most KEPT pixels a side, or throws Unreadable, which says
// why it cannot.
export async function openFile(file) {
  const name = file.name || "pasted picture";
  if (file.size > MOST_BYTES) {
    throw new Unreadable(`“${name}” has ${Math.round(file.size / 1e6)} MB; the page takes up to ${MOST_BYTES / 1e6} MB.`);
  }
  const address = URL.createObjectURL(file);
  try {
    const image = new Image();
    image.src = address;
    await image.decode().catch(() => {
      throw new Unreadable(`“${name}” could not be read as a picture; PNG, JPEG, GIF, WebP and BMP work.`);
    });
    const [w, h] = [image.naturalWidth, image.naturalHeight];
    if (!w || !h) throw new Unreadable(`“${name}” has no size of its own; save it as a PNG first.`);
    if (w * h > MOST_PIXELS) {
      throw new Unreadable(`“${name}” is ${h} × ${w} pixels; the page takes up to ${MOST_PIXELS / 1e6} million.`);
    }
    const shrink = Math.max(1, Math.max(w, h) / KEPT);
    const [kw, kh] = [Math.max(1, Math.round(w / shrink)), Math.max(1, Math.round(h / shrink))];
    const canvas = new OffscreenCanvas(kw, kh);
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(image, 0, 0, kw, kh);
    const clear = context.getImageData(0, 0, kw, kh).data.some((value, n) => n % 4 === 3 && value < 255);
    context.globalCompositeOperation = "destination-over"; // what is transparent becomes white
    context.fillStyle = "#fff";
    context.fillRect(0, 0, kw, kh);
    const picture = fromPixels("own", name, context.getImageData(0, 0, kw, kh));
    picture.note = [
      shrink > 1 && `Opened at ${kh} × ${kw}; the file has ${h} × ${w} pixels.`,
      clear && "What is transparent in it is white here.",
      ...lost(new Uint8Array(await file.arrayBuffer())),
      picture.c > 1 && "It has colours; Channels says how they are used.",
    ].filter(Boolean).join(" ");
    return picture;
  } finally {
    URL.revokeObjectURL(address);
  }
}

// What a browser leaves out of a file: bits of its numbers, and frames after the first.
function lost(bytes) {
  const text = String.fromCharCode(...bytes.subarray(0, 32));
  const start = bytes.subarray(0, 1e6); // where both formats announce an animation
  const has = (...part) => start.some((_, n) => part.every((byte, k) => start[n + k] === byte));
  const letters = (word) => has(...Array.from(word, (letter) => letter.charCodeAt(0)));
  const png = text.slice(1, 4) === "PNG";
  const frames = text.startsWith("GIF8") ? framesOfGif(bytes)
    : Number((png && letters("acTL")) || (text.slice(8, 12) === "WEBP" && letters("ANMF"))) + 1;
  return [
    png && bytes[24] === 16 && "The file has 16 bits for each number, 0 to 65535; browsers keep 8, so the page has 0 to 255.",
    frames > 1 && "The file is an animation; this is its first frame.",
  ];
}

// The number of frames of a GIF, up to two: https://www.w3.org/Graphics/GIF/spec-gif89a.txt
function framesOfGif(bytes) {
  const palette = (flags) => (flags & 128 ? 3 << ((flags & 7) + 1) : 0);
  let [at, frames] = [13 + palette(bytes[10]), 0];
  const skipBlocks = () => {
    while (bytes[at]) at += bytes[at] + 1;
    at++;
  };
  while (frames < 2 && (bytes[at] === 0x21 || bytes[at] === 0x2c)) {
    if (bytes[at] === 0x2c) {
      frames++;
      at += 11 + palette(bytes[at + 9]); // the descriptor, its palette, and the size of codes
    } else {
      at += 2;
    }
    skipBlocks();
  }
  return frames;
}

// A picture of three channels, or of one if the three are equal everywhere.
function fromPixels(id, name, { width, height, data }) {
  const colours = new Uint8Array(width * height * 3);
  let gray = true;
  for (let n = 0; n < width * height; n++) {
    for (let k = 0; k < 3; k++) colours[3 * n + k] = data[4 * n + k];
    gray &&= data[4 * n] === data[4 * n + 1] && data[4 * n] === data[4 * n + 2];
  }
  if (!gray) return makePicture(id, name, height, width, 3, colours);
  return makePicture(id, name, height, width, 1, colours.filter((_, n) => n % 3 === 0));
}

export function toGray(picture) {
  if (picture.c === 1) return picture;
  const whole = picture.data instanceof Uint8Array;
  const data = new (whole ? Uint8Array : Float64Array)(picture.h * picture.w);
  for (let n = 0; n < data.length; n++) {
    const [r, g, b] = picture.data.subarray(3 * n, 3 * n + 3);
    const value = (299 * r + 587 * g + 114 * b) / 1000; // ITU-R BT.601
    data[n] = whole ? Math.round(value) : value;
  }
  return { ...picture, c: 1, data };
}

export const CHANNEL_NAMES = ["Red", "Green", "Blue", "Brightness"];

// A colour picture with its brightness as a fourth channel.
export function withBrightness(picture) {
  const gray = toGray(picture);
  const data = new picture.data.constructor(4 * gray.data.length);
  gray.data.forEach((value, n) => data.set([...picture.data.subarray(3 * n, 3 * n + 3), value], 4 * n));
  return { ...picture, c: 4, data, names: CHANNEL_NAMES };
}

// Some channels of a picture, which keeps the colours that it is drawn in.
export const channelsOf = (picture, first, count) => ({
  ...picture, c: count, names: picture.names.slice(first, first + count), whole: picture,
  data: picture.data.filter((_, n) => n % picture.c >= first && n % picture.c < first + count),
});

export const isLarge = (picture, side) => !picture.signal && Math.max(picture.h, picture.w) > side;

// Reduces a large picture to at most `side` pixels a side: either scales it, each pixel the mean of
// those it stands for, or takes the part whose upper left corner is [row, column].
export function fitted(picture, side, fit, corner) {
  if (!isLarge(picture, side)) return picture;
  if (fit === "region") {
    const [h, w] = [Math.min(side, picture.h), Math.min(side, picture.w)];
    const top = Math.min(corner[0], picture.h - h);
    const left = Math.min(corner[1], picture.w - w);
    const rows = [];
    for (let y = top; y < top + h; y++) {
      const first = (y * picture.w + left) * picture.c;
      rows.push(...picture.data.subarray(first, first + w * picture.c));
    }
    return { ...picture, h, w, data: picture.data.constructor.from(rows) };
  }
  const shrink = Math.max(picture.h, picture.w) / side;
  const [h, w] = [picture.h, picture.w].map((size) => Math.max(1, Math.round(size / shrink)));
  const data = new picture.data.constructor(h * w * picture.c);
  for (let y = 0; y < h; y++) {
    const [y0, y1] = [y, y + 1].map((n) => Math.round((n * picture.h) / h));
    for (let x = 0; x < w; x++) {
      const [x0, x1] = [x, x + 1].map((n) => Math.round((n * picture.w) / w));
      for (let k = 0; k < picture.c; k++) {
        let sum = 0;
        for (let row = y0; row < y1; row++) {
          for (let column = x0; column < x1; column++) sum += picture.data[(row * picture.w + column) * picture.c + k];
        }
        const mean = sum / ((y1 - y0) * (x1 - x0));
        data[(y * w + x) * picture.c + k] = data instanceof Uint8Array ? Math.round(mean) : mean;
      }
    }
  }
  return { ...picture, h, w, data };
}
