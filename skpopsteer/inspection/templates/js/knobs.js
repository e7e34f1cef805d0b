// How far every neuron is turned, of the positions of the knobs.

/** Strengths for neurons of positive and negative weight, of a side. */
export function strengthsOf(steering, strength, side) {
  const own = steering.strength;
  const ratio = strength === 0 ? 0 : strength / (own || strength);
  const scaled = (value) => (value === null ? null : value * ratio);
  const item = scaled(steering.item_strength);
  if (side === "item" && item !== null) return [item, item];
  const unpopular = scaled(steering.unpopular_strength);
  return [strength, unpopular === null ? strength : unpopular];
}

/** How far a knob is turned: one by itself as far as its selector has it. */
export function turnOf(steering, { knob, strength: own }, knobs) {
  return steering.union && knob !== null ? knobs[knob] ?? 0 : own;
}

/** What a knob turns up shares the largest of its strengths. */
function asShares(push, weights) {
  let total = 0;
  let largest = 0;
  for (let n = 0; n < push.length; n++) {
    if (push[n] <= 0) continue;
    total += push[n];
    largest = Math.max(largest, Math.abs(push[n] / weights[n]));
  }
  if (!total) return push;
  return push.map((value) => (value > 0 ? value * (largest / total) : value));
}

/**
 * Push of every neuron of a side, positive upwards, as float32.
 * `knobs` maps keys to strengths; `neurons` maps neurons to what is added to each.
 */
export function pushOf(steering, name, knobs, neurons) {
  const side = steering[name];
  const strength = steering.union ? 1 : knobs[""];
  const [popular, unpopular] = strengthsOf(steering, strength, name);
  const total = new Float64Array(side.n_neurons);
  for (const knob of side.weights) {
    const { weights } = knob;
    const turned = turnOf(steering, knob, knobs);
    let push = Float64Array.from(
      weights, (weight) => turned * (weight > 0 ? popular : unpopular) * weight
    );
    if (steering.rule === "interpolate") push = asShares(push, weights);
    for (let n = 0; n < total.length; n++) total[n] += push[n];
  }
  if (steering.neuron_knob.side === name) {
    for (const [neuron, value] of neurons) total[neuron] += value;
  }
  return Float32Array.from(total);
}
