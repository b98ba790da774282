// Says of an update on trial whether its page started. Nothing of what the page shows is sent, only what broke.
(() => {
  const me = document.currentScript;
  const release = Number(me.dataset.release);
  let said = false;
  const say = (what) => {
    if (said) return;
    said = true;
    fetch("/.freehold/started", {
      method: "POST",
      keepalive: true,
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ release, ...what }),
    })
      .then((answer) => answer.json())
      .then((answer) => {
        if (answer.back) location.reload();
      })
      .catch(() => {});
  };
  const path = (address) => {
    try {
      return new URL(address).pathname.split("/").slice(3).join("/") || address;
    } catch {
      return String(address);
    }
  };
  addEventListener(
    "error",
    (event) => {
      const from = event.target;
      if (from instanceof HTMLScriptElement) say({ failed: `${path(from.src)} could not be loaded` });
      else if (from instanceof HTMLLinkElement && from.rel === "stylesheet") say({ failed: `${path(from.href)} could not be loaded` });
      else if (event.message) say({ failed: event.message });
    },
    true,
  );
  // A promise nobody looks after may be harmless, unless the page stays empty for it.
  let broken = "";
  addEventListener("unhandledrejection", (event) => {
    broken = String(event.reason?.message ?? event.reason);
  });
  const empty = () => !document.body?.innerText.trim() && !document.querySelector("img, svg, canvas, video, input");
  addEventListener("load", () => {
    setTimeout(() => {
      if (empty()) say({ failed: broken || "its page stayed empty" });
      else say({ started: true });
    }, 3000);
  });
  addEventListener("pagehide", () => say({ left: true }));
})();
