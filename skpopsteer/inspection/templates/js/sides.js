// Rows of one side, users or items: their codes, steered, and decoded to embeddings.

import { keepLargest } from "./topk.js";
import { MOVES_SILENT, RULES, interpolate } from "./rules.js";

const round = Math.fround;

function activate(side, pre, out) {
  const { kind, k, threshold } = side.activation;
  if (kind === "identity") {
    out.set(pre);
  } else if (kind === "topk") {
    keepLargest(pre, k, out);
  } else {
    for (let n = 0; n < pre.length; n++) {
      out[n] = pre[n] > threshold[n] ? Math.max(pre[n], 0) : 0;
    }
  }
}

/** Add a multiple of the direction of a neuron to an embedding. */
function addDirection(side, neuron, factor, out) {
  const width = out.length;
  const start = neuron * width;
  for (let j = 0; j < width; j++) out[j] += factor * side.decoder[start + j];
}

/** Put back what the code of a row does not hold: its mean, deviation or length. */
function atScaleOf(side, row, decoded) {
  const scale = side.row_scale;
  const width = decoded.length;
  if (scale === null) return decoded;
  if (scale.kind === "length") {
    const length = Math.hypot(...decoded);
    return decoded.map((value) => value * (scale.length[row] / (length || 1)));
  }
  let mean = 0;
  let deviation = 1;
  if (scale.kind === "restandardize") {
    mean = decoded.reduce((a, b) => a + b, 0) / width;
    const squares = decoded.reduce((a, b) => a + (b - mean) ** 2, 0);
    deviation = Math.sqrt(squares / width) || 1;
  }
  return decoded.map(
    (value) => ((value - mean) / deviation) * scale.deviation[row] + scale.mean[row]
  );
}

/** Embeddings of the rows of a side, at any push of its neurons. */
export class Rows {
  constructor(side, embeddings, rule, reconstruction) {
    this.side = side;
    this.embeddings = embeddings;
    this.rule = rule;
    this.replaces = reconstruction === "replace";
    const scale = side.row_scale;
    // Then a change of the code is no change of the row by itself.
    this.decodesWhole = this.replaces || (scale !== null && scale.kind !== "length");
    this.active = [];
    if (side.decoder) this.width = side.decoder.length / side.n_neurons;
  }

  /** Every row, moved; null where none moves. Factors multiply the push per row. */
  move(push, factors) {
    const moves =
      push.some((value) => value !== 0) &&
      (factors === null || factors.some((value) => value !== 0));
    if (!moves && !this.replaces) return null;
    const moved = new Float32Array(this.embeddings.length);
    const common = this.side.codes ? this.commonOf(push) : null;
    // As float32, which it is where nothing multiplies it.
    const turned = (row) =>
      factors === null ? push : push.map((p) => round(p * factors[row]));
    for (let row = 0; row * this.width < moved.length; row++) {
      const own = this.side.codes
        ? this.moveSparse(row, push, common)
        : this.moveDense(row, moves ? turned(row) : null);
      moved.set(own, row * this.width);
    }
    return moved;
  }

  rowOf(row) {
    return this.embeddings.subarray(row * this.width, (row + 1) * this.width);
  }

  preOf(row) {
    const n = this.side.n_neurons;
    return this.side.pre.subarray(row * n, (row + 1) * n);
  }

  activated(row, pre) {
    const { correction } = this.side;
    const active = new Float64Array(pre.length);
    activate(this.side, pre, active);
    const start = row * pre.length;
    if (correction) for (let i = 0; i < pre.length; i++) active[i] += correction[start + i];
    return active;
  }

  /** What fires in a row while nothing is turned: worked out once. */
  activeOf(row) {
    this.active[row] ??= this.activated(row, this.preOf(row));
    return this.active[row];
  }

  /** A row whose pre-activations are known: any rule. */
  moveDense(row, push) {
    const { side, rule } = this;
    const n = side.n_neurons;
    const before = this.activeOf(row);
    let after = before;
    if (push === null) return this.finish(row, this.decodeDense(before, after));
    if (rule === "shift") {
      const shifted = this.preOf(row).map((p, i) => p + round(push[i] * side.scales[i]));
      after = this.activated(row, shifted);
    } else if (rule === "interpolate") {
      after = interpolate(before, push);
    } else {
      const turn = RULES[rule];
      after = new Float64Array(n);
      for (let i = 0; i < n; i++) {
        after[i] = turn(before[i], push[i], side.scales[i], side.peaks[i]);
      }
    }
    return this.finish(row, this.decodeDense(before, after));
  }

  decodeDense(before, after) {
    const whole = this.decodesWhole;
    const start = () =>
      whole ? Float64Array.from(this.side.decoder_bias) : new Float64Array(this.width);
    const steered = start();
    const own = whole ? start() : null;
    for (let n = 0; n < before.length; n++) {
      if (whole) {
        if (after[n] !== 0) addDirection(this.side, n, after[n], steered);
        if (before[n] !== 0) addDirection(this.side, n, before[n], own);
      } else if (after[n] !== before[n]) {
        addDirection(this.side, n, after[n] - before[n], steered);
      }
    }
    return [steered, own];
  }

  /** Of a decoded code, or a decoded change, the embedding. */
  finish(row, [steered, own]) {
    const { side } = this;
    if (this.replaces) return atScaleOf(side, row, steered);
    let change = steered;
    if (this.decodesWhole) {
      const before = atScaleOf(side, row, own);
      change = atScaleOf(side, row, steered).map((value, j) => value - before[j]);
    }
    const embedding = this.rowOf(row);
    return change.map((value, j) => embedding[j] + value);
  }

  /** What a push does to every row alike, decoded, for rows stored by what fires. */
  commonOf(push) {
    const { side, rule } = this;
    const common = new Float64Array(this.width);
    let share = 0;
    for (let n = 0; n < push.length; n++) {
      if (push[n] === 0) continue;
      if (MOVES_SILENT[rule]) {
        const value = RULES[rule](0, push[n], side.scales[n], side.peaks[n]);
        addDirection(side, n, value, common);
      } else if (rule === "interpolate" && push[n] > 0) {
        share += push[n];
        addDirection(side, n, push[n], common);
      }
    }
    return { common, share };
  }

  /** A row of which only what fires is known: every rule but the shift. */
  moveSparse(row, push, { common, share }) {
    const { side, rule } = this;
    const { indptr, neurons, values } = side.codes;
    const whole = this.decodesWhole;
    const steered = whole
      ? Float64Array.from(side.decoder_bias)
      : new Float64Array(this.width);
    const own = whole ? Float64Array.from(side.decoder_bias) : null;
    let mass = 0;
    let left = 0;
    for (let i = indptr[row]; i < indptr[row + 1]; i++) {
      mass += values[i];
      left += values[i] * (1 - Math.min(Math.max(-push[neurons[i]], 0), 1));
    }
    const staying = (1 - Math.min(share, 1)) * (left > 0 ? mass / left : 0);
    for (let i = indptr[row]; i < indptr[row + 1]; i++) {
      const n = neurons[i];
      const z = values[i];
      let after;
      if (rule === "interpolate") {
        after = staying * z * (1 - Math.min(Math.max(-push[n], 0), 1));
      } else {
        after = RULES[rule](z, push[n], side.scales[n], side.peaks[n]);
        if (MOVES_SILENT[rule] && push[n] !== 0) {
          // The rest of it is in what all rows have in common.
          after -= RULES[rule](0, push[n], side.scales[n], side.peaks[n]);
        }
      }
      addDirection(side, n, whole ? after : after - z, steered);
      if (whole) addDirection(side, n, z, own);
    }
    const part = rule === "interpolate" ? mass / Math.max(share, 1) : 1;
    for (let j = 0; j < this.width; j++) steered[j] += part * common[j];
    return this.finish(row, [steered, own]);
  }
}
