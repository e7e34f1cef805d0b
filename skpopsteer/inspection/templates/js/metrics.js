// Accuracy and exposure of lists, as skpopsteer.metrics defines them.

/** NDCG of every user; NaN where nothing is held out. */
export function ndcg(lists, heldOut) {
  return lists.map((list, user) => {
    const start = heldOut.indptr[user];
    const stop = heldOut.indptr[user + 1];
    if (start === stop) return NaN;
    const wanted = new Set(heldOut.items.slice(start, stop));
    let gain = 0;
    let best = 0;
    list.forEach((id, place) => {
      const discount = 1 / Math.log2(place + 2);
      if (id >= 0 && wanted.has(id)) gain += discount;
      if (place < stop - start) best += discount;
    });
    return gain / best;
  });
}

/** Gini coefficient of how often all items of the catalogue are recommended. */
export function gini(lists, nItems) {
  const counts = new Map();
  let total = 0;
  for (const id of lists.flat()) {
    if (id < 0) continue;
    counts.set(id, (counts.get(id) ?? 0) + 1);
    total++;
  }
  // Items that are never recommended come first, and add nothing.
  const sorted = [...counts.values()].sort((a, b) => a - b);
  const zeros = nItems - sorted.length;
  let balance = 0;
  sorted.forEach((count, i) => {
    balance += (2 * (zeros + i + 1) - nItems - 1) * count;
  });
  return total ? balance / (nItems * total) : NaN;
}

/** Share of tail items of every list; NaN where it is empty. */
export function tailShares(lists, groups) {
  return lists.map((list) => {
    const filled = list.filter((id) => id >= 0);
    return filled.filter((id) => groups[id] === -1).length / filled.length;
  });
}

export function meanOfDefined(values) {
  const defined = values.filter((value) => !Number.isNaN(value));
  return defined.reduce((a, b) => a + b, 0) / defined.length;
}

/** What became of every item: of the list, and of those that left it. */
export function compareLists(before, after) {
  const rows = after.filter((id) => id >= 0).map((id, place) => {
    const was = before.indexOf(id);
    return { id, place, was, moved: was < 0 ? null : was - place };
  });
  const left = before
    .map((id, place) => ({ id, was: place }))
    .filter(({ id }) => id >= 0 && !after.includes(id));
  return { rows, left };
}
