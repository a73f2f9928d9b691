// The voices: recorded, chosen, dropped or a sample, and what is heard in each. Dispatches "voices" on every change.

import { $, about, ask, dropped, say } from "/ask.js";

export const voices = []; // {name, text: the voice as the server returned it, or null}
let sampled = 0;

const changed = () => document.dispatchEvent(new Event("voices"));

export function addVoice() {
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
    changed();
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
    find(".record").title = "Browsers record only over HTTPS or on this machine itself.";
  }
  dropped(find(".drop"), (file) => hear(voice, card, file, file.name));
  $("voices").append(card);
  nameVoices();
  return card;
}

function nameVoices() {
  const alone = voices.length === 1;
  document.querySelectorAll(".voice h3").forEach((title, i) => {
    voices[i].name = alone ? "Voice" : ["First voice", "Second voice"][i];
    title.textContent = voices[i].name;
    title.parentElement.setAttribute("aria-label", voices[i].name);
    title.hidden = alone;
  });
  $("compare").hidden = !alone;
}

async function hear(voice, card, data, name) {
  const heard = card.querySelector(".heard");
  const player = card.querySelector("audio");
  const turn = (voice.turn = (voice.turn || 0) + 1); // a slower answer to an earlier recording comes too late
  voice.text = null;
  card.querySelector(".description").hidden = true;
  player.hidden = true;
  changed();
  if (data.size > about.limits.upload_mb * 1e6) {
    say(heard, `${name} is larger than ${about.limits.upload_mb} MB; a minute of speech is enough.`, true);
    return;
  }
  say(heard, `Listening to ${name} …`);
  try {
    const told = await (await ask("/v1/voices", { method: "POST", body: data })).json();
    if (turn !== voice.turn) return;
    voice.text = told.voice;
    say(heard, `Heard ${name}.`);
    URL.revokeObjectURL(player.src);
    player.src = URL.createObjectURL(data);
    player.hidden = false;
    describe(card, told.description);
  } catch (error) {
    if (turn !== voice.turn) return;
    say(heard, error.message, true);
  }
  changed();
}

async function useSample(voice, card) {
  sampled = (sampled % about.samples) + 1;
  try {
    const data = await (await ask(`/v1/samples/${sampled}`)).blob();
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
      if (seconds >= about.limits.max_seconds) recorder.stop();
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
const length = (share) => `${100 * share}%`; // in CSS

function describe(card, told) {
  const find = (selector) => card.querySelector(selector);
  const part = told.part ? `, ${Math.round(told.part.start)} to ${Math.round(told.part.end)} s heard` : "";
  const facts = [["speech", `${told.speech_seconds.toFixed(1)} s${part}`]];
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
  find(".settled").textContent = `This voice determines about ${percent(told.determined)} of what makes a face; the other `
    + `${percent(1 - told.determined)} is imagined, differently for every seed. Outlines show what is assumed before hearing it.`;
  find(".description").hidden = false;
}
