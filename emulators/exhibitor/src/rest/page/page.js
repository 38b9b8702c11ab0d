"use strict";
// All addresses are relative, so that the page works behind a proxy that adds a prefix.

const QUIET_MS = 5000; // between two looks at the members
const BUSY_MS = 1000; // the same while a member restarts
const ROWS = 200; // children of a znode that are listed at once

const $ = (id) => document.getElementById(id);
const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

async function ask(path) {
  const answer = await fetch(`../${path}`, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error((await answer.text()).trim().slice(0, 300) || `HTTP ${answer.status}`);
  return answer.json();
}

// What `cluster/VERB/HOST` returns: the response of that host's Exhibitor.
async function askMember(command, host) {
  const { success, errorMessage, response } = await ask(`cluster/${command}/${encodeURIComponent(host)}`);
  if (!success) throw new Error(errorMessage || "no answer");
  return response;
}

// Members

// Members that were told to restart: what has been seen of each since.
const restarting = new Map();
let timer = 0;
let turn = 0;

async function lookAtMember({ hostname, description, code }) {
  try {
    // A four-letter word comes back as a string that holds JSON.
    const word = JSON.parse(await askMember("4ltr/srvr", hostname));
    const found = (pattern) => word.match(pattern)?.[1];
    const mode = found(/^Mode: (\w+)/m);
    const role = mode ?? (word ? "no quorum" : "not running");
    const received = Number(found(/^Received: (\d+)/m) ?? 0);
    return { hostname, code, state: description, role, serves: Boolean(mode), received, zxid: found(/^Zxid: (\w+)/m) ?? "" };
  } catch (error) {
    return { hostname, code, state: description, role: "unreachable", serves: false, zxid: "", why: error.message };
  }
}

async function look() {
  clearTimeout(timer);
  const mine = ++turn;
  try {
    const [status, config] = await Promise.all([ask("cluster/status"), ask("config/get-state")]);
    const { hostname, serverId, rollInProgress, rollStatus, rollPercentDone } = config.config;
    const id = serverId > 0 ? `server ${serverId}` : "not in the ensemble";
    let listed = status;
    if (!status.length) {
      // No ensemble is declared yet: this instance runs alone.
      const { state, description } = await ask("cluster/state");
      listed = [{ hostname, code: state, description }];
    }
    const members = await Promise.all(listed.map(lookAtMember));
    if (mine !== turn) return;
    $("instance").textContent = `${hostname} (${id}), Exhibitor ${config.version}`;
    follow(members);
    showMembers(members, status.length);
    if (rollInProgress) $("summary").textContent += ` A roll is in progress: ${rollStatus}, ${rollPercentDone} % done.`;
    $("problem").hidden = true;
  } catch (error) {
    if (mine !== turn) return;
    $("problem").textContent = `Exhibitor does not answer: ${error.message}`;
    $("problem").hidden = false;
  }
  timer = setTimeout(look, restarting.size ? BUSY_MS : QUIET_MS);
}

function showMembers(members, declared) {
  const serving = members.filter((member) => member.serves).length;
  const majority = Math.floor(members.length / 2) + 1;
  $("summary").textContent = declared
    ? `${serving} of ${members.length} members serve; a quorum takes ${majority}.`
    : "No ensemble is declared yet.";
  $("summary").className = declared && serving < majority ? "bad" : "";
  const rows = $("members");
  const known = new Map([...rows.children].map((row) => [row.dataset.host, row]));
  members.forEach((member, at) => {
    const row = known.get(member.hostname) ?? newRow(member.hostname);
    known.delete(member.hostname);
    const [, role, state, zxid] = row.cells;
    set(role, member.role, member.serves ? "good" : member.role === "no quorum" ? "wait" : "bad", member.why);
    set(state, member.state, ["wait", "bad", "wait", "good"][member.code]);
    set(zxid, member.zxid, "");
    const button = row.querySelector("button");
    // Not `disabled`, which would take the focus from the button.
    const busy = restarting.has(member.hostname);
    button.setAttribute("aria-disabled", busy);
    button.onclick = () => busy || confirmRestart(member, !member.serves || serving > majority);
    if (rows.children[at] !== row) rows.insertBefore(row, rows.children[at] ?? null);
  });
  for (const row of known.values()) row.remove();
}

function set(cell, text, kind, title = "") {
  if (cell.textContent !== text) cell.textContent = text;
  cell.className = text ? kind : "";
  cell.title = title;
}

function newRow(host) {
  const button = make("button", { type: "button", textContent: "Restart" });
  button.setAttribute("aria-label", `Restart ${host}`);
  const cells = [make("td", { textContent: host }), make("td"), make("td"), make("td"), make("td", {}, button)];
  const row = make("tr", {}, ...cells);
  row.dataset.host = host;
  ["", "role", "at last check", "last transaction"].forEach((label, at) => {
    if (label) cells[at].dataset.label = label;
  });
  return row;
}

function confirmRestart(member, quorumStays) {
  const { hostname } = member;
  $("ask-title").textContent = `Restart ZooKeeper on ${hostname}?`;
  $("ask-text").textContent = quorumStays
    ? "Its clients connect to the other members. The ensemble keeps its quorum."
    : "The ensemble has no quorum until this member serves again: clients can neither read nor write.";
  const dialog = $("ask");
  dialog.returnValue = "no";
  dialog.onclose = () => dialog.returnValue === "yes" && restart(member);
  dialog.showModal();
}

async function restart({ hostname: host, received }) {
  restarting.set(host, { down: false, received });
  $("done").textContent = `Restarting ${host}`;
  try {
    const { succeeded, message } = await askMember("restart", host);
    if (!succeeded) throw new Error(message);
  } catch (error) {
    restarting.delete(host);
    $("done").textContent = `${host} was not restarted: ${error.message}`;
  }
  await look();
}

// Says what becomes of members that restart. Exhibitor's state is up to one check period old, so the role tells.
function follow(members) {
  for (const [host, seen] of restarting) {
    const member = members.find(({ hostname }) => hostname === host);
    if (!member) {
      restarting.delete(host);
    } else if (!member.serves) {
      seen.down = true;
      $("done").textContent = `${host} is down (${member.role})`;
    } else if (seen.down || member.received < seen.received) {
      // A member that was back between two looks has begun to count its packets anew.
      restarting.delete(host);
      $("done").textContent = `${host} serves again: ${member.role}`;
    }
  }
}

// Znodes

const nameOf = (path) => path.slice(path.lastIndexOf("/") + 1) || "/";

function newItem(path, level) {
  const item = make("li", { tabIndex: -1 }, make("span", { className: "row", textContent: nameOf(path) }));
  item.dataset.path = path;
  for (const [name, value] of [["role", "treeitem"], ["aria-label", nameOf(path)], ["aria-level", level], ["aria-selected", false], ["aria-expanded", false]]) {
    item.setAttribute(name, value);
  }
  return item;
}

const isOpen = (item) => item.getAttribute("aria-expanded") === "true";
const groupOf = (item) => item.querySelector(":scope > ul");

async function open(item) {
  const { path } = item.dataset;
  const children = await ask(`explorer/node?key=${encodeURIComponent(path)}`);
  if (children[0]?.key === "*") throw new Error(`${path} cannot be read`);
  groupOf(item)?.remove();
  if (!children.length) {
    item.removeAttribute("aria-expanded");
    return;
  }
  const group = make("ul");
  group.setAttribute("role", "group");
  item.append(group);
  item.setAttribute("aria-expanded", "true");
  list(group, children, 0, Number(item.getAttribute("aria-level")) + 1);
}

function list(group, children, from, level) {
  group.append(...children.slice(from, from + ROWS).map(({ key }) => newItem(key, level)));
  const shown = from + ROWS;
  if (shown >= children.length) return;
  const more = newItem("", level);
  more.removeAttribute("aria-expanded");
  more.firstChild.textContent = `${shown} of ${children.length} are listed. List more`;
  more.setAttribute("aria-label", more.firstChild.textContent);
  more.more = () => {
    more.remove();
    list(group, children, shown, level);
    group.children[shown]?.focus();
  };
  group.append(more);
}

function shut(item) {
  groupOf(item)?.remove();
  item.setAttribute("aria-expanded", "false");
}

function focusOn(item) {
  for (const other of $("tree").querySelectorAll("[tabindex='0']")) other.tabIndex = -1;
  item.tabIndex = 0;
  item.focus();
}

async function select(item) {
  for (const other of $("tree").querySelectorAll("[aria-selected=true]")) other.setAttribute("aria-selected", "false");
  item.setAttribute("aria-selected", "true");
  $("path").value = item.dataset.path;
  await showZnode(item.dataset.path);
}

async function showZnode(path) {
  const { str, bytes, stat } = await ask(`explorer/node-data?key=${encodeURIComponent(path)}`);
  const pane = $("znode");
  const pairs = stat.split(", ").map((pair) => pair.split(": "));
  if (!stat.includes("czxid:")) {
    const text = stat.includes("not found") ? `${path} does not exist.` : `${path} cannot be read: ${stat}`;
    pane.replaceChildren(make("p", { className: "bad", textContent: text }));
    return;
  }
  const readable = (name, value) => {
    if (/^[cm]time$/.test(name)) return new Date(Number(value)).toISOString();
    return /zxid$/.test(name) ? `0x${BigInt(value).toString(16)}` : value;
  };
  const shown = ([name, value]) => [name, readable(name, value)];
  const printable = !/[\u0000-\u0008\u000e-\u001f\ufffd]/.test(str);
  const data = bytes ? make("pre", { textContent: printable ? str : bytes, tabIndex: 0 }) : make("p", { className: "faint", textContent: "It has no data." });
  pane.replaceChildren(make("h3", { textContent: path }), data, terms(pairs.map(shown)));
}

const terms = (pairs) =>
  make("dl", {}, ...pairs.flatMap(([name, value]) => [make("dt", { textContent: name }), make("dd", { textContent: value })]));

// Opens all znodes down to a path, and selects it.
async function goTo(path) {
  let item = $("tree").firstChild;
  for (const part of path.split("/").filter(Boolean)) {
    const below = item.dataset.path === "/" ? `/${part}` : `${item.dataset.path}/${part}`;
    const parent = item;
    const found = () => [...(groupOf(parent)?.children ?? [])].find((child) => child.dataset.path === below);
    // It may have been made since the others were listed.
    if (!isOpen(parent) || !found()) await open(parent);
    item = found();
    // It is not there, or not listed yet.
    if (!item) return showZnode(path);
  }
  focusOn(item);
  item.scrollIntoView({ block: "nearest" });
  await select(item);
}

const guarded = (work) => async (...given) => {
  try {
    await work(...given);
  } catch (error) {
    $("znode").replaceChildren(make("p", { className: "bad", textContent: `Exhibitor does not answer: ${error.message}` }));
  }
};

$("tree").addEventListener("click", guarded(async (event) => {
  const item = event.target.closest("li");
  if (!item) return;
  if (item.more) return item.more();
  focusOn(item);
  await select(item);
  if (isOpen(item)) shut(item);
  else if (item.hasAttribute("aria-expanded")) await open(item);
}));

$("tree").addEventListener("keydown", guarded(async (event) => {
  const item = event.target.closest("li");
  if (!item) return;
  const items = [...$("tree").querySelectorAll("li")];
  const at = items.indexOf(item);
  const moves = { ArrowDown: items[at + 1], ArrowUp: items[at - 1], Home: items[0], End: items.at(-1) };
  if (event.key in moves) {
    event.preventDefault();
    if (moves[event.key]) focusOn(moves[event.key]);
  } else if (event.key === "ArrowRight") {
    event.preventDefault();
    if (isOpen(item)) focusOn(groupOf(item).firstChild);
    else if (item.hasAttribute("aria-expanded")) await open(item);
  } else if (event.key === "ArrowLeft") {
    event.preventDefault();
    if (isOpen(item)) shut(item);
    else if (item.parentElement.closest("li")) focusOn(item.parentElement.closest("li"));
  } else if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    if (item.more) item.more();
    else await select(item);
  }
}));

$("go").addEventListener("submit", guarded(async (event) => {
  event.preventDefault();
  await goTo(`/${$("path").value.split("/").filter(Boolean).join("/")}`);
}));

$("configuration").addEventListener("toggle", async ({ target }) => {
  if (!target.open) return;
  const { config } = await ask("config/get-state");
  const text = (value) => (typeof value === "object" ? JSON.stringify(value) : String(value));
  const pairs = Object.entries(config).filter(([name]) => name !== "controlPanel");
  target.querySelector("dl").replaceWith(terms(pairs.map(([name, value]) => [name, text(value)])));
});

$("log").addEventListener("toggle", async ({ target }) => {
  if (target.open) target.querySelector("pre").textContent = await ask("cluster/log");
});

document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : look()));

$("tree").append(newItem("/", 1));
$("tree").firstChild.tabIndex = 0;
guarded(open)($("tree").firstChild);
look();
