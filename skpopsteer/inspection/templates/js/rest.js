// How high the items that are not in the page can come.

/** Of a setting, as a share of what a slider covers: what counts as the same. */
const SAME = 1e-9;

/** Highest sum of what is added, where every part lies between two ends. */
function most(factor, low, high) {
  return Math.max(factor * low, factor * high);
}

/** What bounds the scores of the items outside of the page, for every user. */
export class Rest {
  constructor({ rest, knobs, factors, item }, nUsers) {
    Object.assign(this, rest);
    this.keys = knobs.map(({ key }) => key);
    this.sizes = knobs.map(({ limit }) => limit);
    this.nUsers = nUsers;
    this.factors = factors;
    this.units = item ? item.neuron_units : null;
    this.nAnchors = rest.whole.length / nUsers;
  }

  /**
   * Highest score of each user's other items: -Infinity where none of them can belong in
   * the list, and Infinity where nothing is known.
   */
  ceilingsAt(knobs, neurons) {
    const values = this.keys.map((key) => knobs[key] ?? 0);
    const turned = [...neurons].filter(([, value]) => value !== 0);
    const anchor = this.anchorOf(values);
    return Array.from({ length: this.nUsers }, (_, user) => {
      if (!turned.length && anchor >= 0 && this.whole[anchor * this.nUsers + user]) {
        return -Infinity;
      }
      return this.offsets ? this.offsetCeiling(user, values, anchor, turned) : Infinity;
    });
  }

  /** A setting whose lists were looked at, or -1. */
  anchorOf(values) {
    for (let anchor = 0; anchor < this.nAnchors; anchor++) {
      const same = values.every(
        (value, k) => Math.abs(value - this.valueAt(anchor, k)) <= SAME * this.sizes[k]
      );
      if (same) return anchor;
    }
    return -1;
  }

  valueAt(anchor, k) {
    return this.anchors[anchor * this.keys.length + k];
  }

  /** Scores are sums of what the knobs add and of what single neurons do. */
  offsetCeiling(user, values, anchor, turned) {
    const factor = this.factors ? this.factors[user] : 1;
    const start = this.knobCeiling(user, values, anchor, factor);
    const added = turned.map(([neuron, value]) => this.mostAdded(neuron, factor * value));
    const all = added.reduce((sum, part) => sum + part, 0);
    // Of one neuron it is known what its items have besides; the model's own setting.
    const fromOwn = this.moved(0, values, factor);
    return turned.reduce((lowest, [neuron, value], i) => {
      const alone = this.offsets.ceilings[user] + this.excessOf(neuron, value, user);
      return Math.min(lowest, alone + fromOwn + all - added[i]);
    }, start + all);
  }

  /** With the knobs turned: from the setting that bounds it best. */
  knobCeiling(user, values, anchor, factor) {
    const { ceilings } = this.offsets;
    if (anchor >= 0) return ceilings[anchor * this.nUsers + user];
    let lowest = Infinity;
    for (let one = 0; one < this.nAnchors; one++) {
      const moved = this.moved(one, values, factor);
      lowest = Math.min(lowest, ceilings[one * this.nUsers + user] + moved);
    }
    return lowest;
  }

  /** What the way from a setting to the knobs can add at the most. */
  moved(anchor, values, factor) {
    const { slopes } = this.offsets;
    let sum = 0;
    values.forEach((value, k) => {
      const way = factor * (value - this.valueAt(anchor, k));
      if (way !== 0) {
        sum += slopes ? most(way, slopes[k], slopes[values.length + k]) : Infinity;
      }
    });
    return sum;
  }

  mostAdded(neuron, value) {
    const { low, high } = this.offsets;
    return most(value * this.units[neuron], low[neuron], high[neuron]);
  }

  /** The highest of straight lines is below the line between two points of it. */
  excessOf(neuron, value, user) {
    const { turns, steps, excess } = this.offsets;
    if (!(value > 0)) return Infinity;
    const place = turns.findIndex((turn) => value <= turn * (1 + SAME));
    if (place < 0) return Infinity;
    const nNeurons = this.units.length;
    const at = (i) => {
      if (i < 0) return 0;
      const cell = i * nNeurons + neuron;
      return excess[cell * this.nUsers + user] * steps[cell];
    };
    const before = place ? turns[place - 1] : 0;
    const share = Math.min(1, (value - before) / (turns[place] - before));
    return (1 - share) * at(place - 1) + share * at(place);
  }
}
