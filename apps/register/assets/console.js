// The console, with JavaScript: asks for the figures each second, writes them down, and draws how they moved. Two minutes are kept.
"use strict";

(() => {
  const EVERY = 1000;
  const KEPT = 121;
  const SVG = "http://www.w3.org/2000/svg";
  const WIDTH = KEPT - 1;
  const HEIGHT = 100;

  const at = (id) => document.getElementById(id);
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const numbers = new Intl.NumberFormat("en-US");
  const history = [];
  let last = null;

  // ---- numbers

  const count = (number) => numbers.format(number);
  const rate = (number) => (number >= 10 || number === 0 ? count(Math.round(number)) : number.toFixed(1));

  function duration(seconds) {
    if (seconds === null || seconds === undefined) return "–";
    if (seconds === 0) return "0";
    if (seconds < 0.001) return `${Math.round(seconds * 1e6)} µs`;
    return seconds < 1 ? `${Math.round(seconds * 1e3)} ms` : `${seconds.toFixed(1)} s`;
  }

  function write(id, text) {
    const element = at(id);
    if (element.textContent !== text) element.textContent = text;
  }

  /** The bound that this share of what came between two looks is within; null, if nothing came. */
  function quantile(now, before, share) {
    const came = now.buckets.map(([bound, all], place) => [bound, all - (before?.buckets[place]?.[1] ?? 0)]);
    const total = came.reduce((sum, [, here]) => sum + here, 0);
    if (total === 0) return null;
    let left = Math.max(1, Math.ceil(share * total));
    for (const [bound, here] of came) {
      left -= here;
      if (left <= 0) return bound ?? now.max;
    }
    return now.max;
  }

  // ---- a moment, and what it is made into

  function moment(figures) {
    const time = performance.now();
    // Another process: its counters begin anew.
    const before = last && last.figures.wait.count <= figures.wait.count ? last : null;
    const seconds = before ? (time - before.time) / 1000 : 1;
    const came = figures.reused - (before?.figures.reused ?? figures.reused);
    const given = figures.wait.count - (before?.figures.wait.count ?? figures.wait.count);
    last = { figures, time };
    return {
      ...figures,
      reusedRate: came / seconds,
      createdRate: Math.max(0, given - came) / seconds,
      recent: before ? figures.wait.count > before.figures.wait.count : false,
      p50: quantile(figures.wait, before?.figures.wait, 0.5),
      p99: quantile(figures.wait, before?.figures.wait, 0.99),
    };
  }

  function tell(now) {
    for (const id of ["reused", "created", "limit", "in_use", "idle", "dialing", "waiting", "dials_failed"]) write(id, count(now[id]));
    const given = now.wait.count;
    const share = given === 0 ? 0 : now.reused / given;
    write("share", given === 0 ? "–" : `${(Math.floor(share * 1000) / 10).toFixed(1)} %`);
    at("share-bar").removeAttribute("hidden");
    at("share-bar").querySelector(".fill").setAttribute("width", String(share * 100));
    document.querySelector(".reuse").classList.toggle("none", given === 0);
    write("reused-rate", rate(now.reusedRate));
    write("created-rate", rate(now.createdRate));
    write("waits-of", now.recent ? "in the last second" : "since the start");
    write("wait-p50", duration(now.recent ? now.p50 : now.wait.p50));
    write("wait-p99", duration(now.recent ? now.p99 : now.wait.p99));
    const backlog = now.mail.backlog;
    write("mail-pending", backlog === null ? "–" : count(backlog.pending));
    write("mail-given-up", backlog === null ? "–" : count(backlog.given_up));
    at("mail-given-up").classList.toggle("bad", backlog?.given_up > 0);
    write("mail-sending", count(now.mail.sending));
    write("mail-sent", count(now.mail.sent));
    write("mail-failed", count(now.mail.failed_attempts));
    write("mail-paused", now.mail.paused ? "paused" : "open");
    at("mail-paused").classList.toggle("bad", now.mail.paused);
    write("connect-p50", duration(now.connect.p50));
    write("database", `${now.database.used} of ${now.database.limit}`);
    write("memory", now.memory === null ? "–" : `${Math.floor(now.memory / 1048576)} MiB`);
    write("closed", now.closed.map(([reason, times]) => `${reason} ${times}`).join(", ") || "none");
    hosts(now.hosts, now.others);
  }

  function hosts(told, others) {
    const rest = others.in_use + others.idle + others.dialing + others.waiting > 0 ? [{ ...others, address: "others" }] : [];
    const rows = [...told, ...rest].map((host) => {
      const row = document.createElement("tr");
      const name = document.createElement("th");
      name.scope = "row";
      name.textContent = host.port ? `${host.address}:${host.port}` : host.address;
      const cells = [host.in_use, host.idle, host.dialing, host.waiting].map((number) => {
        const cell = document.createElement("td");
        cell.textContent = count(number);
        return cell;
      });
      row.append(name, ...cells);
      return row;
    });
    if (rows.length === 0) {
      const row = document.createElement("tr");
      const cell = document.createElement("td");
      cell.colSpan = 5;
      cell.className = "none";
      cell.textContent = "No connections at the moment";
      row.append(cell);
      rows.push(row);
    }
    at("hosts").replaceChildren(...rows);
  }

  // ---- mails that were given up: the page has them as a table with forms, and so has each answer to one of those

  async function ask(url, form) {
    const response = await fetch(url, { cache: "no-store", ...(form && { method: "POST", body: new URLSearchParams(new FormData(form)) }) });
    if (!response.ok) throw new Error(`status ${response.status}`);
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const [old, made] = [at("given-up"), page.getElementById("given-up")];
    const focused = old.contains(document.activeElement) ? document.activeElement.form?.getAttribute("action") : null;
    old.replaceWith(made);
    if (focused) (made.querySelector(`form[action="${focused}"] button`) ?? (made.hidden ? at("said") : at("given-up-title"))).focus();
  }

  async function follow(backlog) {
    if (backlog === null || at("given-up").dataset.state === `${backlog.given_up} ${backlog.given_up_at ?? 0}`) return;
    await ask("/console").catch(() => {});
  }

  addEventListener("submit", async (event) => {
    const form = event.target;
    if (!at("given-up").contains(form)) return;
    event.preventDefault();
    const button = form.querySelector("button");
    if (button.ariaDisabled === "true") return;
    button.ariaDisabled = "true";
    try {
      await ask(form.action, form);
      write("said", form.dataset.said);
    } catch {
      write("said", "That could not be done. Please try again.");
      button.ariaDisabled = "false";
    }
  });

  // ---- plots

  function element(name, className, attributes = {}) {
    const made = document.createElementNS(SVG, name);
    made.setAttribute("class", className);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  }

  /** A plot in this figure: areas that stand on each other, curves over them. Each series is `[class, moment => number]`. */
  function plot(id, { areas = [], curves = [], unit, limit, label }) {
    const figure = at(id);
    const svg = element("svg", "", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
    const moving = element("g", "moving");
    const rules = [0.5, HEIGHT / 2, HEIGHT - 0.5].map((y) => element("line", "rule", { x1: 0, x2: WIDTH, y1: y, y2: y }));
    const bound = element("line", "rule limit", { x1: 0, x2: WIDTH });
    const shapes = [...areas.map(([name]) => element("path", `area ${name}`)), ...curves.map(([name]) => element("path", `curve ${name}`))];
    const [top, middle] = ["top", "middle"].map((name) => {
      const text = document.createElement("span");
      text.className = name;
      return text;
    });
    const box = document.createElement("div");
    const time = document.createElement("figcaption");
    time.append(...["2 minutes ago", "1 minute", "now"].map((text) => Object.assign(document.createElement("span"), { textContent: text })));
    moving.append(...shapes);
    svg.append(...rules, moving, bound);
    box.append(svg, top, middle);
    figure.append(box, time);
    figure.hidden = false;

    return () => {
      const stacks = history.map((here) => {
        let sum = 0;
        return areas.map(([, of]) => [sum, (sum += of(here))]);
      });
      const values = curves.map(([, of]) => history.map(of));
      const highest = Math.max(...stacks.map((stack) => stack.at(-1)?.[1] ?? 0), ...values.flat().map((value) => value ?? 0));
      const scale = round(highest, unit);
      const y = (value) => (HEIGHT - (value / scale) * (HEIGHT - 4)).toFixed(2);
      const x = (place) => WIDTH - (history.length - 1 - place);
      const line = (points) => points.map(([px, value]) => `${px} ${y(value)}`).join("L");
      areas.forEach((_, series) => {
        const upper = stacks.map((stack, place) => [x(place), stack[series][1]]);
        const lower = stacks.map((stack, place) => [x(place), stack[series][0]]).reverse();
        shapes[series].setAttribute("d", `M${line([...upper, ...lower])}Z`);
      });
      values.forEach((series, which) => {
        shapes[areas.length + which].setAttribute("d", curve(series, x, y));
      });
      const most = limit?.(history.at(-1));
      bound.toggleAttribute("hidden", !(most <= scale));
      if (most <= scale) for (const end of ["y1", "y2"]) bound.setAttribute(end, y(most));
      top.textContent = unit(scale);
      middle.textContent = unit(scale / 2);
      svg.setAttribute("aria-label", label(history.at(-1)));
      if (!still.matches) {
        moving.animate([{ transform: "translateX(1px)" }, { transform: "translateX(0)" }], { duration: EVERY, easing: "linear" });
      }
    };
  }

  /** A curve with gaps where there was nothing; a single point is drawn as a short stroke. */
  function curve(series, x, y) {
    let path = "";
    series.forEach((value, place) => {
      if (value === null) return;
      const before = place > 0 && series[place - 1] !== null;
      path += before ? `L${x(place)} ${y(value)}` : `M${x(place) - 0.5} ${y(value)}L${x(place)} ${y(value)}`;
    });
    return path;
  }

  /** The next round number that holds it. */
  function round(highest, unit) {
    const least = unit === duration ? 0.001 : 4;
    let scale = 10 ** Math.floor(Math.log10(Math.max(highest, least)));
    for (const step of [1, 2, 3, 4, 6, 8, 10]) {
      if (step * scale >= Math.max(highest, least) * 1.05) return step * scale;
    }
    return scale * 20;
  }

  const whole = (number) => count(Math.round(number * 10) / 10);
  const draw = [
    plot("plot-connections", {
      areas: [["in-use", (now) => now.in_use], ["idle", (now) => now.idle], ["dialing", (now) => now.dialing]],
      curves: [["waiting", (now) => now.waiting || null]],
      unit: whole,
      limit: (now) => now.limit,
      label: (now) => `${now.in_use} connections in use, ${now.idle} idle, ${now.dialing} being made; ${now.waiting} requests wait`,
    }),
    plot("plot-requests", {
      areas: [["in-use", (now) => now.reusedRate], ["dialing", (now) => now.createdRate]],
      unit: whole,
      label: (now) => `${rate(now.reusedRate)} requests a second on reused connections, ${rate(now.createdRate)} on new ones`,
    }),
    plot("plot-waits", {
      curves: [["waiting", (now) => (now.recent ? now.p99 : null)], ["in-use", (now) => (now.recent ? now.p50 : null)]],
      unit: duration,
      label: (now) => `Half of the requests wait less than ${duration(now.p50)}, 99 of 100 less than ${duration(now.p99)}`,
    }),
  ];

  // ---- once a second

  function pulse(name, text) {
    const element = at("pulse");
    if (element.className !== name || element.textContent !== text) {
      element.className = name;
      element.textContent = text;
    }
  }

  async function look() {
    try {
      const response = await fetch("/console/figures", { cache: "no-store" });
      if (!response.ok) throw new Error(`status ${response.status}`);
      const now = moment(await response.json());
      history.push(now);
      if (history.length > KEPT) history.shift();
      tell(now);
      for (const each of draw) each();
      pulse("live", "live, each second");
      await follow(now.mail.backlog);
    } catch {
      pulse("lost", "The service does not answer. These are its last figures.");
    }
    setTimeout(look, EVERY);
  }

  look();
})();
