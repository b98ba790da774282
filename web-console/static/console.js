// Progressive enhancement only: every page works without this file.
"use strict";

// Dialogs: <button data-dialog="id">. Without script the button's form opens a confirmation page.
for (const button of document.querySelectorAll("[data-dialog]")) {
  const dialog = document.getElementById(button.dataset.dialog);
  if (!dialog || !dialog.showModal) continue;
  button.addEventListener("click", (event) => {
    event.preventDefault();
    dialog.showModal();
  });
}
for (const button of document.querySelectorAll("[data-dismiss]")) {
  button.addEventListener("click", (event) => {
    event.preventDefault();
    button.closest("dialog").close();
  });
}

// Passwords: a Show button that exists only with script.
for (const button of document.querySelectorAll("[data-reveal]")) {
  const input = document.getElementById(button.dataset.reveal);
  button.hidden = false;
  button.addEventListener("click", () => {
    const shown = input.type === "text";
    input.type = shown ? "password" : "text";
    button.textContent = shown ? "Show" : "Hide";
    button.setAttribute("aria-pressed", String(!shown));
  });
}

// Copying: a Copy button that exists only with script.
const copying = (root) => {
  if (!navigator.clipboard) return;
  for (const button of root.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      button.textContent = "Copied";
    });
  }
};
copying(document);

// Times are printed in UTC by the server; with script they are told on the reader's own clock.
const clock = (root) => {
  for (const time of root.querySelectorAll("time[data-clock]")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    const day = { day: "numeric", month: "long", year: "numeric" };
    const hour = { hour: "2-digit", minute: "2-digit" };
    const second = { ...hour, second: "2-digit" };
    const shape = { day, time: second, both: { ...day, ...hour } }[time.dataset.clock];
    time.title = time.textContent;
    time.textContent = new Intl.DateTimeFormat("en-GB", shape).format(at).replace(" at ", ", ");
    time.removeAttribute("data-clock");
  }
};
clock(document);

// Live address check: GET {data-check}?name=… answers JSON {free, says}; the line is text, never markup.
for (const input of document.querySelectorAll("[data-check]")) {
  const line = document.getElementById(input.id + "-says");
  let wait;
  let latest = 0;
  input.addEventListener("input", () => {
    clearTimeout(wait);
    const mine = ++latest;
    if (input.value.trim() === "") {
      line.hidden = true;
      return;
    }
    wait = setTimeout(async () => {
      try {
        const answer = await fetch(input.dataset.check + "?name=" + encodeURIComponent(input.value), { headers: { accept: "application/json" } });
        if (!answer.ok || mine !== latest) return;
        const said = await answer.json();
        line.hidden = false;
        line.querySelector("[data-words]").textContent = said.says;
        line.querySelector("[data-yes]").toggleAttribute("hidden", !said.free);
        line.querySelector("[data-no]").toggleAttribute("hidden", said.free);
        input.closest(".field").classList.toggle("bad", !said.free);
        input.setAttribute("aria-invalid", String(!said.free));
      } catch { /* offline: the form is checked again when it is sent */ }
    }, 250);
  });
}

// Live parts: <section id data-live="/…/events">. Each event means "look again"; the part is taken
// from a fresh copy of this very page, so that there is one rendering. {"go": url} moves on.
for (const live of document.querySelectorAll("[data-live]")) {
  const id = live.id;
  const events = new EventSource(live.dataset.live);
  let busy = false;
  let again = false;
  const look = async () => {
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      if (answer.ok) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        const fresh = page.getElementById(id);
        if (fresh) {
          const node = document.adoptNode(fresh);
          clock(node);
          copying(node);
          document.getElementById(id).replaceWith(node);
          if (!fresh.hasAttribute("data-live")) events.close();
        }
      }
    } catch { /* the next event tries again */ }
    busy = false;
    if (again) {
      again = false;
      look();
    }
  };
  events.addEventListener("message", (event) => {
    const said = JSON.parse(event.data);
    if (said.go) {
      events.close();
      location.assign(said.go);
    } else {
      look();
      if (said.end) events.close();
    }
  });
}

// Uploads: a plain multipart form without script; with it, pieces that go on where they stopped.
for (const form of document.querySelectorAll("form[data-upload]")) {
  const file = form.querySelector("input[type=file]");
  const box = form.querySelector("[data-upload-box]");
  const words = form.querySelector("[data-upload-words]");
  const bar = form.querySelector("[data-upload-bar]");
  const send = form.querySelector("button[type=submit]");
  const token = form.elements.token.value;
  const piece = 8 * 1024 * 1024;
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  const amount = (bytes) => {
    let step = 0;
    let value = bytes;
    while (value >= 1000 && step < 4) {
      value /= 1000;
      step += 1;
    }
    return (step < 2 ? Math.round(value) : value.toFixed(1)) + " " + units[step];
  };
  const tell = (text) => { box.hidden = false; words.textContent = text; };
  const problem = async (answer) => {
    try { return (await answer.json()).detail || answer.statusText; } catch { return "The provider answered " + answer.status + "."; }
  };
  for (const [name, on] of [["dragover", true], ["dragleave", false], ["drop", false]]) {
    form.addEventListener(name, (event) => {
      event.preventDefault();
      form.querySelector(".drop").classList.toggle("over", on);
      if (name === "drop" && event.dataTransfer.files.length) file.files = event.dataTransfer.files;
    });
  }
  form.addEventListener("submit", async (event) => {
    const chosen = file.files[0];
    if (!chosen) return;
    event.preventDefault();
    send.disabled = true;
    tell("Starting…");
    try {
      const key = ["freehold-upload", form.action, chosen.name, chosen.size, chosen.lastModified].join("|");
      let at = 0;
      let place = sessionStorage.getItem(key);
      if (place) {
        const head = await fetch(place + "/archive", { method: "HEAD" });
        if (head.ok && head.headers.has("upload-offset")) at = Number(head.headers.get("upload-offset"));
        else place = null;
      }
      if (!place) {
        const begun = await fetch(form.dataset.upload, {
          method: "POST",
          headers: { "content-type": "application/json", "x-freehold-token": token },
          body: JSON.stringify({ bytes: chosen.size }),
        });
        if (!begun.ok) throw new Error(await problem(begun));
        place = (await begun.json()).location;
        sessionStorage.setItem(key, place);
      }
      const started = performance.now();
      const from = at;
      let tries = 0;
      while (at < chosen.size) {
        try {
          const answer = await fetch(place + "/archive?offset=" + at, {
            method: "PATCH",
            headers: { "content-type": "application/octet-stream", "x-freehold-token": token },
            body: chosen.slice(at, at + piece),
          });
          if (answer.status >= 400 && answer.status < 500 && answer.status !== 408 && answer.status !== 409) {
            sessionStorage.removeItem(key);
            throw Object.assign(new Error(await problem(answer)), { final: true });
          }
          if (!answer.ok) throw new Error(await problem(answer));
          at = (await answer.json()).offset;
          tries = 0;
        } catch (error) {
          tries += 1;
          if (error.final || tries > 20) throw error;
          tell("The line was cut at " + amount(at) + ". Trying again by itself.");
          await new Promise((done) => setTimeout(done, Math.min(500 * 2 ** tries, 15000)));
          const head = await fetch(place + "/archive", { method: "HEAD" }).catch(() => null);
          if (head && head.ok && head.headers.has("upload-offset")) at = Number(head.headers.get("upload-offset"));
        }
        bar.setAttribute("width", String((100 * at) / chosen.size));
        const seconds = (performance.now() - started) / 1000;
        const speed = (at - from) / Math.max(seconds, 0.1);
        const left = speed > 0 ? Math.ceil((chosen.size - at) / speed) : 0;
        tell(amount(at) + " of " + amount(chosen.size) + " sent, " + amount(speed) + " a second" + (left > 1 ? ", about " + left + " s left" : ""));
      }
      sessionStorage.removeItem(key);
      location.assign(place);
    } catch (error) {
      tell(error.message + " Nothing on your server has changed. Press the button to go on where it stopped.");
      send.disabled = false;
    }
  });
}

// A form is sent once: a second press while the first is under way does nothing.
for (const form of document.querySelectorAll("form[data-once]")) {
  let sent = false;
  form.addEventListener("submit", (event) => {
    if (sent) event.preventDefault();
    sent = true;
    setTimeout(() => { sent = false; }, 8000);
  });
}

// Toasts leave by themselves after eight seconds, unless someone is on them.
for (const toast of document.querySelectorAll("[data-toast]")) {
  const leave = () => (toast.matches(":hover, :focus-within") ? setTimeout(leave, 2000) : toast.remove());
  setTimeout(leave, 8000);
}

// A time zone that nobody has chosen yet begins with the reader's own.
for (const zone of document.querySelectorAll("input[data-own-zone]")) {
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (own && zone.value === "UTC") zone.value = own;
}

// A moment on the reader's own clock: the form carries how many minutes it is ahead of UTC on that very day.
for (const form of document.querySelectorAll("form[data-moment]")) {
  const { day, time, ahead } = form.elements;
  const now = new Date(`${day.value}T${time.value}:00Z`);
  if (Number.isNaN(now.getTime())) continue;
  const two = (figure) => String(figure).padStart(2, "0");
  day.value = `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`;
  if (day.max < day.value) day.max = day.value;
  time.value = `${two(now.getHours())}:${two(now.getMinutes())}`;
  form.querySelector("[data-zone]").textContent = "The time is on your clock.";
  form.addEventListener("submit", () => {
    ahead.value = String(-new Date(`${day.value}T${time.value}`).getTimezoneOffset());
  });
}

// An app's package: a dropped file goes into the form as if it had been chosen, a dropped folder is sent with its paths.
for (const form of document.querySelectorAll("form[data-package]")) {
  const words = form.querySelector("[data-package-words]");
  const drop = form.querySelector(".drop");
  const tell = (text) => { words.hidden = false; words.textContent = text; };
  form.querySelector("[data-package-hint]").hidden = false;
  form.addEventListener("submit", () => tell("Sending…"));
  const files = async (entry, path) => {
    if (entry.isFile) return [[path + entry.name, await new Promise((found, failed) => entry.file(found, failed))]];
    const reader = entry.createReader();
    const all = [];
    for (;;) {
      const some = await new Promise((found, failed) => reader.readEntries(found, failed));
      if (!some.length) return all;
      for (const one of some) all.push(...(await files(one, path + entry.name + "/")));
    }
  };
  for (const [name, on] of [["dragover", true], ["dragleave", false], ["drop", false]]) {
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", on);
    });
  }
  drop.addEventListener("drop", async (event) => {
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    if (!entries.some((entry) => entry.isDirectory)) {
      form.elements.package.files = event.dataTransfer.files;
      form.requestSubmit();
      return;
    }
    tell("Reading the folder…");
    try {
      const body = new FormData();
      body.append("token", form.elements.token.value);
      for (const entry of entries) for (const [path, file] of await files(entry, "")) body.append("folder", file, path);
      tell("Sending…");
      const answer = await fetch(form.action, { method: "POST", body });
      if (answer.redirected) location.assign(answer.url);
      else document.documentElement.innerHTML = (await answer.text()).replace(/^<!doctype html>/i, "");
    } catch (error) {
      tell("The folder could not be read (" + error.message + "). Nothing was installed; choose it with the button instead.");
    }
  });
}
