// The registration form, with JavaScript: fields are checked as they are left, it is sent by fetch, and what the service does not
// accept is shown at its field. Without it the same form works by itself.
"use strict";

(() => {
  const form = document.getElementById("register");
  const notice = document.getElementById("notice");
  const submit = form.querySelector("button[type=submit]");
  const fields = { email: form.elements.email, password: form.elements.password };
  const label = (name) => (name === "email" ? "The e-mail address" : "The password");

  // What can be told here; the service has the last word.
  const faults = {
    email(input) {
      if (input.value === "") return "must not be empty";
      return input.validity.typeMismatch ? "must be an address, as in name@example.com" : null;
    },
    password(input) {
      const bytes = new TextEncoder().encode(input.value).length;
      if (bytes < 8) return "must be at least 8 bytes long";
      return bytes > 1024 ? "must be at most 1024 bytes long" : null;
    },
  };

  function show(name, fault) {
    const error = document.getElementById(`${name}-error`);
    error.textContent = fault ? `${label(name)} ${fault}.` : "";
    error.hidden = !fault;
    if (fault) fields[name].setAttribute("aria-invalid", "true");
    else fields[name].removeAttribute("aria-invalid");
  }

  function tell(text) {
    notice.textContent = text;
    notice.hidden = !text;
  }

  function focusFirstInvalid() {
    const first = Object.values(fields).find((input) => input.getAttribute("aria-invalid") === "true");
    if (first) first.focus();
  }

  function busy(on) {
    submit.setAttribute("aria-disabled", String(on));
    submit.textContent = on ? "One moment…" : "Create account";
  }

  async function explain(response) {
    const problem = await response.json().catch(() => ({}));
    for (const { field, detail } of problem.errors ?? []) {
      if (field in fields) show(field, detail);
    }
    if (!problem.errors) tell(problem.detail ?? "Something went wrong. Please try again later.");
    focusFirstInvalid();
  }

  async function send() {
    const body = JSON.stringify({ email: fields.email.value, password: fields.password.value });
    const headers = { "content-type": "application/json", accept: "application/json, application/problem+json" };
    const response = await fetch(form.dataset.api, { method: "POST", headers, body });
    if (response.ok) location.assign(form.dataset.next);
    else await explain(response);
    return response.ok;
  }

  form.noValidate = true;
  // An error that appears while the button is being pressed would move it away from below the pointer.
  let pressing = false;
  submit.addEventListener("pointerdown", () => (pressing = true));
  for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => (pressing = false));
  for (const [name, input] of Object.entries(fields)) {
    input.addEventListener("blur", () => {
      if (input.value && !pressing) show(name, faults[name](input));
    });
    input.addEventListener("input", () => {
      if (input.getAttribute("aria-invalid") === "true") show(name, faults[name](input));
    });
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (submit.getAttribute("aria-disabled") === "true") return;
    tell("");
    for (const [name, input] of Object.entries(fields)) show(name, faults[name](input));
    if (form.querySelector("[aria-invalid=true]")) return focusFirstInvalid();
    busy(true);
    let done = false;
    try {
      done = await send();
    } catch {
      tell("The service could not be reached. Please try again.");
    } finally {
      if (!done) busy(false);
    }
  });

  // Who comes back by the browser's history finds the form as it was.
  addEventListener("pageshow", () => busy(false));

  const toggle = document.createElement("button");
  toggle.type = "button";
  toggle.textContent = "Show";
  toggle.setAttribute("aria-label", "Show the password");
  toggle.addEventListener("click", () => {
    const shown = fields.password.type === "password";
    fields.password.type = shown ? "text" : "password";
    toggle.textContent = shown ? "Hide" : "Show";
    toggle.setAttribute("aria-label", `${toggle.textContent} the password`);
  });
  const secret = document.createElement("div");
  secret.className = "secret";
  fields.password.replaceWith(secret);
  secret.append(fields.password, toggle);
})();
