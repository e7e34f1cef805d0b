// Put the page together.

import { decode } from "./decode.js";
import { Engine } from "./engine.js";
import { setUpTheme } from "./theme.js";
import { Controls } from "./controls.js";
import { Results } from "./results.js";
import { Cards } from "./cards.js";
import { Catalogue } from "./catalogue.js";
import { plural } from "./dom.js";

const data = decode(JSON.parse(document.getElementById("data").textContent));
setUpTheme(document.getElementById("theme"));

const engine = new Engine(data);
const results = new Results(document, data);
const timing = { last: 0, moves: 0 };
let resting = null;

function turn() {
  const started = performance.now();
  const { knobs, neurons } = controls.values();
  const run = engine.works ? engine.run(knobs, neurons) : { lists: engine.ownLists };
  results.show(engine.hostLists, run.lists);
  timing.last = performance.now() - started;
  timing.moves++;
  clearTimeout(resting);
  resting = setTimeout(() => {
    results.announce();
    if (engine.works) results.showExactness(engine.exactness(run));
  }, 400);
}

const controls = new Controls(document, data, () => turn());
turn();

const cards = new Cards(data, {
  pick: (neuron) => controls.addNeuron(neuron),
  canTurn: (neuron) => controls.canTurn(neuron),
  show: (neuron) => catalogue.reveal(neuron),
});
const catalogue = new Catalogue(document, data, cards);

/** Compare with the lists of the model that came along, when there is time. */
function checkItself() {
  const { settings, lists, ties, wrong, open } = engine.check();
  const place = document.getElementById("checked");
  const parts = [];
  if (ties) parts.push(`${ties} with items whose scores are equal but for rounding`);
  if (open) parts.push(`${open} that may lack an item outside of the page`);
  const but = parts.length ? `, but for ${parts.join(" and ")}` : "";
  place.dataset.wrong = wrong;
  place.textContent = wrong
    ? `Do not trust these lists: ${wrong} of ${lists} differ from model.recommend.`
    : `Checked: ${plural(lists, "list")} at ${settings} settings are those of ` +
      `model.recommend${but}.`;
}

if (engine.works) setTimeout(checkItself, 50);

// For the console, and for tests.
const picked = (neurons) =>
  new Map(Object.entries(neurons).map(([n, value]) => [Number(n), value]));
window.neuronExplorer = {
  lists: (knobs, neurons = {}) => {
    const { lists } = engine.run(knobs, picked(neurons));
    return lists.map((list) => list.map((id) => (id < 0 ? -1 : data.items.positions[id])));
  },
  exact: (knobs, neurons = {}) => engine.exactness(engine.run(knobs, picked(neurons))),
  totals: () => results.now,
  timing,
};
