// What turning the neurons of items adds to their scores, for every user alike.

import { strengthsOf, turnOf } from "./knobs.js";

/**
 * One number per item of the page, or null where nothing is turned.
 * `knobs` maps keys to strengths; `neurons` maps places among the neurons that can be
 * turned by themselves to what is added to each.
 */
export function offsetsOf(steering, knobs, neurons) {
  const { weights, sums, unpopular: below } = steering.item;
  const strength = steering.union ? 1 : knobs[""];
  const [popular, unpopular] = strengthsOf(steering, strength, "item");
  const turns = weights.map((knob) => turnOf(steering, knob, knobs) * knob.unit);
  const isTurned = (popular !== 0 || unpopular !== 0) && turns.some((turn) => turn !== 0);
  if (!isTurned && !neurons.size) return null;
  const offsets = new Float64Array(sums.length / turns.length);
  for (let item = 0; item < offsets.length; item++) {
    let sum = 0;
    for (let knob = 0; knob < turns.length; knob++) {
      const at = item * turns.length + knob;
      sum += turns[knob] * (popular * sums[at] + (unpopular - popular) * below[at]);
    }
    offsets[item] = sum;
  }
  if (neurons.size) addNeurons(steering.item, neurons, offsets);
  return offsets;
}

function addNeurons({ codes, neuron_units: units, turnable }, neurons, offsets) {
  const { indptr, neurons: places, values } = codes;
  const push = new Float64Array(turnable.length);
  for (const [place, value] of neurons) push[place] = Math.fround(value * units[place]);
  for (let item = 0; item < offsets.length; item++) {
    for (let i = indptr[item]; i < indptr[item + 1]; i++) {
      offsets[item] += values[i] * push[places[i]];
    }
  }
}
