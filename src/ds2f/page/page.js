// The page of ds2f. No library: it asks the server two things, /listen and /faces, and shows what comes back.

const $ = (id) => document.getElementById(id);
const voices = []; // {name, text: what the server calls the voice, or null}
let about;
let drawing = null; // AbortController of the drawing that runs
let sampled = 0;
let otherSteps; // of the way of drawing that is not chosen, the quick or the fine one

// ── asking ───────────────────────────────────────────────────────────────────────────────────────────────────

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer; is ds2f serve still running?");
  }
  if (!answer.ok) {
    const told = await answer.json().catch(() => ({}));
    throw new Error(told.error || `The server refused (${answer.status}).`);
  }
  return answer;
}

async function* lines(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    const parts = (rest + (value || "")).split("\n");
    rest = parts.pop();
    for (const part of parts) yield JSON.parse(part);
    if (done) return;
  }
}

const readUrl = (file) => new Promise((resolve, reject) => {
  const reader = new FileReader();
  reader.onload = () => resolve(reader.result);
  reader.onerror = () => reject(new Error("The picture cannot be read."));
  reader.readAsDataURL(file);
});

// ── voices ───────────────────────────────────────────────────────────────────────────────────────────────────

function addVoice() {
  const voice = { name: "", text: null };
  voices.push(voice);
  const card = $("voice-template").content.firstElementChild.cloneNode(true);
  const find = (selector) => card.querySelector(selector);
  find(".remove").hidden = voices.length === 1;
  find(".remove").addEventListener("click", () => {
    if (card.recorder) card.recorder.stop();
    voices.pop();
    card.remove();
    nameVoices();
    ready();
    $("compare").focus();
  });
  find("input").addEventListener("change", (event) => {
    if (event.target.files[0]) hear(voice, card, event.target.files[0], event.target.files[0].name);
    event.target.value = "";
  });
  find(".sample").addEventListener("click", () => useSample(voice, card));
  find(".record").addEventListener("click", () => record(voice, card));
  if (!navigator.mediaDevices) {
    find(".record").disabled = true;
    find(".record").title = "Browsers record only over https or on this machine itself.";
  }
  const drop = find(".drop");
  for (const kind of ["dragenter", "dragover"]) {
    drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
  }
  for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    const file = event.dataTransfer.files[0];
    if (file) hear(voice, card, file, file.name);
  });
  $("voices").append(card);
  nameVoices();
  return card;
}

function nameVoices() {
  const alone = voices.length === 1;
  document.querySelectorAll(".voice h3").forEach((title, i) => {
    voices[i].name = alone ? "Voice" : ["First voice", "Second voice"][i];
    title.textContent = voices[i].name;
    title.hidden = alone;
  });
  $("compare").hidden = !alone;
}

function say(element, text, bad = false) {
  element.textContent = text;
  element.classList.toggle("bad", bad);
}

async function hear(voice, card, data, name) {
  const heard = card.querySelector(".heard");
  const player = card.querySelector("audio");
  voice.text = null;
  card.querySelector(".description").hidden = true;
  player.hidden = true;
  ready();
  if (data.size > about.limits.upload_mb * 1e6) {
    say(heard, `${name} is larger than ${about.limits.upload_mb} MB; a minute of speech is enough.`, true);
    return;
  }
  say(heard, `Listening to ${name} …`);
  try {
    const told = await (await ask("/listen", { method: "POST", body: data })).json();
    voice.text = told.voice;
    say(heard, `Heard ${name}.`);
    URL.revokeObjectURL(player.src);
    player.src = URL.createObjectURL(data);
    player.hidden = false;
    describe(card, told.description);
  } catch (error) {
    say(heard, error.message, true);
  }
  ready();
}

async function useSample(voice, card) {
  sampled = (sampled % about.samples) + 1;
  try {
    const data = await (await ask(`/samples/${sampled}`)).blob();
    await hear(voice, card, data, `sample ${sampled}, a synthetic voice`);
  } catch (error) {
    say(card.querySelector(".heard"), error.message, true);
  }
}

async function record(voice, card) {
  const button = card.querySelector(".record");
  if (card.recorder) {
    card.recorder.stop();
    return;
  }
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    const recorder = new MediaRecorder(stream);
    const parts = [];
    let seconds = 0;
    const clock = setInterval(() => {
      seconds += 1;
      button.textContent = `Stop (${seconds} s)`;
      if (seconds >= about.limits.seconds) recorder.stop();
    }, 1000);
    recorder.addEventListener("dataavailable", (event) => parts.push(event.data));
    recorder.addEventListener("stop", () => {
      clearInterval(clock);
      stream.getTracks().forEach((track) => track.stop());
      card.recorder = null;
      button.textContent = "Record";
      button.classList.remove("on");
      hear(voice, card, new Blob(parts, { type: recorder.mimeType }), "your recording");
    });
    recorder.start();
    card.recorder = recorder;
    button.textContent = "Stop (0 s)";
    button.classList.add("on");
    say(card.querySelector(".heard"), "Recording: say a few sentences, then stop.");
  } catch (error) {
    say(card.querySelector(".heard"), `The microphone cannot be used (${error.message}).`, true);
  }
}

const percent = (share) => `${Math.round(100 * share)} %`;
const length = (share) => `${100 * share}%`; // as CSS has it

function describe(card, told) {
  const find = (selector) => card.querySelector(selector);
  const facts = [["speech", `${told.speech_seconds.toFixed(1)} s`]];
  if (told.pitch) facts.push(["pitch", `${Math.round(told.pitch)} Hz`]);
  if (told.rate) facts.push(["rate", `${told.rate.toFixed(1)} syllables/s`]);
  find(".facts").replaceChildren(...facts.map(([name, value]) => {
    const row = document.createElement("div");
    const [term, detail] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = name;
    detail.textContent = value;
    row.append(term, detail);
    return row;
  }));
  const female = told.gender.probabilities.female;
  find(".gender .share").style.width = length(female);
  find(".gender").setAttribute("aria-label", `female ${percent(female)}, male ${percent(1 - female)}`);
  find(".left").textContent = `female ${percent(female)}`;
  find(".right").textContent = `male ${percent(1 - female)}`;
  const [low, middle, high] = told.age_years;
  find(".years").textContent = `about ${middle}; 80 % between ${low} and ${high}`;
  const ages = Object.entries(told.age.probabilities);
  const most = Math.max(...ages.map(([, p]) => p), ...Object.values(told.age.before));
  find(".ages").setAttribute("aria-label", ages.map(([decade, p]) => `${decade}: ${percent(p)}`).join(", "));
  find(".ages").replaceChildren(...ages.map(([decade, p]) => {
    const column = document.createElement("span");
    const [bar, before] = [document.createElement("i"), document.createElement("b")];
    column.title = `${decade}: ${percent(p)}, before hearing ${percent(told.age.before[decade])}`;
    bar.style.height = length(p / most);
    before.style.height = length(told.age.before[decade] / most);
    column.append(bar, before);
    return column;
  }));
  find(".settled").textContent = `This voice settles about ${percent(told.determined)} of what makes a face; the other `
    + `${percent(1 - told.determined)} is imagined, differently for every seed. Outlines show what was believed before hearing it.`;
  find(".description").hidden = false;
}

// ── faces ────────────────────────────────────────────────────────────────────────────────────────────────────

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
      caption.textContent = `seed ${seed + i}`;
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
    const answer = await ask("/faces", { method: "POST", body: JSON.stringify(asked), signal: drawing.signal });
    const figures = layOut(heard, asked.count, asked.seed);
    for await (const told of lines(answer)) {
      if (told.error) throw new Error(told.error);
      if (told.done) {
        finish(told, figures, asked);
      } else {
        $("progress").value = told.step / told.of;
        say($("status"), `Drawing: step ${told.step} of ${told.of}`);
        told.faces.forEach((url, i) => { figures[i].querySelector("img").src = url; });
      }
    }
  } catch (error) {
    if (error.name === "AbortError") say($("status"), "Stopped.");
    else say($("status"), error.message, true);
  }
  drawing = null;
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
  say($("status"), `Done: ${told.faces.length} imagined faces. What differs between seeds is not in the voice.`
    + (voicesDrawn > 1 ? " What differs between the rows at the same seed comes from the voices." : ""));
}

// ── beginning ────────────────────────────────────────────────────────────────────────────────────────────────

about = await (await ask("/about")).json();
$("model").textContent = `Model ${about.model}, ${about.size} px.`;
$("count").max = about.limits.count;
$("steps").max = about.limits.steps;
$("steps").value = about.fast || about.defaults.steps;
otherSteps = about.defaults.steps;
$("fast-field").hidden = !about.fast;
$("variety").value = about.defaults.temperature;
$("guide-field").hidden = !about.guide;
showOutputs();
addVoice();
$("compare").addEventListener("click", () => addVoice().querySelector(".record").focus());
$("dice").addEventListener("click", () => { $("seed").value = Math.floor(Math.random() * 1e6); });
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
