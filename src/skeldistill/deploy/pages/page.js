"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const [stage, video, canvas] = ["stage", "video", "canvas"].map($);
  const BACK = 20; // seconds of a camera that the timeline shows
  const RATE = 12, WIDTH = 640; // pictures of a camera: so many a second, so wide, at most
  let served = null, watched = null, place = null;
  let clock = 0, since = null; // of what has no video that the browser can play
  let stopCamera = null, work = 0;

  function tell(text, wrong) {
    $("told").hidden = !text;
    $("told").textContent = text;
    $("told").classList.toggle("wrong", Boolean(wrong));
  }

  async function ask(path, options) {
    const answer = await fetch(path, options);
    if (answer.status === 204) return null;
    const said = await answer.json().catch(() => ({ detail: `the server failed (${answer.status})` }));
    if (!answer.ok) throw new Error(said.detail);
    return said;
  }

  /** Give the stage the shape of the picture. */
  function shape({ width, height }) {
    stage.classList.remove("empty");
    stage.style.aspectRatio = `${width} / ${height}`;
    stage.style.maxWidth = `calc(${matchMedia("(max-width: 720px)").matches ? 55 : 70}vh * ${width / height})`;
  }

  // ------------------------------------------------------------------ a clip that was watched

  const played = () => !stage.classList.contains("bare");
  const now = () => (played() ? video.currentTime : clock);
  const paused = () => (played() ? video.paused : since === null);

  function frameAt(time) {
    const frames = watched.frames;
    let [low, high] = [0, frames.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (frames[middle].time <= time + 1e-3) low = middle; else high = middle - 1;
    }
    return frames[low];
  }

  function draw() {
    if (!watched) return;
    const time = now(), frame = frameAt(time), lines = [];
    for (const { model, label, segments, windows } of watched.models) {
      const at = (one) => one.start <= time && time < one.end;
      const going = segments.filter(at);
      const around = windows.filter((one) => at(one) && one.top.length).sort((a, b) => b.top[0].confidence - a.top[0].confidence)[0];
      Panels.top(model, around ? `around ${((around.start + around.end) / 2).toFixed(1)} s:` : "", around ? around.top : []);
      Panels.now(model, going, label === null ? "nobody is seen" : "unsure");
      const whose = watched.models.length > 1 ? `${model}: ` : "";
      for (const one of going) {
        const text = `${whose}${one.label} ${Panels.percent(one.confidence)}`;
        lines.push({ person: one.person, text, colour: Panels.colour(one.label) });
      }
    }
    Draw.frame(canvas, frame.people, watched.body, place, lines);
    Panels.needle(time);
    $("time").textContent = `${time.toFixed(1)} / ${watched.seconds.toFixed(1)} s`;
    $("seek").value = Math.round((1000 * time) / watched.seconds);
    $("play").textContent = paused() ? "▶" : "❚❚";
    $("play").setAttribute("aria-label", paused() ? "Play" : "Pause");
  }

  function step(stamp) {
    if (watched && since !== null) {
      clock += ((stamp - since) / 1000) * Number($("speed").value);
      since = stamp;
      if (clock >= watched.seconds) clock = 0;
    }
    draw();
    if (watched && !paused()) requestAnimationFrame(step);
  }

  function play(on) {
    if (played() && on) video.play().catch(() => bare());
    else if (played()) video.pause();
    since = on && !played() ? performance.now() : null;
    requestAnimationFrame(step);
  }

  function go(time) {
    clock = Math.min(Math.max(0, time), watched.seconds - 1e-3);
    if (played()) video.currentTime = clock;
    requestAnimationFrame(draw);
  }

  /** Without a picture: the skeletons alone, by a clock of our own. */
  function bare() {
    stage.classList.add("bare");
    if (watched) play(true);
  }

  function show(said, file) {
    watched = said;
    place = said.size ? Draw.picture(said.size) : Draw.bounds(said.frames);
    shape(place);
    Panels.timeline(said.models, 0, said.seconds, go);
    $("controls").hidden = false;
    clock = 0;
    stage.classList.toggle("bare", !file);
    if (file) {
      video.loop = true;
      video.onloadeddata = () => play(true);
      video.onerror = bare; // what the browser cannot play (AVI), the server can
      video.src = URL.createObjectURL(file);
    } else play(true);
  }

  function forget() {
    work += 1;
    if (stopCamera) stopCamera();
    watched = since = null;
    if (video.src) URL.revokeObjectURL(video.src);
    video.onerror = video.onloadeddata = null;
    video.removeAttribute("src");
    video.srcObject = null;
    video.load();
    canvas.width = canvas.width; // wipes it
    stage.classList.add("empty");
    for (const id of ["controls", "timeline"]) $(id).hidden = true;
    for (const { name } of served.models) { Panels.now(name, [], "–"); Panels.top(name, "", []); }
  }

  async function open(file) {
    forget();
    const mine = work;
    if (file.size > 1e6 * served.most_megabytes) {
      tell(`${file.name} is larger than ${served.most_megabytes} MB, the most that is taken here`, true);
      return;
    }
    const skeletons = /\.(json|npz)$/i.test(file.name);
    if (!skeletons && !served.estimator) {
      tell("Videos need an estimator to find people (--estimator); choose skeletons, .json or .npz", true);
      return;
    }
    tell(`Looking at ${file.name} …`);
    const ticket = Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16)).join("").padEnd(12, "0");
    const name = encodeURIComponent(file.name.slice(0, 200));
    const path = skeletons ? "/api/skeletons" : `/api/video?name=${name}&ticket=${ticket}`;
    const looking = setInterval(async () => {
      const told = await ask(`/api/progress/${ticket}`).catch(() => null);
      if (told && mine === work) tell(`Looking at ${file.name} … ${Panels.percent(told.share)}`);
    }, 700);
    if (skeletons) clearInterval(looking);
    try {
      const said = await ask(path, { method: "POST", body: file });
      if (mine !== work) return;
      tell(said.warnings.join(" "), true);
      show(said, skeletons ? null : file);
    } catch (error) {
      if (mine === work) tell(error.message, true);
    } finally {
      clearInterval(looking);
    }
  }

  // ------------------------------------------------------------------ a camera

  /** Segments of the last seconds, from what was said frame by frame. */
  function remember(past, said, time) {
    for (const one of said.models) {
      const list = past[one.model] || (past[one.model] = []);
      const last = list.findLast((each) => each.person === one.person);
      if (one.share < 0.5 || one.label === null) continue;
      if (last && last.label === one.label && time - last.end < 1) {
        last.end = time;
        last.confidence += (one.confidence - last.confidence) / 8;
      } else list.push({ ...one, start: last && time - last.end < 1 ? last.end : time, end: time });
      while (list.length && list[0].end < time - BACK) list.shift();
    }
  }

  function showLive(said, past, begun, time) {
    place = Draw.picture(said.size);
    const lines = [];
    for (const { name } of served.models) {
      const mine = said.models.filter((one) => one.model === name);
      const sure = mine.filter((one) => one.share >= 0.5);
      Panels.now(name, sure, mine.length ? "watching …" : "nobody is seen");
      const how = begun.streaming[name] ? "frame by frame" : `the last ${begun.seconds[name].toFixed(1)} s`;
      Panels.top(name, how, sure.length ? sure[0].top : []);
      const whose = served.models.length > 1 ? `${name}: ` : "";
      for (const one of sure) {
        const text = `${whose}${one.label} ${Panels.percent(one.confidence)}`;
        lines.push({ person: one.person, text, colour: Panels.colour(one.label) });
      }
    }
    Draw.frame(canvas, said.people, begun.body, place, lines);
    const lanes = served.models.map(({ name }) => ({ model: name, segments: past[name] || [] }));
    Panels.timeline(lanes, Math.max(0, time - BACK), Math.max(BACK, time), null);
    Panels.needle(time);
  }

  async function camera() {
    forget();
    const mine = work;
    let begun = null, media = null, sending = null;
    const end = async () => {
      if (media) media.getTracks().forEach((track) => track.stop());
      if (sending) await sending.catch(() => null); // a picture on its way needs the camera yet
      if (begun) ask(`/api/live/${begun.live}`, { method: "DELETE" }).catch(() => null);
    };
    stopCamera = () => {
      stopCamera = null;
      $("camera").textContent = "Use the camera";
      tell("");
      end();
    };
    $("camera").textContent = "Stop the camera";
    try {
      tell("Waiting for the camera …");
      media = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: WIDTH } } });
      if (mine !== work) return end(); // somebody stopped it meanwhile
      begun = await ask("/api/live", { method: "POST", body: "{}", headers: { "content-type": "application/json" } });
      if (mine !== work) return end();
      video.srcObject = media;
      await video.play();
      stage.classList.remove("bare");
      shape({ width: video.videoWidth, height: video.videoHeight });
      tell("");
      const small = document.createElement("canvas");
      const scale = Math.min(1, WIDTH / video.videoWidth);
      small.width = Math.round(video.videoWidth * scale);
      small.height = Math.round(video.videoHeight * scale);
      const started = performance.now(), past = {};
      while (mine === work) {
        const taken = performance.now(), time = (taken - started) / 1000;
        small.getContext("2d").drawImage(video, 0, 0, small.width, small.height);
        const blob = await new Promise((done) => small.toBlob(done, "image/jpeg", 0.85));
        if (mine !== work) break;
        sending = ask(`/api/live/${begun.live}?seconds=${time.toFixed(3)}`, { method: "POST", body: blob });
        const said = await sending;
        if (mine !== work) break;
        remember(past, said, time);
        showLive(said, past, begun, time);
        await new Promise((done) => setTimeout(done, Math.max(0, 1000 / RATE - (performance.now() - taken))));
      }
    } catch (error) {
      if (mine === work) {
        forget();
        tell(error.name === "NotAllowedError" ? "The browser was not allowed to use the camera" : error.message, true);
      }
    }
  }

  // ------------------------------------------------------------------ what is clicked

  $("choose").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", () => { if ($("file").files[0]) open($("file").files[0]); $("file").value = ""; });
  $("camera").addEventListener("click", () => { if (stopCamera) forget(); else camera(); });
  $("play").addEventListener("click", () => play(paused()));
  $("seek").addEventListener("input", () => { play(false); go((Number($("seek").value) / 1000) * watched.seconds); });
  $("speed").addEventListener("change", () => { video.playbackRate = Number($("speed").value); });
  for (const kind of ["dragover", "drop", "dragleave"]) {
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      stage.classList.toggle("over", kind === "dragover");
      if (kind === "drop" && event.dataTransfer.files[0]) open(event.dataTransfer.files[0]);
    });
  }
  addEventListener("resize", () => { if (watched) { shape(place); draw(); } });

  ask("/api/models").then((said) => {
    served = said;
    Panels.begin(said);
    const takes = said.estimator ? `Videos (${said.estimator} finds the people) or skeletons` : "Skeletons";
    $("summary").textContent = `Answered by ${said.models.map((model) => model.name).join(" and ")}`;
    $("hint").textContent = `${takes}, .json or .npz; at most ${said.most_megabytes} MB and ${said.most_seconds} s`;
    $("file").accept = said.estimator ? "video/*,.avi,.mkv,.json,.npz" : ".json,.npz";
    $("camera").hidden = !said.estimator || !navigator.mediaDevices;
    document.body.dataset.ready = "yes";
  }).catch((error) => tell(error.message, true));
})();
