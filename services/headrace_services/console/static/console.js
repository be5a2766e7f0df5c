// What pages do beyond htmx: show whether they are live, count what is new, copy, and show an upload's progress.
(() => {
  "use strict";
  const byId = (id) => document.getElementById(id);
  const live = byId("live-state");
  let fresh = 0;

  const say = (state, words) => {
    if (!live) return;
    live.dataset.state = state;
    live.textContent = words;
  };

  document.addEventListener("htmx:sse:after:connection", () => say("live", "live"));
  document.addEventListener("htmx:sse:error", () => say("away", "not connected, trying again"));
  document.addEventListener("htmx:sse:close", () => say("away", "not live"));
  document.addEventListener("bye", () => say("away", "the console stops"));

  // A list does not move under the pointer or the keyboard: what is new is counted instead.
  document.addEventListener("htmx:before:request", (event) => {
    const source = event.target;
    if (!source || !source.dataset || source.dataset.calm === undefined) return;
    const cause = event.detail && event.detail.ctx && event.detail.ctx.sourceEvent;
    if (cause && cause.type === "show-new") { fresh = 0; return; }
    const held = source.matches(":hover") || source.contains(document.activeElement) || window.scrollY > 200;
    if (!held) return;
    event.preventDefault();
    const button = byId("new-rows");
    if (button && fresh) { button.hidden = false; button.textContent = `Show ${fresh} new`; }
  });
  const stream = byId("stream");
  if (stream) stream.addEventListener("status", () => { fresh += 1; });
  document.addEventListener("htmx:after:swap", (event) => {
    const target = event.detail && event.detail.ctx && event.detail.ctx.target;
    if (!target || !target.matches || !target.matches("[data-calm]")) return;
    fresh = 0;
    const button = byId("new-rows");
    if (button) button.hidden = true;
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest && event.target.closest("[data-copy]");
    if (button) {
      const text = button.dataset.copy || (byId(button.dataset.copyFrom) || {}).textContent || "";
      navigator.clipboard.writeText(text).then(() => {
        const before = button.textContent;
        button.textContent = "copied";
        setTimeout(() => { button.textContent = before; }, 1200);
      });
      return;
    }
    const all = event.target.closest && event.target.closest("[data-all]");
    if (all) {
      for (const box of document.querySelectorAll(`input[name="${all.dataset.all}"]`)) box.checked = all.checked;
    }
  });

  const form = byId("upload");
  if (!form) return;
  const file = byId("file"), drop = byId("drop"), bar = byId("progress"), state = byId("upload-state");
  for (const name of ["dragenter", "dragover"]) {
    drop.addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); });
  }
  for (const name of ["dragleave", "drop"]) drop.addEventListener(name, () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length) file.files = event.dataTransfer.files;
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const request = new XMLHttpRequest();
    bar.hidden = false;
    state.textContent = "sending";
    request.upload.addEventListener("progress", (sent) => {
      if (!sent.lengthComputable) return;
      bar.max = sent.total;
      bar.value = sent.loaded;
      if (sent.loaded === sent.total) state.textContent = "sent, waiting for ingress";
    });
    request.addEventListener("load", () => {
      // An accepted upload leads to its page, which the tracker may not know yet.
      if (request.responseURL !== form.action) { window.location.assign(request.responseURL); return; }
      const page = new DOMParser().parseFromString(request.responseText, "text/html");
      const reason = page.getElementById("refusal");
      bar.hidden = true;
      state.textContent = "";
      const told = byId("upload-refusal");
      told.hidden = false;
      told.textContent = reason ? reason.textContent.trim() : `the console answered ${request.status}`;
      told.focus();
    });
    request.addEventListener("error", () => { bar.hidden = true; state.textContent = "the console does not answer"; });
    request.open("POST", form.action);
    request.send(new FormData(form));
  });
})();
