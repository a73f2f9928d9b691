// A picture, chosen or dropped, and what its marks say about its origin.

import { $, about, ask, dropped, say } from "/ask.js";

async function check(file) {
  $("layers").hidden = true;
  if (file.size > about.limits.upload_mb * 1e6) {
    say($("verdict"), `${file.name} is larger than ${about.limits.upload_mb} MB.`, true);
    return;
  }
  say($("verdict"), `Checking ${file.name} …`);
  try {
    const told = await (await ask("/v1/check", { method: "POST", body: file })).json();
    say($("verdict"), `${file.name}: ${told.verdict}.`);
    $("layers").replaceChildren(...told.sentences.map((sentence) => {
      const item = document.createElement("li");
      item.textContent = sentence;
      return item;
    }));
    $("layers").hidden = !told.sentences.length;
  } catch (error) {
    say($("verdict"), error.message, true);
  }
}

$("picture").addEventListener("change", (event) => {
  if (event.target.files[0]) check(event.target.files[0]);
  event.target.value = "";
});
dropped($("check-drop"), check);
