// The knobs: those of the model, and neurons that somebody picks.

import { el, minus, plural } from "./dom.js";

/** A slider and a field for the same number. */
class Knob {
  constructor({ id, title, hint, ends, value, limit, step, onremove }, onchange) {
    this.initial = value;
    this.value = value;
    this.onchange = onchange;
    const words = `${id}-hint`;
    this.slider = el("input", {
      type: "range", id, min: -limit, max: limit, step: "any", value,
      "aria-describedby": words, list: `${id}-zero`,
      oninput: () => this.take(this.snap(Number(this.slider.value)), this.slider),
      onkeydown: (event) => this.step(event, step, limit),
    });
    this.stepSize = step;
    this.field = el("input", {
      type: "number", step: "any", value: this.text(value), "aria-label": `${title}, exact`,
      onchange: () => {
        const number = Number(this.field.value);
        if (this.field.value.trim() && Number.isFinite(number)) this.take(number, this.field);
        else this.field.value = this.text(this.value);
      },
    });
    this.element = el(
      "div", { class: "knob", role: "group", "aria-label": title },
      el("div", { class: "knob-head" },
        el("label", { for: id }, title),
        this.field,
        onremove &&
          el("button", { type: "button", class: "quiet", onclick: onremove,
            "aria-label": `Remove ${title}` }, "×")),
      this.slider,
      el("datalist", { id: `${id}-zero` }, el("option", { value: 0 })),
      el("div", { class: "ends", "aria-hidden": "true" },
        el("span", {}, ends[0]), el("span", {}, ends[1])),
      el("p", { id: words, class: "hint" }, hint)
    );
    this.mark();
  }

  text(value) {
    return String(Number(value.toPrecision(6)));
  }

  snap(value) {
    const steps = Math.round(value / this.stepSize);
    return Number((steps * this.stepSize).toPrecision(12));
  }

  /** Arrows go by steps, whatever the browser takes for one. */
  step(event, step, limit) {
    const by = {
      ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10,
    }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    const next = Math.max(-limit, Math.min(limit, this.value + by * step));
    this.set(this.snap(next));
  }

  set(value) {
    this.take(value, null);
  }

  take(value, source) {
    this.value = value;
    if (source !== this.slider) this.slider.value = value;
    if (source !== this.field) this.field.value = this.text(value);
    this.mark();
    this.onchange();
  }

  mark() {
    this.slider.setAttribute("aria-valuetext", minus(this.text(this.value)));
  }

  disable() {
    this.slider.disabled = true;
    this.field.disabled = true;
  }
}

export class Controls {
  constructor(root, data, onchange) {
    this.steering = data.steering;
    this.nNeurons = data.about.n_neurons;
    const some = this.steering.item?.turnable;
    this.turnable = some && some.length < this.nNeurons ? new Set(some) : null;
    this.nameOf = (neuron) => data.cards.label[neuron];
    this.onchange = onchange;
    this.knobs = new Map();
    this.neurons = new Map();
    this.list = root.querySelector("#knobs");
    this.picked = root.querySelector("#picked");
    this.code = root.querySelector("#code");
    this.message = root.querySelector("#pick-message");
    for (const knob of this.steering.knobs) this.addKnob(knob);
    this.form = root.querySelector("#pick");
    this.field = root.querySelector("#pick-number");
    this.field.max = this.nNeurons - 1;
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.field.value.trim();
      const neuron = Number(text);
      if (!text || !Number.isInteger(neuron) || neuron < 0 || neuron >= this.nNeurons) {
        this.message.textContent = `Neurons are numbered 0 to ${this.nNeurons - 1}.`;
        return;
      }
      if (!this.canTurn(neuron)) {
        this.message.textContent = `Neuron ${neuron} cannot be turned here.`;
        return;
      }
      this.addNeuron(neuron);
      this.field.value = "";
    });
    root.querySelector("#reset").addEventListener("click", () => this.reset());
    root.querySelector("#zero").addEventListener("click", () => this.zero());
    this.explain(root.querySelector("#turnable"));
    if (this.steering.reason !== null) this.disable(root);
    this.showCode();
  }

  canTurn(neuron) {
    return this.turnable === null || this.turnable.has(neuron);
  }

  /** Say why some neurons cannot be turned by themselves. */
  explain(place) {
    if (this.turnable === null) return;
    place.hidden = false;
    place.textContent =
      `${this.turnable.size} of ${plural(this.nNeurons, "neuron")} can be turned here, ` +
      "those with the most weight: so many fire at once that there is no room for " +
      "more. Knobs turn all.";
  }

  addKnob({ key, title, value, limit, step, lowers }) {
    const ends = lowers
      ? ["more popular", "less popular"]
      : [`less ${title}`, `more ${title}`];
    const hint = lowers ? "Positive lowers popularity." : "Positive gives more of it.";
    const id = `knob-${this.knobs.size}`;
    const knob = new Knob(
      { id, title: capital(title), hint, ends, value, limit, step },
      () => this.changed()
    );
    this.knobs.set(key, knob);
    this.list.append(knob.element);
  }

  addNeuron(neuron, value = 0) {
    this.message.textContent = "";
    if (!this.neurons.has(neuron)) {
      const { limit, step, unit } = this.steering.neuron_knob;
      const label = this.nameOf(neuron);
      const title = `Neuron ${neuron}${label ? ` · ${label}` : ""}`;
      const knob = new Knob(
        { id: `neuron-${neuron}`, title, ends: ["down", "up"], value, limit, step,
          hint: `Positive turns it up, in ${unit}.`,
          onremove: () => this.removeNeuron(neuron) },
        () => this.changed()
      );
      this.neurons.set(neuron, knob);
      this.picked.append(knob.element);
      this.changed();
    }
    this.neurons.get(neuron).slider.focus();
  }

  removeNeuron(neuron) {
    this.neurons.get(neuron).element.remove();
    this.neurons.delete(neuron);
    this.field.focus();
    this.changed();
  }

  reset() {
    for (const knob of this.knobs.values()) knob.set(knob.initial);
    for (const knob of this.neurons.values()) knob.set(0);
  }

  zero() {
    for (const knob of [...this.knobs.values(), ...this.neurons.values()]) knob.set(0);
  }

  changed() {
    this.showCode();
    this.onchange();
  }

  /** Strengths of the knobs by key, and of single neurons. */
  values() {
    const knobs = {};
    for (const [key, knob] of this.knobs) knobs[key] = knob.value;
    const neurons = new Map();
    for (const [neuron, knob] of this.neurons) {
      if (knob.value !== 0) neurons.set(neuron, knob.value);
    }
    return { knobs, neurons };
  }

  /** The same in Python. */
  showCode() {
    const { knobs, neurons } = this.values();
    const text = (value) => String(Number(value.toPrecision(6)));
    const pairs = Object.entries(knobs).map(
      ([key, value]) => `${JSON.stringify(key)}: ${text(value)}`
    );
    const strength = this.steering.union ? `{${pairs.join(", ")}}` : text(knobs[""]);
    const more = [...neurons].map(([neuron, value]) => `${neuron}: ${text(value)}`);
    const note = more.length
      ? `\n# and a knob NeuronSubset({${more.join(", ")}}) in a NeuronUnion`
      : "";
    this.code.textContent = `model.recommend(X, strength=${strength})${note}`;
  }

  disable(root) {
    for (const knob of this.knobs.values()) knob.disable();
    for (const control of root.querySelectorAll("#pick input, #pick button, #reset, #zero")) {
      control.disabled = true;
    }
    const reason = root.querySelector("#reason");
    reason.hidden = false;
    reason.append(
      el("strong", {}, "These knobs cannot be turned in a page. "),
      this.steering.reason,
      " The lists are those of the model at its own strength."
    );
  }
}

function capital(text) {
  return text ? text[0].toUpperCase() + text.slice(1) : text;
}

