// The page Live: adds each call as it is recorded. Everything a call holds is hostile: it becomes text, never markup.
"use strict";

(() => {
  const table = document.querySelector("[data-live]");
  if (!table || !window.EventSource) return;
  const body = table.tBodies[0];
  const row = document.querySelector("template[data-live-row]").content.querySelector("tr");
  const empty = document.querySelector("[data-live-empty]");
  const state = document.querySelector("[data-live-state]");
  const pause = document.querySelector("[data-live-pause]");
  const most = Number(table.dataset.most);
  const labels = JSON.parse(table.dataset.labels);
  const label = (kind, name) => Object.hasOwn(labels[kind], name) ? labels[kind][name] : null;
  const title = document.title;
  const QUIET_MS = 40000; // the server says that it is there every 15 s
  const AGAIN_MS = 3000;

  let after = table.dataset.after;
  let source, watch;
  let connected = false;
  let waiting = []; // what came while the reader had it paused, the oldest first
  let unseen = 0; // what came while the reader looked elsewhere

  // As the server does it: what steers the direction of writing, or cannot be seen, is shown as one sign.
  const shown = (text) => String(text).replace(/(?![\n\t\u200c\u200d\u00a0\u202f ])[\p{C}\p{Z}]/gu, "\ufffd");

  const paused = () => pause.getAttribute("aria-pressed") === "true";

  function tell() {
    const told = paused() ? "paused" : connected ? "on" : "lost";
    const count = waiting.length < most ? waiting.length : `${most}+`;
    const more = waiting.length ? ` · ${state.dataset.new.replace("{n}", count)}` : "";
    const lost = paused() && !connected ? ` · ${state.dataset.lost}` : "";
    state.className = `live-state ${connected ? told : "lost"}`;
    if (state.textContent !== state.dataset[told] + more + lost) state.textContent = state.dataset[told] + more + lost;
    document.title = unseen ? `(${unseen < most ? unseen : `${most}+`}) ${title}` : title;
  }

  function code(sip) {
    const span = document.createElement("span");
    const known = Number.isInteger(sip.code);
    span.className = `code k${known && sip.class >= 1 && sip.class <= 6 ? sip.class : 0}`;
    span.textContent = known ? sip.code : sip.candidates.length ? `${sip.candidates.join("/")}?` : "–";
    return span;
  }

  function filled(call) {
    const made = row.cloneNode(true);
    const cell = (name) => made.querySelector(`[data-cell="${name}"]`);
    const at = call.ended_at || call.started_at;
    made.dataset.id = call.id;
    cell("link").href = `/calls/${encodeURIComponent(call.id)}`;
    if (at) {
      cell("time").dateTime = at;
      cell("time").textContent = `${at.slice(0, 19).replace("T", " ")} UTC`;
    } else cell("time").replaceWith("–");
    if (label("outcome", call.outcome)) cell("outcome").classList.add(call.outcome);
    cell("outcome").textContent = label("outcome", call.outcome) ?? call.outcome;
    if (!call.partial) cell("partial").remove();
    cell("code").replaceWith(code(call.sip));
    cell("phrase").textContent = shown(call.sip.code && call.sip.phrase || "");
    if (label("grade", call.evidence.grade)) {
      cell("grade").textContent = call.evidence.grade;
      cell("grade").title = label("grade", call.evidence.grade);
    } else cell("grade").remove();
    cell("from").textContent = shown(call.caller.number || call.caller.endpoint || "–");
    cell("name").textContent = shown(call.caller.name || "");
    cell("to").textContent = shown(call.dialled || "–");
    if (!["answered", "rescued"].includes(call.outcome)) cell("side").textContent = label("fault", call.fault.side) ?? "";
    if (call.attempts.length) cell("nobody").remove();
    call.attempts.forEach((attempt, at) => {
      const tried = document.createElement("span");
      tried.className = "hop";
      tried.append(`${shown(attempt.trunk || attempt.endpoint || "–")} `, code(attempt.sip));
      if (at) {
        const then = document.createElement("span");
        then.className = "soft";
        then.textContent = call.attempts[at - 1].stage === attempt.stage ? "+" : "→";
        cell("route").append(" ", then, " ");
      }
      cell("route").append(tried);
    });
    localTimes(made);
    return made;
  }

  function show(call) {
    if (body.querySelector(`[data-id="${CSS.escape(call.id)}"]`)) return;
    const made = filled(call);
    made.classList.add("new");
    body.prepend(made);
    while (body.rows.length > most) body.lastElementChild.remove();
    table.hidden = false;
    empty.hidden = true;
  }

  function hear(event) {
    after = event.lastEventId || after;
    alive();
    if (event.type !== "call") return;
    const call = JSON.parse(event.data);
    if (document.hidden) unseen += 1;
    if (!paused()) show(call);
    else {
      waiting.push(call);
      if (waiting.length > most) waiting.shift();
    }
    tell();
  }

  function alive() {
    clearTimeout(watch);
    watch = setTimeout(again, QUIET_MS, 0);
    if (connected) return;
    connected = true;
    tell();
  }

  function again(wait) {
    clearTimeout(watch);
    source.close();
    connected = false;
    tell();
    setTimeout(connect, wait);
  }

  // A browser gives up on an answer that is no stream: the program is starting, or the session is over.
  async function refused() {
    again(AGAIN_MS);
    const answer = await fetch("/api/v1/health", { headers: { Accept: "application/json" } }).catch(() => null);
    if (answer && answer.status === 401) location.reload();
  }

  function connect() {
    const url = new URL(table.dataset.live, location.href);
    url.searchParams.set("after", after);
    source = new EventSource(url);
    source.addEventListener("open", alive);
    source.addEventListener("call", hear);
    source.addEventListener("here", hear);
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED) refused();
      else {
        connected = false; // it comes back by itself, with the id of the last event
        tell();
      }
    });
  }

  pause.addEventListener("click", () => {
    const now = !paused();
    pause.setAttribute("aria-pressed", now);
    const label = pause.textContent;
    pause.textContent = pause.dataset.resume;
    pause.dataset.resume = label;
    if (!now) waiting.splice(0).forEach(show);
    tell();
  });

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    unseen = 0;
    tell();
  });

  state.hidden = pause.hidden = false;
  state.textContent = "…";
  connect();
})();
