// What pages do beside showing: times in the reader's zone, the theme, the language. Everything can be read without.
"use strict";

const lang = document.documentElement.lang;
const FORMS = {
  time: { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" },
  minute: { hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
  date: { year: "numeric", month: "2-digit", day: "2-digit" },
  both: { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" },
};

// <time datetime="...Z" data-form="time">: the UTC text that the server wrote goes into the title.
function localTimes(root) {
  for (const each of root.querySelectorAll("time[datetime]:not([title])")) {
    const at = new Date(each.dateTime);
    if (isNaN(at)) continue;
    each.title = each.dateTime.replace("T", " ").replace(/(\.\d{3})\d*Z?$|Z$/, "$1") + " UTC";
    each.textContent = at.toLocaleString(lang, FORMS[each.dataset.form] || FORMS.both);
  }
}

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

document.addEventListener("click", (event) => {
  if (!event.target.closest("[data-theme-toggle]")) return;
  const theme = isDark() ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  try { localStorage.setItem("theme", theme); } catch { /* this page only */ }
  document.dispatchEvent(new Event("theme"));
});

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
});

// A field that was left empty asks for nothing: addresses stay short.
document.addEventListener("formdata", (event) => {
  if (event.target.method !== "get") return;
  for (const [name, value] of [...event.formData]) if (value === "") event.formData.delete(name);
});

document.addEventListener("DOMContentLoaded", () => {
  localTimes(document);
  // on a phone not every language's names fit side by side: the one that is read is in sight
  document.querySelector("nav [aria-current]")?.scrollIntoView({ inline: "nearest", block: "nearest" });
});
document.addEventListener("htmx:after:swap", () => localTimes(document));

// <button data-copy="id of what to copy">
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(source.textContent);
  } catch { // no clipboard over plain HTTP from elsewhere: the text is marked, to be copied by hand
    getSelection().selectAllChildren(source);
    return;
  }
  const said = button.textContent;
  button.textContent = button.dataset.done;
  setTimeout(() => { button.textContent = said; }, 1500);
});
