// Draws a signal: a bar for each sample, up or down from zero, and its number below if there is room.
import { SIGNED_STOPS, css } from "./colours.js";

// The lowest and the highest number that bars for these lists reach; zero is always among them.
export function rangeOf(...lists) {
  let [low, high] = [0, 0];
  for (const list of lists) {
    for (const value of list) [low, high] = [Math.min(low, value), Math.max(high, value)];
  }
  return [low, low === high ? 1 : high];
}

// Draws the one row of a grid whose cells are `cell` wide and `tall` high, in device pixels. The lowest
// `strip` of it is left to the numbers.
export function drawBars(context, grid, cell, tall, strip, edge, theme) {
  const [low, high] = grid.range;
  const [top, room] = [edge + 2, tall - strip - 4];
  const height = (value) => top + ((high - value) / (high - low)) * room;
  const zero = Math.round(height(0));
  const gap = cell >= 5 ? Math.max(1, Math.round(cell / 8)) : 0;
  for (let column = -grid.left; column < grid.across - grid.left; column++) {
    const value = grid.read(column);
    const end = Math.round(height(value));
    context.fillStyle = css(value < 0 ? SIGNED_STOPS[1] : SIGNED_STOPS[3]);
    context.fillRect(edge + (column + grid.left) * cell + gap, Math.min(zero, end), cell - 2 * gap, Math.max(1, Math.abs(end - zero)));
  }
  context.fillStyle = theme.soft;
  context.fillRect(edge, zero, grid.across * cell, 1);
}
