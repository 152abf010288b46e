// The guided tour explains one idea in each step: it sets the page up and says one sentence about
// what is to be seen there.
const EDGES = [[1, 0, -1], [1, 0, -1], [1, 0, -1]];
const BASE = {
  operation: "convolve", layers: [EDGES], window: [2, 2], stride: [1, 1], dilation: [1, 1], padding: "valid",
  padMode: "constant", countPadding: false, partial: false, colour: "gray", layer: "all", picture: "edge",
  side: 32, fit: "scaled", at: [2, 1], pin: null,
};

// `show` names the part of the page that a step is about.
export const STEPS = [
  { title: "Picture", show: "input", state: { ...BASE, at: [0, 0], pin: ["input", 3, 2] },
    sentence: "A picture is a grid of numbers, one for each pixel: here 9 is bright and 0 is black." },
  { title: "Window", show: "input", state: { ...BASE, layers: [[[0, 0, 0], [0, 1, 0], [0, 0, 0]]], at: [2, 1] },
    sentence: "A window is a small patch of the picture, here the outlined 3 × 3 pixels, and each place it can take makes one pixel of the output." },
  { title: "Kernel", show: "worked", state: { ...BASE },
    sentence: "A kernel has a number for each pixel of the window: multiply each pair and add the products up, and the sum, here left minus right, is one output." },
  { title: "Sliding", show: "output", play: true, state: { ...BASE, at: [0, 0] },
    sentence: "The window slides over every place where it fits, row by row, and the output fills up: it is large where the brightness changes." },
  { title: "Padding", show: "input", state: { ...BASE, padding: "same", at: [0, 0] },
    sentence: "Without help the output is smaller than the picture, so padding puts a border of extra cells around it, here zeros, and the window can be centred on the corners too." },
  { title: "Stride", show: "output", state: { ...BASE, padding: "same", stride: [2, 2], at: [1, 1] },
    sentence: "The stride is how many pixels the window moves each time: with a stride of 2 it skips every other place, so the output has half the rows and half the columns." },
  { title: "Channels", show: "worked", state: {
    ...BASE, picture: "cat", side: 16, colour: "summed", padding: "valid", at: [5, 4],
    layers: [[[1, 0, -1], [1, 0, -1], [1, 0, -1]], [[0, 0, 0], [0, 0, 0], [0, 0, 0]], [[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]]] },
    sentence: "A colour picture has three channels, red, green and blue; the kernel has a layer for each, and all products of all layers add up to one number." },
  { title: "Pooling", show: "output", state: { ...BASE, operation: "max", picture: "digit", stride: [2, 2], at: [1, 3] },
    sentence: "Pooling has no kernel: max pooling keeps the largest number of each window, and with windows side by side a quarter of the pixels remain." },
  { title: "Your turn", show: "picture", state: { ...BASE, picture: "digit", padding: "same", at: [7, 6] },
    sentence: "Everything here can be changed, so draw a digit, open a photograph, or type another number into the kernel and watch what happens." },
];
