// Lists of the sampled users at any setting of the knobs: what `recommend` gives.

import { TopK } from "./topk.js";
import { pushOf } from "./knobs.js";
import { offsetsOf } from "./offsets.js";
import { Rest } from "./rest.js";
import { Rows } from "./sides.js";

/** Share of a score that rounding to float32 may make: what counts as a tie. */
const ROUNDING = 1e-5;
/** Of a bound, so that rounding in it never hides an item. */
const SLACK = 1e-9;
/** Items whose embeddings fit a cache. */
const BLOCK = 256;

function dot(a, i, b, j, width) {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let t = 0;
  for (; t + 3 < width; t += 4) {
    s0 += a[i + t] * b[j + t];
    s1 += a[i + t + 1] * b[j + t + 1];
    s2 += a[i + t + 2] * b[j + t + 2];
    s3 += a[i + t + 3] * b[j + t + 3];
  }
  for (; t < width; t++) s0 += a[i + t] * b[j + t];
  return s0 + s1 + s2 + s3;
}

export class Engine {
  constructor(data) {
    const { steering, users, about } = data;
    this.steering = steering;
    this.users = users;
    this.k = about.n_recommendations;
    this.nUsers = users.names.length;
    this.hostLists = this.rowsOf(users.host_lists);
    this.ownLists = this.rowsOf(users.own_lists);
    this.works = steering.reason === null;
    if (this.works) this.prepare(data.items.names.length);
  }

  rowsOf(flat) {
    return Array.from({ length: this.nUsers }, (_, user) =>
      Array.from(flat.subarray(user * this.k, (user + 1) * this.k))
    );
  }

  prepare(itemCount) {
    const { steering } = this;
    this.ids = steering.embedded;
    this.m = this.ids.length;
    if (!steering.item_scores) this.prepareEmbeddings();
    this.placeOf = new Int32Array(itemCount).fill(-1);
    this.ids.forEach((id, place) => { this.placeOf[id] = place; });
    this.seen = this.seenMasks();
    this.base = this.baseScores();
    const { rule, reconstruction, user, item } = steering;
    this.adds = rule === "offset";
    const rowsOf = (side, table) =>
      side && !this.adds ? new Rows(side, table, rule, reconstruction) : null;
    this.userRows = rowsOf(user, steering.user_embeddings);
    this.itemRows = rowsOf(item, steering.item_embeddings);
    const places = this.adds ? Array.from(item.turnable, (neuron, i) => [neuron, i]) : [];
    this.placeOfNeuron = new Map(places);
    this.rest = steering.rest && new Rest(steering, this.nUsers);
    this.last = null;
  }

  prepareEmbeddings() {
    this.U = Float64Array.from(this.steering.user_embeddings);
    this.V = Float64Array.from(this.steering.item_embeddings);
    this.width = this.V.length / this.m;
    this.norms = Float64Array.from({ length: this.m }, (_, i) =>
      Math.sqrt(dot(this.V, i * this.width, this.V, i * this.width, this.width))
    );
  }

  seenMasks() {
    const { indptr, items } = this.users.seen;
    const masks = new Uint8Array(this.nUsers * this.m);
    for (let user = 0; user < this.nUsers; user++) {
      for (let i = indptr[user]; i < indptr[user + 1]; i++) {
        masks[user * this.m + this.placeOf[items[i]]] = 1;
      }
    }
    return masks;
  }

  baseScores() {
    const { m, width } = this;
    const { item_bias: bias, item_scores: scores } = this.steering;
    if (scores) return Float64Array.from(scores);
    const base = new Float64Array(this.nUsers * m);
    for (let user = 0; user < this.nUsers; user++) {
      for (let i = 0; i < m; i++) {
        const score = dot(this.U, user * width, this.V, i * width, width);
        base[user * m + i] = score + (bias ? bias[i] : 0);
      }
    }
    return base;
  }

  /**
   * Lists of all users.
   * @param {Object} knobs strengths by key
   * @param {Map} neurons what is added to single neurons
   * @returns {{lists: number[][], gaps: number[], tops: TopK[], moved: Float32Array}}
   *   gaps: the smallest distance between neighbouring scores of a list, as a share of
   *   their size
   */
  run(knobs, neurons = new Map()) {
    const { steering } = this;
    const factors = steering.factors;
    if (this.adds) neurons = this.placed(neurons);
    const push = (name) => pushOf(steering, name, knobs, neurons);
    const moved = this.userRows ? this.userRows.move(push("user"), factors) : null;
    const change = this.adds
      ? this.added(knobs, neurons)
      : this.itemRows && this.displaced(push("item"));
    const tops = this.rank(moved, change, factors);
    this.last = tops.map((top) => top.list());
    return {
      lists: tops.map((top, user) => this.merge(user, top)),
      gaps: tops.map((top) => this.gapOf(top)),
      tops,
      moved,
      knobs,
      neurons,
    };
  }

  /** Neurons by their place among those that can be turned by themselves. */
  placed(neurons) {
    return new Map(Array.from(neurons, ([neuron, value]) => {
      const place = this.placeOfNeuron.get(neuron);
      if (place === undefined) throw new RangeError(`Neuron ${neuron} cannot be turned.`);
      return [place, value];
    }));
  }

  /** What is added to the scores of the items, or nothing. */
  added(knobs, neurons) {
    const offsets = offsetsOf(this.steering, knobs, neurons);
    return offsets && { offsets };
  }

  /** How far the embeddings of the items move, or nothing. */
  displaced(push) {
    const moved = this.itemRows.move(push, null);
    return moved && { displaced: moved.map((value, i) => value - this.V[i]) };
  }

  /** The best items of every user, one more than the list: it may tie with the last. */
  rank(moved, change, factors) {
    const tops = this.users.names.map(() => new TopK(this.k + 1));
    const U = moved === null ? this.U : Float64Array.from(moved);
    const rank =
      moved === null && change === null ? this.rankBase.bind(this)
        : change === null ? this.rankMoved.bind(this, this.floorsOf(U), this.reachesOf(U))
          : this.rankChanged.bind(this, moved !== null, change, factors);
    // The embeddings of a block stay in the cache for all users.
    for (let start = 0; start < this.m; start += BLOCK) {
      const stop = Math.min(start + BLOCK, this.m);
      for (let user = 0; user < this.nUsers; user++) rank(tops[user], user, start, stop, U);
    }
    return tops;
  }

  rankBase(top, user, start, stop) {
    const { base, seen } = this;
    const from = user * this.m;
    for (let i = start; i < stop; i++) {
      if (!seen[from + i] && base[from + i] > top.lowest) top.offer(i, base[from + i]);
    }
  }

  /** Most items need no product: the length of the move bounds what it can add. */
  rankMoved(floors, reaches, top, user, start, stop, U) {
    const { width, base, V, norms, seen } = this;
    const bias = this.steering.item_bias;
    const from = user * this.m;
    const reach = reaches[user];
    for (let i = start; i < stop; i++) {
      const lowest = Math.max(floors[user], top.lowest);
      const bound = base[from + i] + reach * norms[i];
      if (bound + SLACK * Math.abs(bound) < lowest || seen[from + i]) continue;
      const score = dot(U, user * width, V, i * width, width) + (bias ? bias[i] : 0);
      top.offer(i, score);
    }
  }

  rankChanged(usersMoved, { offsets, displaced }, factors, top, user, start, stop, U) {
    const { m, width, base, V, seen } = this;
    const bias = this.steering.item_bias;
    const factor = factors ? factors[user] : 1;
    const from = user * width;
    for (let i = start; i < stop; i++) {
      if (seen[user * m + i]) continue;
      let score = base[user * m + i];
      if (usersMoved) score = dot(U, from, V, i * width, width) + (bias ? bias[i] : 0);
      const extra = offsets ? offsets[i] : dot(U, from, displaced, i * width, width);
      top.offer(i, score + factor * extra);
    }
  }

  /** How far every user has moved, with room for rounding. */
  reachesOf(U) {
    return this.users.names.map((_, user) => {
      let squares = 0;
      for (let j = user * this.width; j < (user + 1) * this.width; j++) {
        squares += (U[j] - this.U[j]) ** 2;
      }
      return Math.sqrt(squares) * (1 + SLACK);
    });
  }

  /** What was best the last time has these scores now: the new lists are above them. */
  floorsOf(U) {
    const { width, V } = this;
    const bias = this.steering.item_bias;
    return this.users.names.map((_, user) => {
      const known = new TopK(this.k + 1);
      for (const i of this.last ? this.last[user] : []) {
        if (i < 0) continue;
        const score = dot(U, user * width, V, i * width, width);
        known.offer(i, score + (bias ? bias[i] : 0));
      }
      return known.lowest;
    });
  }

  /** For every list of a run, whether no item outside of the page can belong in it. */
  exactness({ tops, moved, knobs, neurons }) {
    if (this.rest === null) return tops.map(() => true);
    const ceilings = this.rest.ceilingsAt(knobs, neurons);
    return tops.map((top, user) => {
      if (ceilings[user] === -Infinity) return true;
      if (top.length < this.k) return false;
      // Scores of the model are rounded: a little below counts as reached.
      const last = top.scores[this.k - 1];
      const lowest = last - ROUNDING * Math.abs(last);
      if (ceilings[user] < lowest) return true;
      const { coarse } = this.rest;
      if (coarse === null) return false;
      const U = (moved ?? this.U).subarray(user * this.width, (user + 1) * this.width);
      return this.groupsStayBelow(coarse, lowest, user, U) &&
        this.coarseStayBelow(coarse, lowest, user, U);
    });
  }

  groupsStayBelow({ centres, radii, highest }, lowest, user, U) {
    const { width } = this;
    const change = Float64Array.from(U, (value, j) => value - this.U[user * width + j]);
    const size = Math.sqrt(dot(change, 0, change, 0, width));
    return radii.every((radius, g) => {
      const shift = dot(change, 0, centres, g * width, width);
      return highest[user * radii.length + g] + shift + size * radius < lowest;
    });
  }

  coarseStayBelow({ coarse, steps, errors, bias, seen }, lowest, user, U) {
    const { width } = this;
    const size = Math.sqrt(dot(U, 0, U, 0, width));
    const known = new Set(seen.items.slice(seen.indptr[user], seen.indptr[user + 1]));
    for (let i = 0; i < steps.length; i++) {
      const score = steps[i] * dot(U, 0, coarse, i * width, width) + bias[i];
      if (score + size * errors[i] >= lowest && !known.has(i)) return false;
    }
    return true;
  }

  gapOf(top) {
    let gap = Infinity;
    const size = Math.max(Math.abs(top.scores[0]), 1e-30);
    for (let place = 1; place < top.length; place++) {
      gap = Math.min(gap, (top.scores[place - 1] - top.scores[place]) / size);
    }
    return gap;
  }

  /** The host's first items where they are, the rest from the steered list. */
  merge(user, top) {
    const list = top.list().slice(0, this.k).map((i) => (i < 0 ? -1 : this.ids[i]));
    const kept = Math.min(this.steering.keep_top, this.k);
    if (!kept) return list;
    const head = this.hostLists[user].slice(0, kept);
    const rest = list.filter((id) => id >= 0 && !head.includes(id));
    const merged = [...head.filter((id) => id >= 0), ...rest].slice(0, this.k);
    return [...merged, ...Array(this.k - merged.length).fill(-1)];
  }

  /** Compare with lists of the model itself that came along. */
  check() {
    const found = { settings: 0, lists: 0, ties: 0, wrong: 0, open: 0 };
    for (const { values, lists } of this.steering.checks) {
      const run = this.run(values);
      const expected = this.rowsOf(lists);
      const exact = this.exactness(run);
      found.settings++;
      for (let user = 0; user < this.nUsers; user++) {
        found.lists++;
        const same = run.lists[user].every((id, i) => id === expected[user][i]);
        if (same) continue;
        if (!exact[user]) found.open++;
        else if (run.gaps[user] < ROUNDING) found.ties++;
        else found.wrong++;
      }
    }
    return found;
  }
}
