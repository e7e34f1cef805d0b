// What the knobs do: totals over all users, and the list of one of them.

import { el, hidden, mute, percent, plural, signed } from "./dom.js";
import { compareLists, gini, meanOfDefined, ndcg, tailShares } from "./metrics.js";

const GROUPS = { 1: "head", 0: "mid", "-1": "tail" };

export class Results {
  constructor(root, data) {
    this.data = data;
    this.k = data.about.n_recommendations;
    this.tiles = root.querySelector("#totals");
    this.users = root.querySelector("#users");
    this.summary = root.querySelector("#users-summary");
    this.detail = root.querySelector("#list");
    this.live = root.querySelector("#live");
    this.exactness = root.querySelector("#exactness");
    this.selected = 0;
    this.makeTiles();
    this.makeUsers();
  }

  /** Totals of lists: means over users, and exposure over the catalogue. */
  totalsOf(lists) {
    const { users, items, about } = this.data;
    return {
      ndcg: users.held_out ? meanOfDefined(ndcg(lists, users.held_out)) : null,
      gini: gini(lists, about.n_items),
      tail: meanOfDefined(tailShares(lists, items.groups)),
    };
  }

  makeTiles() {
    const tile = (key, name, better, note) => {
      const value = el("span", { class: "value" });
      const change = el("span", { class: "change" });
      const own = el("span", { class: "own" });
      this.tiles.append(
        el("div", { class: "tile", "data-total": key },
          el("dt", {}, `${name}@${this.k}`, el("small", {}, note)),
          el("dd", {}, value, change, own))
      );
      return { key, name, better, value, change, own };
    };
    this.totals = [
      tile("ndcg", "NDCG", 1, "accuracy, higher is better"),
      tile("gini", "Gini", -1, "of exposure, lower is more equal"),
      tile("tail", "Tail share", 1, "slots with rarely seen items"),
    ];
  }

  makeUsers() {
    this.counts = this.data.users.names.map((name, user) => {
      const bar = el("span", { class: "meter" }, el("span", { class: "meter-bar" }));
      const count = el("span", { class: "count" });
      const input = el("input", {
        type: "radio", name: "user", value: user, checked: user === 0,
        onchange: () => {
          this.selected = user;
          this.showUser();
        },
      });
      const words = hidden("");
      const doubt = el("span", { class: "doubt", hidden: true,
        title: "may lack an item that is not in the page" }, mute("?"), hidden(" may lack an item"));
      const label = el("label", { class: "user" }, input,
        el("span", { class: "user-name", title: name }, name),
        el("span", {}, doubt, count), words, bar);
      this.users.append(label);
      return { count, words, doubt, bar: bar.firstChild };
    });
  }

  show(before, after) {
    this.before = before;
    this.after = after;
    const own = this.totalsOf(before);
    const now = this.totalsOf(after);
    for (const { key, better, value, change, own: ownText } of this.totals) {
      if (now[key] === null || Number.isNaN(now[key])) {
        value.textContent = "–";
        ownText.textContent = key === "ndcg" ? "needs held-out items" : "";
        continue;
      }
      const places = key === "tail" ? 1 : 3;
      const text = (x) => (key === "tail" ? percent(x) : x.toFixed(3));
      const difference = (now[key] - own[key]) * (key === "tail" ? 100 : 1);
      const rounded = Number(difference.toFixed(places));
      value.textContent = text(now[key]);
      change.textContent = signed(difference, places);
      change.dataset.verdict =
        rounded === 0 ? "same" : rounded * better > 0 ? "better" : "worse";
      ownText.textContent = `host ${text(own[key])}`;
    }
    this.now = now;
    this.showUsers();
    this.showUser();
    this.showExactness([]);
  }

  showUsers() {
    let changed = 0;
    this.counts.forEach(({ count, words, bar }, user) => {
      const n = this.after[user].filter(
        (id) => id >= 0 && !this.before[user].includes(id)
      ).length;
      changed += n > 0;
      count.textContent = n ? String(n) : "";
      words.textContent = n ? " new items" : " same items";
      bar.style.width = `${(100 * n) / this.k}%`;
    });
    this.summary.textContent =
      `Items differ from the host’s in ${changed} of ${plural(this.counts.length, "list")}.`;
  }

  showUser() {
    const { users, items } = this.data;
    const user = this.selected;
    const { rows, left } = compareLists(this.before[user], this.after[user]);
    const wanted = this.heldOutOf(user);
    const table = el("table", { class: "list" },
      el("caption", {}, el("strong", {}, users.names[user]), ` · ${this.wordsOf(user, rows, left)}`),
      el("thead", {}, el("tr", {},
        el("th", { scope: "col", class: "rank" }, "Rank"),
        el("th", { scope: "col" }, "Item"),
        el("th", { scope: "col", class: "number" }, "Seen by"),
        el("th", { scope: "col", class: "move" }, "Change"))));
    const body = el("tbody");
    for (const { id, place, was, moved } of rows) {
      body.append(this.rowOf(id, place + 1, wanted, moveOf(was, moved)));
    }
    table.append(body);
    if (left.length) {
      const gone = el("tbody", { class: "gone" },
        el("tr", {}, el("th", { colspan: 4, scope: "rowgroup" }, "Left the list")));
      for (const { id, was } of left) {
        const move = el("td", { class: "move left" }, mute("× "), `left, was ${was + 1}`);
        gone.append(this.rowOf(id, "", wanted, move));
      }
      table.append(gone);
    }
    this.detail.replaceChildren(table);
    this.detail.dataset.items = this.after[user].map((id) => items.positions[id] ?? -1).join(" ");
  }

  heldOutOf(user) {
    const heldOut = this.data.users.held_out;
    if (!heldOut) return new Set();
    return new Set(heldOut.items.slice(heldOut.indptr[user], heldOut.indptr[user + 1]));
  }

  wordsOf(user, rows, left) {
    const { users } = this.data;
    const seen = users.n_seen[user];
    const entered = rows.filter(({ was }) => was < 0).length;
    const moved = rows.filter((row) => row.moved).length;
    const change = entered || left.length || moved
      ? `${entered} entered, ${left.length} left, ${moved} moved`
      : "the host’s own list";
    return `${plural(seen, "item")} seen · ${change}`;
  }

  rowOf(id, rank, wanted, move) {
    const { items } = this.data;
    const group = GROUPS[items.groups[id]];
    return el("tr", {},
      el("td", { class: "rank" }, rank),
      el("th", { scope: "row" },
        el("span", { class: `group ${group}`, title: `${group} item` }, group),
        el("span", { class: "title" }, items.names[id]),
        wanted.has(id) && el("span", { class: "hit", title: "a held-out item" },
          mute("★"), hidden(" held-out item found"))),
      el("td", { class: "number" }, Math.round(items.popularity[id]).toLocaleString("en")),
      move);
  }

  /** Say which lists may lack an item; of none where nothing is known yet. */
  showExactness(exact) {
    this.counts.forEach(({ doubt }, user) => { doubt.hidden = exact[user] ?? true; });
    const open = exact.filter((one) => !one).length;
    this.exactness.textContent = open
      ? `At this setting ${open} of ${plural(exact.length, "list")} may lack an item that ` +
        "is not in the page; a question mark says which. Ask model.recommend."
      : "";
  }

  /** Say what has changed, once the knobs rest. */
  announce() {
    const { rows, left } = compareLists(this.before[this.selected], this.after[this.selected]);
    const spoken = this.totals
      .filter(({ key }) => this.now[key] !== null && !Number.isNaN(this.now[key]))
      .map(({ name, value }) => `${name} ${value.textContent}`);
    this.live.textContent =
      `${spoken.join(", ")}. ${this.data.users.names[this.selected]}: ` +
      `${this.wordsOf(this.selected, rows, left)}. ${this.summary.textContent}`;
  }
}

function moveOf(was, moved) {
  if (was < 0) return el("td", { class: "move entered" }, mute("+ "), "entered");
  if (moved > 0) {
    return el("td", { class: "move rose" }, mute("▲ "), hidden("rose "), moved);
  }
  if (moved < 0) {
    return el("td", { class: "move fell" }, mute("▼ "), hidden("fell "), -moved);
  }
  return el("td", { class: "move same" }, mute("="), hidden("same place"));
}
