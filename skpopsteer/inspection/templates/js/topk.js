// The k highest of many numbers; of equal ones that with the lower position.

/** A list of at most k entries, best first. Offer positions in ascending order. */
export class TopK {
  constructor(k) {
    this.k = k;
    this.ids = new Int32Array(k);
    this.scores = new Float64Array(k);
    this.clear();
  }

  clear() {
    this.length = 0;
    this.lowest = -Infinity;
  }

  offer(id, score) {
    if (this.length === this.k && !(score > this.lowest)) return;
    let place = this.length < this.k ? this.length++ : this.k - 1;
    while (place > 0 && this.scores[place - 1] < score) {
      this.scores[place] = this.scores[place - 1];
      this.ids[place] = this.ids[place - 1];
      place--;
    }
    this.scores[place] = score;
    this.ids[place] = id;
    if (this.length === this.k) this.lowest = this.scores[this.k - 1];
  }

  /** Positions, padded with -1. */
  list() {
    return Array.from(this.ids, (id, place) => (place < this.length ? id : -1));
  }
}

/** Keep the k largest of a row and set the others, and negative ones, to 0. */
export function keepLargest(row, k, out) {
  const kept = new TopK(k);
  for (let i = 0; i < row.length; i++) kept.offer(i, row[i]);
  out.fill(0);
  for (let place = 0; place < kept.length; place++) {
    out[kept.ids[place]] = Math.max(kept.scores[place], 0);
  }
}
