"use strict";
// Panels: what each network says now and over time.
const Panels = (() => {
  const $ = (id) => document.getElementById(id);
  const percent = (share) => `${Math.round(100 * share)} %`;
  let names = [];

  function make(tag, className, text) {
    const node = document.createElement(tag);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = text;
    return node;
  }

  /** One colour a label, the same for all networks; dark enough for white letters. */
  function colour(label) {
    const place = Math.max(0, names.indexOf(label));
    return `oklch(${[50, 42][place % 2]}% 0.13 ${Math.round(250 + place * 137.5) % 360})`;
  }

  /** A card for every network. */
  function begin(served) {
    names = [...new Set(served.models.flatMap((model) => model.classes))];
    $("models").replaceChildren(...served.models.map((model) => {
      const card = make("article", "model");
      card.dataset.model = model.name;
      const heading = make("h2", "", model.name);
      const millions = (model.parameters / 1e6).toFixed(2);
      heading.append(" ", make("small", "", `${model.network}, ${millions} M`));
      const now = make("p", "now unsure", "–");
      const about = make("p", "note about", `${model.classes.length} actions`);
      card.append(heading, now, about, make("ol", "top"));
      return card;
    }));
  }

  const card = (model) =>
    [...document.querySelectorAll(".model")].find((one) => one.dataset.model === model);

  /** What a network says now: a list of {person, label, confidence}, or words instead. */
  function now(model, entries, words) {
    const line = card(model).querySelector(".now");
    const key = JSON.stringify([entries, words]);
    if (line.dataset.key === key) return;
    line.dataset.key = key;
    line.classList.toggle("unsure", !entries.length);
    const several = new Set(entries.map((entry) => entry.person)).size > 1;
    line.replaceChildren(...entries.map((entry) => {
      const node = make("span", "", entry.label);
      const whom = several ? `, person ${entry.person}` : "";
      node.append(" ", make("small", "", percent(entry.confidence) + whom));
      return node;
    }));
    if (!entries.length) line.textContent = words;
  }

  /** The surest actions. */
  function top(model, about, entries) {
    const key = JSON.stringify([about, entries]);
    if (card(model).dataset.key === key) return;
    card(model).dataset.key = key;
    card(model).querySelector(".about").textContent = about || "\u00a0";
    card(model).querySelector(".top").replaceChildren(...entries.map((entry) => {
      const row = make("li");
      const bar = make("span", "bar"), filled = make("i");
      filled.style.width = `${100 * entry.confidence}%`;
      filled.style.background = colour(entry.label);
      bar.append(filled);
      const name = make("span", "name", entry.label);
      name.title = entry.label;
      row.append(name, bar, make("span", "value", percent(entry.confidence)));
      return row;
    }));
  }

  /** Lanes of segments; clicking goes there. models: [{model, segments}]. */
  function timeline(models, from, to, go) {
    const section = $("timeline");
    section.hidden = false;
    const lanes = [];
    const at = (time) => 100 * Math.min(1, Math.max(0, (time - from) / (to - from)));
    for (const { model, segments } of models) {
      const persons = [...new Set(segments.map((one) => one.person))].sort((a, b) => a - b);
      for (const person of persons.length ? persons : [null]) {
        const lane = make("div", "lane");
        const who = make("div", "who", model);
        if (persons.length > 1) who.append(" ", make("small", "", `person ${person}`));
        const track = make("div", "track");
        for (const one of segments.filter((each) => each.person === person)) {
          const [start, end] = [at(one.start), at(one.end)];
          if (end <= 0 || start >= 100) continue;
          const bar = make("button", "segment", `${one.label} ${percent(one.confidence)}`);
          bar.type = "button";
          bar.title = `${bar.textContent}, ${one.start.toFixed(1)} to ${one.end.toFixed(1)} s`;
          bar.style.left = `${start}%`;
          bar.style.width = `${Math.max(0.4, end - start)}%`;
          bar.style.background = colour(one.label);
          if (go) bar.addEventListener("click", (event) => { event.stopPropagation(); go(one.start); });
          track.append(bar);
        }
        track.append(make("i", "needle"));
        if (go) {
          track.addEventListener("click", (event) => {
            const box = track.getBoundingClientRect();
            go(from + ((event.clientX - box.left) / box.width) * (to - from));
          });
        }
        lane.append(who, track);
        lanes.push(lane);
      }
    }
    const scale = make("div", "lane scale-row"), ends = make("div", "scale");
    ends.append(make("span", "", `${from.toFixed(1)} s`), make("span", "", `${to.toFixed(1)} s`));
    scale.append(make("div", "who"), ends);
    section.replaceChildren(...lanes, scale);
    section.dataset.from = from;
    section.dataset.to = to;
  }

  /** Move the needle. */
  function needle(time) {
    const { from, to } = $("timeline").dataset;
    const share = Math.min(1, Math.max(0, (time - from) / (to - from)));
    for (const node of document.querySelectorAll(".needle")) node.style.left = `${100 * share}%`;
  }

  return { begin, colour, needle, now, percent, timeline, top };
})();
