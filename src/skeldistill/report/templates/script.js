"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);

  // Tables: a heading's button sorts the rows of every group; what has no figure stays last.
  for (const table of document.querySelectorAll("table.sortable")) {
    const headings = [...table.tHead.rows[0].cells];
    headings.forEach((heading, column) => {
      const button = heading.querySelector("button");
      button.addEventListener("click", () => {
        const now = heading.getAttribute("aria-sort");
        const other = { ascending: "descending", descending: "ascending" };
        const order = other[now] || button.dataset.first || "ascending";
        headings.forEach((cell) => cell.removeAttribute("aria-sort"));
        heading.setAttribute("aria-sort", order);
        const sign = order === "ascending" ? 1 : -1;
        const value = (row) => row.cells[column].dataset.value;
        for (const body of table.querySelectorAll("tbody:not(.label)")) {
          const rows = [...body.rows].sort((a, b) => {
            const [one, two] = [value(a), value(b)];
            if (one === "" || two === "") return (one === "") - (two === "");
            const apart = column ? Number(one) - Number(two) : one.localeCompare(two);
            return sign * apart;
          });
          body.append(...rows);
        }
      });
    });
  }

  // Clips: both views run by the same clock, each at its own frame rate.
  for (const article of document.querySelectorAll(".clip")) {
    const { seconds, views } = data.clips[Number(article.dataset.clip)];
    const pictures = [...article.querySelectorAll(".views svg")].map((picture, index) => ({
      bones: [...picture.querySelectorAll(".bone")],
      joints: [...picture.querySelectorAll(".joint")],
      view: views[index],
    }));
    const play = article.querySelector(".play");
    const slider = article.querySelector("input");
    const speed = article.querySelector("select");
    const output = article.querySelector(".time");
    let share = 0.5, since = null;

    const place = (node, names, values) => names.forEach((name, i) => node.setAttribute(name, values[i]));
    const draw = () => {
      for (const { bones, joints, view } of pictures) {
        const index = Math.min(Math.floor(share * view.frames.length), view.frames.length - 1);
        const frame = view.frames[index], lost = view.lost[index];
        const at = (joint) => [frame[2 * joint], frame[2 * joint + 1]];
        joints.forEach((node, joint) => {
          place(node, ["cx", "cy"], at(joint));
          node.classList.toggle("lost", lost[joint] === "1");
        });
        bones.forEach((node, i) => {
          const [child, parent] = view.bones[i];
          place(node, ["x1", "y1", "x2", "y2"], [...at(child), ...at(parent)]);
          node.classList.toggle("lost", lost[child] === "1" || lost[parent] === "1");
        });
      }
      output.textContent = `${(share * seconds).toFixed(1)} / ${seconds.toFixed(1)} s`;
    };
    const step = (time) => {
      if (since === null) return;
      share = (share + ((time - since) / 1000 / seconds) * Number(speed.value)) % 1;
      since = time;
      slider.value = Math.round(1000 * share);
      draw();
      requestAnimationFrame(step);
    };
    const run = (playing) => {
      since = playing ? performance.now() : null;
      play.textContent = playing ? "❚❚" : "▶";
      play.setAttribute("aria-label", playing ? "Pause" : "Play");
      if (playing) requestAnimationFrame(step);
    };
    play.addEventListener("click", () => run(since === null));
    slider.addEventListener("input", () => {
      run(false);
      share = Number(slider.value) / 1000;
      draw();
    });
  }

  // Confusion matrices: say what stands under the pointer, in all of them at once.
  const figures = [...document.querySelectorAll(".matrix")];
  const show = (row, column) => {
    for (const figure of figures) {
      const matrix = data.matrices[Number(figure.dataset.matrix)];
      const [room, side] = [Number(figure.dataset.room), Number(figure.dataset.side)];
      const cell = side / matrix.totals.length;
      const cursor = figure.querySelector(".cursor");
      const text = figure.querySelector(".under-pointer");
      if (row === null) {
        cursor.setAttribute("width", 0);
        text.textContent = "\u00a0";
        continue;
      }
      const share = (matrix.rows[row] || {})[column] || 0;
      const told = `${matrix.signed && share > 0 ? "+" : ""}${(100 * share).toFixed(1)}`;
      const unit = matrix.signed ? "points" : `% of ${matrix.totals[row]}`;
      const said = row === column ? "said so" : `said ${data.names[column]}`;
      text.textContent = `${data.names[row]}, ${said}: ${told} ${unit}`;
      cursor.setAttribute("x", room + column * cell);
      cursor.setAttribute("y", room + row * cell);
      cursor.setAttribute("width", cell);
      cursor.setAttribute("height", cell);
    }
  };
  for (const figure of figures) {
    const picture = figure.querySelector("svg");
    const size = data.matrices[Number(figure.dataset.matrix)].totals.length;
    const [room, side] = [Number(figure.dataset.room), Number(figure.dataset.side)];
    const look = (event) => {
      const box = picture.getBoundingClientRect();
      const scale = 524 / box.width;
      const column = Math.floor((((event.clientX - box.left) * scale - room) / side) * size);
      const row = Math.floor((((event.clientY - box.top) * scale - room) / side) * size);
      const inside = row >= 0 && column >= 0 && row < size && column < size;
      show(inside ? row : null, column);
    };
    picture.addEventListener("pointermove", look);
    picture.addEventListener("pointerdown", look);
    picture.addEventListener("pointerleave", () => show(null, 0));
  }

  // On paper everything is open.
  addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("details")) details.open = true;
  });
})();
