// All neurons: searched, sorted, a page at a time.

import { el, plural } from "./dom.js";

const PAGE = 24;

/** Orders: name, and what a neuron is ranked by, highest first; null comes last. */
function ordersOf(cards) {
  const weight = (n) => Math.max(...cards.weights[n].map(Math.abs));
  const negative = (value) => (value === null ? null : -value);
  return {
    number: ["Number", (n) => -n],
    weight: ["Weight in the knobs", weight],
    popular: ["Popularity effect, popular first", (n) => cards.popularity_score[n]],
    niche: ["Popularity effect, niche first", (n) => negative(cards.popularity_score[n])],
    confidence: ["Confidence of the tags", (n) => (cards.tags[n].length ? cards.confidence[n] : null)],
    often: ["How often it fires", (n) => cards.n_active[n]],
    strong: ["Strongest activation", (n) => cards.peak_activation[n]],
    stability: ["Stability", (n) => cards.stability[n]],
  };
}

export class Catalogue {
  constructor(root, data, cards) {
    this.cards = cards;
    this.n = data.about.n_neurons;
    this.columns = data.cards;
    this.grid = root.querySelector("#grid");
    this.count = root.querySelector("#count");
    this.search = root.querySelector("#search");
    this.order = root.querySelector("#order");
    this.firing = root.querySelector("#firing");
    this.previous = root.querySelector("#previous");
    this.next = root.querySelector("#next");
    this.place = root.querySelector("#place");
    this.page = 0;
    this.words = null;
    this.orders = ordersOf(this.columns);
    for (const [key, [name, value]] of Object.entries(this.orders)) {
      const known = this.columns.label.some((_, n) => value(n) !== null);
      if (known) this.order.append(el("option", { value: key }, name));
    }
    this.order.value = "weight";
    let waiting = null;
    this.search.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => this.update(), 120);
    });
    this.order.addEventListener("change", () => this.update());
    this.firing.addEventListener("change", () => this.update());
    this.previous.addEventListener("click", () => this.turn(-1));
    this.next.addEventListener("click", () => this.turn(1));
    this.update();
  }

  /** Neurons that match all words: by number, tag, label or title. */
  found() {
    this.words ??= Array.from({ length: this.n }, (_, n) => this.cards.wordsOf(n));
    const asked = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = [];
    for (let n = 0; n < this.n; n++) {
      if (this.firing.checked && !this.columns.n_active[n]) continue;
      const matches = asked.every(
        (word) => word.replace(/^#/, "") === String(n) ||
          (!/^#\d+$/.test(word) && this.words[n].includes(word))
      );
      if (matches) found.push(n);
    }
    return found;
  }

  update() {
    const [, value] = this.orders[this.order.value];
    const rank = (n) => value(n) ?? -Infinity;
    this.neurons = this.found().sort((a, b) => rank(b) - rank(a) || a - b);
    // A number by itself means that neuron, whatever titles hold it too.
    const asked = this.search.value.trim().replace(/^#/, "");
    const exact = this.neurons.findIndex((n) => String(n) === asked);
    if (exact > 0) this.neurons.unshift(...this.neurons.splice(exact, 1));
    this.page = 0;
    this.show();
  }

  turn(by) {
    this.page += by;
    this.show();
    this.grid.querySelector("h3")?.focus();
  }

  /** Show one neuron, and go there. */
  reveal(neuron) {
    this.search.value = `#${neuron}`;
    this.firing.checked = false;
    this.update();
    this.grid.querySelector("h3")?.focus();
  }

  show() {
    const pages = Math.max(1, Math.ceil(this.neurons.length / PAGE));
    const first = this.page * PAGE;
    const shown = this.neurons.slice(first, first + PAGE);
    this.grid.dataset.query = this.search.value;
    this.grid.replaceChildren(...shown.map((n) => this.cards.make(n)));
    this.previous.disabled = this.page === 0;
    this.next.disabled = this.page >= pages - 1;
    this.place.textContent = `Page ${this.page + 1} of ${pages}`;
    this.count.textContent = shown.length
      ? `${plural(this.neurons.length, "neuron")}, showing ${first + 1} to ${first + shown.length}.`
      : "No neuron matches. Search for a tag, a title or a number.";
  }
}
