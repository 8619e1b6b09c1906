// Shows new mail as it arrives. Without JavaScript there is the link to reload.
"use strict";

(() => {
  const EVERY = 1500;
  const mails = document.getElementById("mails");

  async function look() {
    if (document.hidden) return;
    const response = await fetch(location.pathname, { headers: { accept: "text/html" } });
    if (!response.ok) return;
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const now = page.getElementById("mails");
    // What has focus is left alone until something is new.
    if (now && now.innerHTML !== mails.innerHTML) mails.replaceChildren(...now.childNodes);
  }

  async function watch() {
    try {
      await look();
    } catch {
      // The service is away; it may come back.
    }
    setTimeout(watch, EVERY);
  }

  setTimeout(watch, EVERY);
  document.getElementById("reload").hidden = true;
})();
