// What a rule makes of the activation of one neuron; `interpolate` looks at whole rows.

const f = Math.fround;

/** One neuron: (activation, push, scale, peak) -> steered activation. */
export const RULES = {
  add: (z, push, scale) => f(z + f(push * scale)),
  scale: (z, push) => f(z * f(Math.exp(Math.min(Math.max(push, -50), 50)))),
  multiply: (z, push) => f(z * Math.max(f(1 + push), 0)),
  hold: (z, push, scale, peak) => (push === 0 ? z : Math.max(f(push * peak), 0)),
  clamp: (z, push, scale, peak) => {
    if (!(z > 0)) return z;
    if (push < 0) return Math.min(z, f(peak * Math.max(f(1 + push), 0)));
    return push > 0 ? Math.max(z, f(peak * Math.min(push, 1))) : z;
  },
};

/** Neurons that a rule moves in every row, whether they fire or not. */
export const MOVES_SILENT = { add: true, hold: true };

/** Move a share of the activation of a row to the neurons that are pushed up. */
export function interpolate(active, push) {
  let mass = 0;
  let left = 0;
  let share = 0;
  const kept = new Float64Array(active.length);
  for (let n = 0; n < active.length; n++) {
    mass += active[n];
    kept[n] = active[n] * (1 - Math.min(Math.max(-push[n], 0), 1));
    left += kept[n];
    if (push[n] > 0) share += push[n];
  }
  const ratio = left > 0 ? mass / left : 0;
  const staying = (1 - Math.min(share, 1)) * ratio;
  const moved = mass / Math.max(share, 1);
  return kept.map((z, n) => staying * z + (push[n] > 0 ? moved * push[n] : 0));
}
