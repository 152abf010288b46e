// Saves the output as a PNG, and the sliding window as an animated PNG, a PNG of several frames:
// https://www.w3.org/TR/png-3/#apng-frame-based-animation

export function saveAs(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

// Makes an animated PNG of a canvas, on which `draw(n)` draws frame n.
export async function animation(canvas, frames, milliseconds, draw) {
  const { width, height } = canvas;
  const parts = [Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10)];
  parts.push(chunk("IHDR", integers([4, width], [4, height], [1, 8], [1, 2], [1, 0], [1, 0], [1, 0])));
  parts.push(chunk("acTL", integers([4, frames], [4, 0])));
  let sequence = 0;
  for (let n = 0; n < frames; n++) {
    draw(n);
    const control = [[4, sequence++], [4, width], [4, height], [4, 0], [4, 0], [2, milliseconds], [2, 1000], [1, 0], [1, 0]];
    parts.push(chunk("fcTL", integers(...control)));
    const pixels = await deflated(scanlines(canvas));
    if (n === 0) parts.push(chunk("IDAT", pixels));
    else parts.push(chunk("fdAT", joined([integers([4, sequence++]), pixels])));
  }
  parts.push(chunk("IEND", new Uint8Array(0)));
  return new Blob(parts, { type: "image/png" });
}

// The canvas as PNG scanlines of RGB. Each begins with the number of its filter: 1 stands for
// differences from the pixel before, which compress well.
function scanlines(canvas) {
  const { width, height } = canvas;
  const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
  const lines = new Uint8Array(height * (1 + 3 * width));
  for (let y = 0, to = 0; y < height; y++) {
    lines[to++] = 1;
    for (let x = 0, from = 4 * y * width; x < width; x++, from += 4) {
      for (let k = 0; k < 3; k++) lines[to++] = data[from + k] - (x ? data[from + k - 4] : 0);
    }
  }
  return lines;
}

async function deflated(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// The bytes of unsigned integers, given as [number of bytes, value], most significant byte first.
function integers(...fields) {
  return Uint8Array.from(fields.flatMap(([bytes, value]) =>
    Array.from({ length: bytes }, (_, n) => (value >>> (8 * (bytes - 1 - n))) & 255)));
}

function joined(parts) {
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  parts.reduce((at, part) => (all.set(part, at), at + part.length), 0);
  return all;
}

function chunk(type, data) {
  const named = joined([Uint8Array.from(type, (letter) => letter.charCodeAt(0)), data]);
  return joined([integers([4, data.length]), named, integers([4, crc(named)])]);
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

function crc(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = CRC_TABLE[(value ^ byte) & 255] ^ (value >>> 8);
  return ~value >>> 0;
}
