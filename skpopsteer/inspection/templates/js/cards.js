// The card of a neuron.

import { divergingBar, histogram } from "./histogram.js";
import { el, format, percent, signed } from "./dom.js";

const SHOWN = 3;

export class Cards {
  constructor(data, actions) {
    const { cards, items, others, about } = data;
    this.cards = cards;
    this.about = about;
    this.actions = actions;
    this.works = data.steering.reason === null;
    const itemAt = new Map(Array.from(items.positions, (position, i) => [position, i]));
    const userAt = new Map(Array.from(others.rows, (row, i) => [row, i]));
    this.itemName = (position) => items.names[itemAt.get(position)];
    this.userName = (row) => others.names[userAt.get(row)];
    this.neuronName = (n) => `Neuron ${n}${cards.label[n] ? ` · ${cards.label[n]}` : ""}`;
    this.largestScore = Math.max(
      1e-9, ...cards.popularity_score.map((score) => Math.abs(score ?? 0))
    );
  }

  make(n) {
    const { cards } = this;
    const heading = `card-${n}`;
    // A label that is made of the tags would say the same twice.
    const label = cards.tags[n].length && cards.label[n].startsWith(cards.tags[n][0])
      ? "" : cards.label[n];
    const isSilent = cards.n_active[n] === 0;
    return el(
      "article", { class: "card", "aria-labelledby": heading, id: `neuron-card-${n}` },
      el("header", {},
        el("h3", { id: heading, tabindex: -1 },
          el("span", { class: "number" }, `Neuron ${n}`),
          label && el("span", { class: "label" }, label)),
        el("button", { type: "button", disabled: !this.works || !this.actions.canTurn(n),
          onclick: () => this.actions.pick(n), "aria-label": `Turn neuron ${n}` }, "Turn")),
      this.tags(n),
      isSilent
        ? el("p", { class: "silent" }, cards.is_dead[n]
            ? "Never fired, in training or here." : "Did not fire for any row here.")
        : this.figure(n),
      this.facts(n),
      this.ranking("Fires for", cards.top_items[n].slice(0, SHOWN), this.itemName),
      this.details(n)
    );
  }

  tags(n) {
    const { tags, confidence, null_confidence: others } = this.cards;
    if (!tags[n].length) return null;
    const list = el("ul", { class: "tags", "aria-label": "Tags" });
    for (const tag of tags[n].slice(0, 4)) list.append(el("li", {}, tag));
    if (tags[n].length > 4) list.append(el("li", { class: "rest" }, `+${tags[n].length - 4}`));
    const sure = confidence[n] !== null &&
      el("span", { class: "confidence",
        title: "How well the description predicts where the neuron fires; 0.5 is chance" +
          (others[n] === null ? "" : `, and it has ${others[n].toFixed(2)} for other neurons`) },
      `confidence ${confidence[n].toFixed(2)}`);
    return el("div", { class: "tag-row" }, list, sure);
  }

  figure(n) {
    const { cards, about } = this;
    const kind = about.cards_side === "item" ? "items" : "users";
    const share = percent(cards.n_active[n] / about.n_rows);
    return el("figure", {},
      histogram(cards.histogram[n], cards.peak_activation[n]),
      el("figcaption", {},
        el("span", {}, "0"),
        el("span", {}, `fires for ${share} of ${kind}`),
        el("span", {}, format(cards.peak_activation[n]))));
  }

  facts(n) {
    const { cards, about } = this;
    const facts = el("dl", { class: "facts" });
    const fact = (name, ...value) =>
      facts.append(el("div", {}, el("dt", {}, name), el("dd", {}, ...value)));
    const score = cards.popularity_score[n];
    if (score !== null) {
      fact("Popularity effect",
        divergingBar(score, this.largestScore),
        el("span", { class: "figure" }, signed(score, 2)));
    }
    about.knobs.forEach((name, i) => {
      const weight = cards.weights[n][i];
      fact(about.knobs.length > 1 ? `Weight in ${name}` : "Weight in the knob",
        el("span", { class: "figure" }, weight ? signed(weight, 3) : "0"));
    });
    if (cards.stability[n] !== null) {
      fact("Stability", el("span", { class: "figure" }, cards.stability[n].toFixed(2)));
    }
    return facts;
  }

  ranking(heading, ranked, nameOf) {
    if (!ranked.length) return null;
    const list = el("ol");
    for (const [position, value] of ranked) {
      list.append(el("li", {},
        el("span", { class: "title" }, nameOf(position)),
        el("span", { class: "figure" }, format(value))));
    }
    return el("section", { class: "ranking" }, el("h4", {}, heading), list);
  }

  details(n) {
    const { cards } = this;
    const parts = [
      this.ranking("Also fires for", cards.top_items[n].slice(SHOWN), this.itemName),
      this.ranking("Users", cards.top_users[n], this.userName),
      this.ranking("Pushes up", cards.pushed_up[n], this.itemName),
      this.ranking("Pushes down", cards.pushed_down[n], this.itemName),
      this.cofiring(n),
    ].filter((part) => part !== null);
    if (!parts.length) return null;
    const { mean_activation: means, n_active: counts } = cards;
    const note = counts[n]
      ? [el("p", { class: "note" }, `Mean activation ${format(means[n])} over ${counts[n]} rows.`)]
      : [];
    return el("details", {},
      el("summary", {}, "More", el("span", { class: "hidden" }, ` about neuron ${n}`)),
      el("div", { class: "more" }, ...parts), ...note);
  }

  cofiring(n) {
    const ranked = this.cards.cofiring[n];
    if (!ranked.length) return null;
    const list = el("ol");
    for (const [neuron, value] of ranked) {
      list.append(el("li", {},
        el("button", { type: "button", class: "link", onclick: () => this.actions.show(neuron) },
          this.neuronName(neuron)),
        el("span", { class: "figure" }, percent(value, 0))));
    }
    return el("section", { class: "ranking" }, el("h4", {}, "Fires together with"), list);
  }

  /** All words that a search may look for. */
  wordsOf(n) {
    const { cards } = this;
    const items = [...cards.top_items[n], ...cards.pushed_up[n], ...cards.pushed_down[n]];
    const names = items.map(([position]) => this.itemName(position));
    return [cards.label[n], ...cards.tags[n], ...names].join("\n").toLowerCase();
  }
}
