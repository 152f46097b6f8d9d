"use strict";
// Drawing: skeletons and what is said of them, on a canvas over the picture.
const Draw = (() => {
  const COLOURS = { left: "#56b4ff", right: "#ff9d4d", middle: "#f2f2f2" };
  const DARK = "rgba(16, 18, 22, .78)";
  const UNSURE = 0.3; // joints below are drawn faintly

  /** Where joints without a picture are drawn: the corners that hold nearly all of them. */
  function bounds(frames) {
    const columns = [], rows = [];
    const up = frames.some((frame) => frame.people.some((one) => (one.joints[0] || []).length === 3)) ? -1 : 1;
    for (const frame of frames) {
      for (const one of frame.people) {
        one.joints.forEach(([x, y], joint) => {
          if (one.scores[joint] > 0) { columns.push(x); rows.push(up * y); }
        });
      }
    }
    const ends = (values) => {
      values.sort((a, b) => a - b);
      const at = (share) => values[Math.min(values.length - 1, Math.floor(share * values.length))];
      return values.length ? [at(0.01), at(0.99)] : [0, 1];
    };
    const [[left, right], [top, bottom]] = [ends(columns), ends(rows)];
    const side = Math.max(right - left, bottom - top, 1e-6);
    const margin = 0.14 * side;
    const width = Math.max(right - left + 2 * margin, 0.9 * side);
    const height = Math.max(bottom - top + 2 * margin, 0.6 * side);
    return { left: (left + right - width) / 2, top: (top + bottom - height) / 2, width, height, up };
  }

  /** The whole picture. */
  const picture = ([height, width]) => ({ left: 0, top: 0, width, height, up: 1 });

  function label(pen, lines, x, y, unit, wide) {
    pen.font = `600 ${Math.round(13 * unit)}px system-ui, sans-serif`;
    const height = 18 * unit * lines.length + 6 * unit;
    const width = Math.max(...lines.map(({ text }) => pen.measureText(text).width)) + 22 * unit;
    const left = Math.min(Math.max(0, x - width / 2), Math.max(0, wide - width));
    const top = Math.max(0, y - height);
    pen.fillStyle = DARK;
    pen.beginPath();
    pen.roundRect(left, top, width, height, 4 * unit);
    pen.fill();
    pen.textBaseline = "middle";
    lines.forEach(({ text, colour }, row) => {
      const middle = top + 3 * unit + 18 * unit * (row + 0.5);
      pen.fillStyle = colour;
      pen.fillRect(left + 6 * unit, middle - 5 * unit, 6 * unit, 10 * unit);
      pen.fillStyle = "#ffffff";
      pen.fillText(text, left + 16 * unit, middle);
    });
  }

  /**
   * One frame.
   * said: lines [{person, text, colour}]; person null stands in the corner.
   */
  function frame(canvas, people, body, place, said) {
    const unit = window.devicePixelRatio || 1;
    const box = canvas.getBoundingClientRect();
    canvas.width = Math.max(1, Math.round(box.width * unit));
    canvas.height = Math.max(1, Math.round(box.height * unit));
    const pen = canvas.getContext("2d");
    const [across, down] = [canvas.width / place.width, canvas.height / place.height];
    const at = ([x, y]) => [(x - place.left) * across, (place.up * y - place.top) * down];
    const thick = Math.max(2, Math.min(canvas.width, canvas.height) / 130);
    pen.lineCap = "round";
    for (const one of people) {
      const strokes = body.bones.filter(([a, b]) => one.scores[a] > 0 && one.scores[b] > 0);
      for (const [colour, more] of [["rgba(0, 0, 0, .55)", 1.9], [null, 1]]) {
        for (const [child, parent] of strokes) {
          const side = body.sides[child] === "middle" ? body.sides[parent] : body.sides[child];
          pen.globalAlpha = Math.min(one.scores[child], one.scores[parent]) < UNSURE ? 0.35 : 1;
          pen.strokeStyle = colour || COLOURS[side];
          pen.lineWidth = thick * more;
          pen.beginPath();
          pen.moveTo(...at(one.joints[child]));
          pen.lineTo(...at(one.joints[parent]));
          pen.stroke();
        }
      }
      let [x, y] = [0, Infinity], seen = 0;
      one.joints.forEach((joint, number) => {
        if (!(one.scores[number] > 0)) return;
        const [column, row] = at(joint);
        pen.globalAlpha = one.scores[number] < UNSURE ? 0.35 : 1;
        pen.fillStyle = COLOURS[body.sides[number]];
        pen.beginPath();
        pen.arc(column, row, thick * 1.1, 0, 2 * Math.PI);
        pen.fill();
        x += column; seen += 1; y = Math.min(y, row);
      });
      pen.globalAlpha = 1;
      const lines = said.filter((line) => line.person === one.person);
      if (seen && lines.length) label(pen, lines, x / seen, y - 10 * unit, unit, canvas.width);
    }
    const general = said.filter((line) => line.person === null);
    if (general.length) label(pen, general, 0, 0, unit, canvas.width);
  }

  return { bounds, frame, picture };
})();
