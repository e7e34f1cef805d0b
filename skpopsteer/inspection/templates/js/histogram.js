// Pictures of a card: how strongly a neuron fires, and where a number stands.

import { format, svg } from "./dom.js";

const WIDTH = 240;
const HEIGHT = 56;

export function histogram(counts, peak) {
  const highest = Math.max(1, ...counts);
  const step = WIDTH / counts.length;
  const words =
    `Histogram of the activation where the neuron fires: ${counts.length} bins from 0 ` +
    `to ${format(peak)}, counts ${counts.join(", ")}`;
  const bars = counts.map((count, i) => {
    // A single row would not be seen otherwise.
    const height = count ? Math.max(1.5, (HEIGHT * count) / highest) : 0;
    return svg("rect", {
      x: (i * step + 0.5).toFixed(2), y: (HEIGHT - height).toFixed(2),
      width: (step - 1).toFixed(2), height: height.toFixed(2),
    });
  });
  return svg(
    "svg",
    { class: "histogram", role: "img", "aria-label": words,
      viewBox: `0 0 ${WIDTH} ${HEIGHT + 1}`, preserveAspectRatio: "none" },
    ...bars,
    svg("line", { x1: 0, x2: WIDTH, y1: HEIGHT + 0.5, y2: HEIGHT + 0.5 })
  );
}

/** A bar that goes left or right of the middle, beside the number it shows. */
export function divergingBar(value, largest) {
  const share = largest ? Math.max(-1, Math.min(1, value / largest)) : 0;
  const length = Math.abs(share) * 50;
  return svg(
    "svg",
    { class: `diverging ${value > 0 ? "up" : "down"}`, "aria-hidden": "true",
      viewBox: "0 0 100 8", preserveAspectRatio: "none" },
    svg("rect", { class: "track", x: 0, y: 3, width: 100, height: 2 }),
    svg("rect", { class: "bar", x: share < 0 ? 50 - length : 50, y: 0, width: length, height: 8 }),
    svg("rect", { class: "middle", x: 49.75, y: 0, width: 0.5, height: 8 })
  );
}
