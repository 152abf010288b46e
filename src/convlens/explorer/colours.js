// Turns numbers into colours. Numbers that may be negative get a diverging map, blue below zero and
// orange above, which people with any kind of colour vision can tell apart; zero always has the
// same pale colour. Other numbers go from black to white.
export const SIGNED_STOPS = [[20, 62, 125], [118, 164, 213], [243, 240, 233], [238, 166, 98], [143, 66, 4]];

// A scale says how numbers are coloured: whether they are signed, and which magnitude gets the full
// colour.
export function scaleOf(data, signed, high) {
  let limit = 0;
  for (const value of data) limit = Math.max(limit, Math.abs(value));
  return { signed, limit: (signed ? limit : Math.max(limit, high)) || 1 };
}

// A picture's scale does not depend on its pixels, from 0 to its white, unless it is signed: then
// its largest magnitude gets the full colour.
export function pictureScale(picture) {
  return picture.signed ? scaleOf(picture.data, true, 0) : { signed: false, limit: picture.high };
}

export function colourOf(value, { signed, limit }) {
  const part = value / limit;
  if (!signed) return GRAYS[Math.round(255 * Math.min(1, Math.max(0, part)))];
  return SIGNED[Math.round(HALF * (Math.min(1, Math.max(-1, part)) + 1))];
}

// Both maps are tables, so that a large grid is coloured quickly.
const GRAYS = Array.from({ length: 256 }, (_, n) => [n, n, n]);
const HALF = 512;
const SIGNED = Array.from({ length: 2 * HALF + 1 }, (_, entry) => {
  const place = (entry / (2 * HALF)) * (SIGNED_STOPS.length - 1);
  const n = Math.min(SIGNED_STOPS.length - 2, Math.floor(place));
  return SIGNED_STOPS[n].map((from, k) => Math.round(from + (SIGNED_STOPS[n + 1][k] - from) * (place - n)));
});

// The single colour of three channels. If the numbers are signed, grey stands for zero.
export function mixedColour(values, { signed, limit }) {
  return values.map((value) => {
    const part = signed ? (value / limit + 1) / 2 : value / limit;
    return Math.round(255 * Math.min(1, Math.max(0, part)));
  });
}

// Black or white, whichever reads better on a colour (WCAG's relative luminance).
export function inkOn([r, g, b]) {
  const linear = (part) => (part / 255 <= 0.03928 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4);
  const luminance = 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  return luminance > 0.179 ? "#000" : "#fff";
}

export const css = ([r, g, b]) => `rgb(${r} ${g} ${b})`;
export const SIGNED_GRADIENT = `linear-gradient(90deg, ${SIGNED_STOPS.map(css).join(", ")})`;
