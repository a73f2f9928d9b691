// The page of ds2f, without a library: voices become faces, which appear while they are drawn.

import { $, about, ask, lines, readUrl, say } from "/ask.js";
import "/check.js";
import { addVoice, voices } from "/voices.js";

const SET = 4; // seeds that are shown together, the most typical person first, as in diffusion/plain.py

let drawing = null; // AbortController of the running drawing
let otherSteps = Math.min(about.defaults.steps, about.limits.steps); // of the decoder that is not selected, the fast or the fine one

function ready() {
  $("draw").disabled = !drawing && !voices.some((voice) => voice.text);
  if (!drawing && voices.some((voice) => voice.text) && $("status").textContent.startsWith("First")) say($("status"), "");
  $("draw").textContent = drawing ? "Stop" : "Imagine faces";
}

function showOutputs() {
  $("variety-shown").textContent = Number($("variety").value).toFixed(2);
  const fast = about.fast > 0 && $("fast").checked;
  $("steps").disabled = fast;
  $("steps-shown").textContent = $("steps").value;
}

async function wanted(heard) {
  const asked = { voices: heard.map((voice) => voice.text), variety: Number($("variety").value) };
  for (const name of ["count", "seed", "steps"]) asked[name] = Number($(name).value);
  asked.fast = $("steps").disabled;
  if (asked.fast) delete asked.steps;
  if ($("age").value) asked.age = Number($("age").value);
  if ($("gender").value) asked.gender = $("gender").value;
  if ($("guide").files[0]) asked.guide = await readUrl($("guide").files[0]);
  return asked;
}

function layOut(heard, count, seed) {
  const figures = [];
  $("results").replaceChildren(...heard.flatMap((voice) => {
    const title = document.createElement("h3");
    title.textContent = heard.length > 1 ? voice.name : "";
    const row = document.createElement("div");
    row.className = "faces";
    for (let i = 0; i < count; i += 1) {
      const figure = document.createElement("figure");
      figure.className = "drawing";
      const image = new Image();
      image.alt = `Imagined face for the ${voice.name.toLowerCase()}, seed ${seed + i}`;
      const caption = document.createElement("figcaption");
      caption.textContent = `seed ${seed + i}${(seed + i) % SET ? "" : ", typical"}`;
      figure.append(image, caption);
      row.append(figure);
      figures.push(figure);
    }
    return heard.length > 1 ? [title, row] : [row];
  }));
  return figures;
}

async function draw(event) {
  event.preventDefault();
  if (drawing) {
    drawing.abort();
    return;
  }
  const heard = voices.filter((voice) => voice.text);
  drawing = new AbortController();
  ready();
  say($("status"), "Waiting for its turn …");
  $("progress").removeAttribute("value");
  $("progress").hidden = false;
  try {
    const asked = await wanted(heard);
    const headers = { "content-type": "application/json", accept: "application/x-ndjson" };
    const body = JSON.stringify(asked);
    const answer = await ask("/v1/faces", { method: "POST", headers, body, signal: drawing.signal });
    const figures = layOut(heard, asked.count, asked.seed);
    for await (const told of lines(answer)) {
      if (told.error) throw new Error(told.error);
      if (told.done) {
        finish(told, figures, asked);
      } else if ("waiting" in told) {
        if (told.waiting) say($("status"), `Waiting: ${told.waiting} ahead of this.`);
      } else {
        $("progress").value = told.step / told.of;
        if (told.step === 1) say($("status"), "Drawing …"); // announced once; screen readers can read the progress bar for more
        $("step").textContent = `step ${told.step} of ${told.of}`;
        told.faces.forEach((url, i) => { figures[i].querySelector("img").src = url; });
      }
    }
  } catch (error) {
    if (error.name === "AbortError") say($("status"), "Stopped.");
    else say($("status"), error.message, true);
  }
  drawing = null;
  $("step").textContent = "";
  $("progress").hidden = true;
  ready();
}

function finish(told, figures, asked) {
  told.faces.forEach((face, i) => {
    const figure = figures[i];
    figure.classList.remove("drawing");
    figure.querySelector("img").src = face.png;
    const save = document.createElement("a");
    save.textContent = "Save";
    save.href = face.png;
    save.download = `imagined-${Math.floor(i / asked.count) + 1}-seed-${face.seed}.png`;
    save.setAttribute("aria-label", `Save the face of seed ${face.seed}`);
    figure.querySelector("figcaption").append(save);
  });
  const { voices: left, guide, ...settings } = asked;
  const record = { notice: about.notice, made: new Date().toISOString(), asked: settings, used: told.settings };
  const saving = $("save-settings");
  saving.hidden = false;
  saving.onclick = () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([JSON.stringify(record, null, 2)], { type: "application/json" }));
    link.download = "settings.json";
    link.click();
    URL.revokeObjectURL(link.href);
  };
  const voicesDrawn = told.faces.length / asked.count;
  say($("status"), `Done: ${told.faces.length} imagined faces. "Typical" is the most typical person for a voice; what differs `
    + "between seeds is not in the voice."
    + (voicesDrawn > 1 ? " What differs between the rows at the same seed comes from the voices." : ""));
}

// ── start ────────────────────────────────────────────────────────────────────────────────────────────────────

$("model").textContent = `Model ${about.model}, ${about.size} px.`;
$("count").max = about.limits.count;
$("steps").max = about.limits.steps;
$("count").value = about.defaults.count;
$("fast-field").hidden = !about.fast;
$("fast").checked = about.defaults.fast;
$("steps").value = about.fast || otherSteps;
if (!about.defaults.fast) [otherSteps, $("steps").value] = [$("steps").value, otherSteps];
$("variety").value = about.defaults.temperature;
$("guide-field").hidden = !about.guide;
showOutputs();
document.addEventListener("voices", ready);
addVoice();
$("compare").addEventListener("click", () => addVoice().querySelector(".record").focus());
// A whole set; or, where only one face is wanted, not again the most typical one.
$("dice").addEventListener("click", () => {
  $("seed").value = SET * Math.floor(Math.random() * 250_000) + Number($("count").value === "1");
});
$("guide").addEventListener("change", () => { $("no-guide").hidden = !$("guide").files.length; });
$("no-guide").addEventListener("click", () => {
  $("guide").value = "";
  $("no-guide").hidden = true;
});
$("fast").addEventListener("input", () => {
  [otherSteps, $("steps").value] = [$("steps").value, otherSteps];
});
for (const name of ["variety", "steps", "fast"]) $(name).addEventListener("input", showOutputs);
$("settings").addEventListener("submit", draw);
document.body.dataset.ready = "yes";
