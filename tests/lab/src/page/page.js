"use strict";
// What the lists of the data hold: see page.rs.
const STEP = { column: 0, kind: 1, text: 2, line: 3, inside: 4, output: 5, first: 6, last: 7, blocked: 8, time: 9 };
const ARROW = { from: 0, to: 1, what: 2, bytes: 3, length: 4 };
const [PERSON, OWN, LOADER, SIGNAL, END, TOOL] = [0, 1, 2, 3, 4, 5];
const WHAT = ["connection", "data", "end", "refusal"];
const WORDS = {
  en: {
    scene: "Scene", all: "also the loader's and stdio's calls", terminals: "Terminals", source: "Source", calls: "Calls", sockets: "Sockets", questions: "Questions",
    keys: "Keys: ← → a step, Home End the first and the last, space plays, [ ] the scene before and after, a the loader's calls, l 中文.",
    first: "first step (Home)", back: "step back (←)", play: "play (space)", pause: "pause (space)", next: "next step (→)", last: "last step (End)", slider: "step", backScene: "scene before ([)", nextScene: "next scene (])",
    legend: [["bar", "blocked"], ["data", "→ a message"], ["refusal", "⇢ a refusal"], ["lost", "✕ nobody takes it"], ["end", "⋯ EOF"]],
    kernel: "kernel", lang: "中文", line: "line", types: "A person types", starts: "A person starts", sends: "goes to", takes: "comes from", lost: "nobody takes it", unaccepted: "nobody accepts it",
    untraced: "a program that is not traced", blocked: "It was blocked in this call: everyone was at rest.", waited: "It waited in this call.", inC: "Line with a fix. In C: ", step: "step",
    rest: "As /proc had them when everyone was at rest, before step ", none: "no socket", noSource: "It is no program of the lectures: no source here.", refused: "The refusal comes from the kernel.", inside: "inside", closed: "the end of the stream", lecture: "Lecture", toIt: "goes to",
  },
  zh: {
    scene: "场景", all: "也显示加载器和 stdio 的调用", terminals: "终端", source: "源代码", calls: "系统调用", sockets: "套接字", questions: "问题",
    keys: "按键：← → 前后一步，Home End 第一步和最后一步，空格播放，[ ] 前后一个场景，a 加载器的调用，l English。",
    first: "第一步 (Home)", back: "后退一步 (←)", play: "播放（空格）", pause: "暂停（空格）", next: "前进一步 (→)", last: "最后一步 (End)", slider: "步骤", backScene: "上一个场景 ([)", nextScene: "下一个场景 (])",
    legend: [["bar", "阻塞"], ["data", "→ 报文"], ["refusal", "⇢ 拒绝"], ["lost", "✕ 没有人接收"], ["end", "⋯ EOF"]],
    kernel: "内核", lang: "English", line: "第几行", types: "人输入", starts: "人启动", sends: "发往", takes: "来自", lost: "没有人接收", unaccepted: "没有人 accept",
    untraced: "没有被跟踪的程序", blocked: "它阻塞在这个调用里：所有程序都在休眠。", waited: "它在这个调用里等待过。", inC: "这一行修正了错误。C 程序：", step: "第几步",
    rest: "所有程序都在休眠时 /proc 里的样子，在这一步之前：", none: "没有套接字", noSource: "它不是课程里的程序，这里没有源代码。", refused: "拒绝来自内核。", inside: "位于", closed: "字节流结束", lecture: "第", toIt: "发往",
  },
};
const data = JSON.parse(document.getElementById("data").textContent);
// Each process that played scenes has a list of texts of its own.
const scenes = data.parts.flatMap((part) => part.scenes.map((one) => ({ ...one, texts: part.texts }))).sort((one, next) => one.order - next.order);
const [ROW, LEFT] = [24, 124];
let lang = data.lang;
let scene, at = 0, withLoader = false, chosen = null, timer = null, shown = [], rows = [];

const id = (name) => document.getElementById(name);
const word = (key) => WORDS[lang][key];
const text = (place) => scene.texts[place];
const other = () => (lang === "zh" ? 1 : 0);

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) key === "onclick" ? (node.onclick = value) : node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function draw(tag, attributes, content) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (content !== undefined) node.textContent = content;
  return node;
}

// The little markdown that texts have: `code`, **strong**, *stress*, [text](link).
function inline(source) {
  const out = document.createDocumentFragment();
  for (const part of source.split(/(`[^`]+`|\*\*[^*]+\*\*|\*[^*\s][^*]*\*|\[[^\]]+\]\([^)]+\)|\[[^\]]+\]\[[^\]]+\])/)) {
    if (/^`.+`$/.test(part)) out.append(make("code", {}, part.slice(1, -1)));
    else if (/^\*\*/.test(part)) out.append(make("strong", {}, part.slice(2, -2)));
    else if (/^\*.+\*$/.test(part)) out.append(make("em", {}, part.slice(1, -1)));
    else if (/^\[.+[\])]$/.test(part)) out.append(inline(part.slice(1, part.indexOf("]"))));
    else out.append(part);
  }
  return out;
}

function paragraphs(source) {
  return source.split(/\n\n+/).filter((part) => part).map((part) => make("p", {}, inline(part.replaceAll("\n", lang === "zh" ? "" : " "))));
}

const step = (index) => scene.steps[index];
const who = (column) => scene.columns[column][0];
const isFailed = (one) => one[STEP.kind] === OWN && /= -1 E/.test(text(one[STEP.text]));

// A step in one or two words: sendto:40.
function brief(one) {
  const full = text(one[STEP.text]);
  if (one[STEP.kind] === SIGNAL) return full.split(" ")[1];
  if (one[STEP.kind] === END) return full.replaceAll("+", "").trim();
  if (one[STEP.kind] === PERSON || one[STEP.kind] === TOOL) return full;
  const error = isFailed(one) ? " " + full.match(/= -1 (E\w+)/)[1] : "";
  return full.split("(")[0] + (one[STEP.line] > 0 ? ":" + one[STEP.line] : "") + error;
}

const clip = (full, length) => (full.length > length ? full.slice(0, length - 1) + "…" : full);

// The number of a step in the address: the loader's are not counted.
const numberOf = (index) => scene.steps.slice(0, index + 1).filter((one) => one[STEP.kind] !== LOADER).length;

function open(name, number) {
  scene = scenes.find((one) => one.name === name) || scenes[0];
  chosen = null;
  at = 0;
  const own = scene.steps.map((_, index) => index).filter((index) => step(index)[STEP.kind] !== LOADER);
  at = own[Math.min(Math.max(number || 1, 1), own.length) - 1];
  build();
}

function go(index) {
  at = index;
  show();
}

// What changes with the scene, the language, or what is shown of it.
function build() {
  document.documentElement.lang = lang;
  for (const node of document.querySelectorAll("[data-t]")) node.textContent = word(node.dataset.t);
  for (const node of document.querySelectorAll("[data-tip]")) { node.title = word(node.dataset.tip); node.setAttribute("aria-label", node.title); }
  id("lang").textContent = word("lang");
  id("all").checked = withLoader;
  shown = scene.steps.map((_, index) => index).filter((index) => withLoader || step(index)[STEP.kind] !== LOADER);
  if (!shown.includes(at)) at = shown.findLast((index) => index < at) ?? shown[0];
  // The row of each step; that of one that is not shown is the next one's.
  rows = [];
  let row = 0;
  scene.steps.forEach((_, index) => { rows[index] = Math.min(row, shown.length - 1); if (shown[row] === index) row += 1; });
  const options = new Map();
  for (const one of scenes) {
    const group = one.place.split("/")[0];
    if (!options.has(group)) options.set(group, make("optgroup", { label: group }));
    const option = make("option", { value: one.name }, `${one.title[other()]} · ${one.name}`);
    option.selected = one === scene;
    options.get(group).append(option);
  }
  id("scenes").replaceChildren(...options.values());
  document.title = `${scene.name} · lab`;
  id("title").replaceChildren(inline(scene.title[other()]), " ", make("code", {}, scene.name));
  id("intro").replaceChildren(...paragraphs(scene.intro[other()]));
  id("slider").max = shown.length;
  id("asked").hidden = scene.questions.length === 0;
  id("questions").replaceChildren(...scene.questions.map((name) => {
    const [question, answer] = data.questions[name][other()];
    return make("details", { id: name }, make("summary", {}, make("b", {}, name), " ", inline(question)), ...paragraphs(answer));
  }));
  id("legend").replaceChildren(...word("legend").map(([kind, meaning]) => make("span", { class: `arrow ${kind}` }, meaning)));
  drawDiagram();
  show();
}

function drawDiagram() {
  const count = scene.columns.length;
  // The kernel is between the first processes, mostly the server, and the others.
  const before = Math.max(1, Math.floor(count / 2));
  const lane = Math.max(104, Math.min(230, (id("diagram").clientWidth - 2 * LEFT) / count));
  const x = (column) => LEFT + lane * (column < before ? column : column + 1);
  const kernel = LEFT + lane * before;
  const width = 2 * LEFT + lane * count;
  const y = (index) => ROW * rows[index] + ROW / 2 + 4;
  const height = ROW * shown.length + 12;
  const refused = new Set(scene.arrows.filter((arrow) => WHAT[arrow[ARROW.what]] === "refusal").map((arrow) => arrow[ARROW.to]));
  // How many letters fit beside a column.
  const room = (column) => Math.floor(((column === 0 || column === count - 1 ? LEFT : lane) - 12) / 7.25);
  const headRoom = Math.floor((lane - 8) / 7.3);
  const heads = [...scene.columns.keys()].flatMap((column) => [
    draw("text", { x: x(column), y: 16, "text-anchor": "middle", "font-weight": 700 }, clip(who(column), headRoom)),
    draw("text", { x: x(column), y: 31, "text-anchor": "middle", class: "label" }, clip(scene.columns[column][1], headRoom)),
  ]);
  heads.push(draw("text", { x: kernel, y: 16, "text-anchor": "middle", "font-weight": 700 }, word("kernel")));
  for (const [svg, tall] of [["heads", 38], ["drawing", height]]) { id(svg).setAttribute("width", width); id(svg).setAttribute("height", tall); }
  id("heads").replaceChildren(...heads);
  const drawing = id("drawing");
  drawing.replaceChildren(draw("rect", { x: kernel - 17, y: 0, width: 34, height, class: "lane" }));
  for (const index of shown) {
    const row = draw("rect", { x: 0, y: y(index) - ROW / 2, width, height: ROW, class: "row", "data-step": index });
    row.append(draw("title", {}, `${who(step(index)[STEP.column])}: ${text(step(index)[STEP.text])}`));
    row.onclick = () => go(index);
    drawing.append(row);
  }
  for (const column of scene.columns.keys()) {
    const mine = scene.steps.flatMap((one, index) => (one[STEP.column] === column ? [index] : []));
    if (mine.length > 0) drawing.append(draw("line", { x1: x(column), x2: x(column), y1: y(mine[0]), y2: y(mine.at(-1)), class: "life" }));
  }
  for (const index of shown) {
    const one = step(index);
    if (one[STEP.first] < 0) continue;
    const [top, bottom] = [Math.min(y(one[STEP.first]), y(index)), Math.max(y(one[STEP.last]), y(index))];
    if (bottom - top < ROW / 2) continue;
    const bar = draw("rect", { x: x(one[STEP.column]) - 5, y: top - 8, width: 10, height: bottom - top + 8, rx: 3, class: one[STEP.blocked] ? "bar" : "bar short", "data-step": index });
    bar.append(draw("title", {}, `${brief(one)}: ${word(one[STEP.blocked] ? "blocked" : "waited")}`));
    bar.onclick = () => go(index);
    drawing.append(bar);
  }
  scene.arrows.forEach((arrow, number) => {
    const [from, to] = [arrow[ARROW.from], arrow[ARROW.to]];
    const what = WHAT[arrow[ARROW.what]];
    const track = kernel + ((number % 5) - 2) * 6;
    const refusal = what === "refusal";
    const points = [];
    if (from >= 0 && !refusal) points.push([x(step(from)[STEP.column]), y(from)]);
    points.push([track, y(from >= 0 ? from : to)]);
    if (to >= 0) points.push([track, y(to)], [x(step(to)[STEP.column]), y(to)]);
    const path = "M" + points.map((point) => point.join(" ")).join("L");
    const group = draw("g", { class: `arrow ${to < 0 ? "lost" : what}`, "data-from": from, "data-to": to });
    group.append(draw("path", { d: path, class: "wide" }), draw("path", { d: path, class: "line" }));
    const bytes = arrow[ARROW.length] > 0 || what === "data" ? `"${text(arrow[ARROW.bytes])}"` : "";
    const [tipX, tipY] = points.at(-1);
    if (to >= 0) {
      const side = tipX > track ? -8 : 8;
      group.append(draw("path", { d: `M${tipX} ${tipY}l${side} -4.5v9z`, class: "tip" }));
    } else group.append(draw("text", { x: tipX, y: tipY + 4, "text-anchor": "middle" }, "✕"));
    const end = from >= 0 && !refusal ? points[0] : points.at(-1);
    const isLeft = end[0] < kernel;
    const error = refusal ? text(step(to)[STEP.text]).match(/= -1 (E\w+)/)?.[1] ?? "" : "";
    const label = clip({ connection: "", end: "EOF", data: bytes, refusal: error }[what], Math.floor((lane - 24) / 7.3));
    group.append(draw("text", { x: kernel + (isLeft ? -22 : 22), y: end[1] - 3, "text-anchor": isLeft ? "end" : "start" }, label));
    if (to < 0) group.append(draw("text", { x: kernel + (isLeft ? 22 : -22), y: end[1] + 4, "text-anchor": isLeft ? "start" : "end" }, word(what === "connection" ? "unaccepted" : "lost")));
    group.append(draw("title", {}, `${what} ${bytes}`));
    // First where it ends, then where it began.
    group.onclick = () => go(to >= 0 && at !== to ? to : from >= 0 ? from : to);
    drawing.append(group);
  });
  for (const index of shown) {
    const one = step(index);
    const left = one[STEP.column] < before;
    const kind = ["person", "own", "loader", "stop", "stop", "tool"][one[STEP.kind]];
    const group = draw("g", { class: `${kind}${isFailed(one) ? " failed" : ""}`, "data-step": index });
    group.append(draw("circle", { cx: x(one[STEP.column]), cy: y(index), r: 3.5, class: "dot" }));
    group.append(draw("text", { x: x(one[STEP.column]) + (left ? -10 : 10), y: y(index) + 4, "text-anchor": left ? "end" : "start", class: "label" }, clip(refused.has(index) ? brief(one).split(" ")[0] : brief(one), room(one[STEP.column]))));
    drawing.append(group);
  }
}

// What changes with the step.
function show() {
  const one = step(at);
  const row = shown.indexOf(at);
  id("slider").value = row + 1;
  id("count").textContent = `${row + 1} / ${shown.length}`;
  const hash = `#${scene.name}/${numberOf(at)}`;
  if (location.hash !== hash) history.replaceState(null, "", hash);
  for (const node of id("drawing").querySelectorAll("[data-step]")) {
    const index = Number(node.dataset.step);
    node.classList.toggle("here", index === at);
    node.classList.toggle("later", index > at && !node.classList.contains("row"));
  }
  for (const node of id("drawing").querySelectorAll(".arrow")) {
    const [from, to] = [Number(node.dataset.from), Number(node.dataset.to)];
    node.classList.toggle("here", from === at || to === at);
    node.classList.toggle("later", (from >= 0 ? from : to) > at);
  }
  keepInView(id("diagram"), ROW * row + 38, ROW * row + 38 + ROW, 60);
  showNow(one);
  showTerminals();
  showSource();
  showCalls();
  showSockets();
}

// Scrolls a panel, not the page.
function keepInView(panel, top, bottom, margin) {
  if (top - margin < panel.scrollTop) panel.scrollTop = top - margin;
  else if (bottom + margin > panel.scrollTop + panel.clientHeight) panel.scrollTop = bottom + margin - panel.clientHeight;
}

function link(index) {
  return make("button", { class: "go", onclick: () => go(index) }, `${who(step(index)[STEP.column])} ${brief(step(index))}`);
}

function showNow(one) {
  const now = id("now");
  const full = text(one[STEP.text]);
  now.replaceChildren(make("b", {}, who(one[STEP.column])), make("span", { class: "call" + (isFailed(one) ? " bad" : "") }, full));
  const more = (...nodes) => now.append(make("span", { class: "more" }, ...nodes));
  if (one[STEP.kind] === PERSON && full.startsWith("< ")) now.replaceChildren(make("b", {}, who(one[STEP.column])), word("types") + ": ", make("span", { class: "call" }, full.slice(2)));
  for (const arrow of scene.arrows) {
    const [from, to] = [arrow[ARROW.from], arrow[ARROW.to]];
    const bytes = arrow[ARROW.what] === 2 ? word("closed") : arrow[ARROW.what] === 1 ? `"${clip(text(arrow[ARROW.bytes]), 60)}"` : "";
    if (from === at && WHAT[arrow[ARROW.what]] !== "refusal") more(bytes, " → ", to >= 0 ? link(to) : word(arrow[ARROW.what] === 0 ? "unaccepted" : "lost"));
    if (to === at && arrow[ARROW.what] !== 3) more(bytes, " ← ", from >= 0 ? link(from) : word("untraced"));
    if (to === at && arrow[ARROW.what] === 3) more(word("refused"), ...(from >= 0 ? [" ← ", link(from)] : []));
  }
  if (one[STEP.blocked]) more(word("blocked"));
  if (text(one[STEP.inside])) more(`${word("inside")} ${text(one[STEP.inside])}`);
  const program = data.programs[scene.columns[one[STEP.column]][1]];
  const fix = program && program.fixes.find(([line]) => line === one[STEP.line]);
  if (fix && fix[1]) now.append(make("span", { class: "more fix" }, word("inC"), inline(fix[1])));
}

// Adds what a program wrote. What is one run of a character may come in several writes.
function written(screen, output) {
  if (screen.lastChild?.nodeType !== Node.TEXT_NODE) screen.append("");
  const last = screen.lastChild;
  const sum = (runs) => runs.match(/\d+(?=\})/g).reduce((total, count) => total + Number(count), 0);
  last.data = (last.data + output).replace(/\{(x[0-9a-f]{2}|[A-Z]+|.)\*\d+\}(\{\1\*\d+\})+/gsu, (runs, unit) => `{${unit}*${sum(runs)}}`);
}

function showTerminals() {
  const panels = scene.columns.map(([name, program, terminal], column) => {
    if (terminal !== column) return null;
    const screen = make("pre");
    for (let index = 0; index <= at; index += 1) {
      const one = step(index);
      if (scene.columns[one[STEP.column]][2] !== column) continue;
      const full = text(one[STEP.text]);
      if (one[STEP.kind] === PERSON) screen.append(make("span", { class: "typed" }, (full.startsWith("< ") ? full.slice(2) : full) + "\n"));
      else written(screen, text(one[STEP.output]));
    }
    const active = scene.columns[step(at)[STEP.column]][2] === column;
    const panel = make("div", { class: "terminal" + (active ? " active" : ""), "data-who": name }, make("div", {}, make("b", {}, name), ` ${program}`), screen);
    // It keeps the height that it will need.
    const lines = scene.steps.filter((one) => scene.columns[one[STEP.column]][2] === column).map((one) => (one[STEP.kind] === PERSON ? 1 : text(one[STEP.output]).split("\n").length - 1));
    screen.style.minHeight = `${Math.min(lines.reduce((sum, count) => sum + count, 0), 7) * 1.45 + 0.6}em`;
    return panel;
  });
  id("terminals").replaceChildren(...panels.filter((panel) => panel));
  for (const screen of id("terminals").querySelectorAll("pre")) screen.scrollTop = screen.scrollHeight;
}

const column = () => chosen ?? step(at)[STEP.column];

function showSource() {
  id("tabs").replaceChildren(...scene.columns.map(([name, program], index) => {
    const pick = () => { chosen = index; showSource(); showCalls(); };
    return make("button", { role: "tab", "aria-selected": String(index === column()), onclick: pick }, name === program ? name : `${name}: ${program}`);
  }));
  const name = scene.columns[column()][1];
  const program = data.programs[name];
  const source = id("source");
  if (!program) {
    id("path").textContent = word("noSource");
    source.replaceChildren();
    source.dataset.name = "";
    return;
  }
  id("path").textContent = program.path;
  const mine = scene.steps.flatMap((one, index) => (one[STEP.column] === column() && one[STEP.line] > 0 ? [index] : []));
  if (source.dataset.name !== name) {
    source.dataset.name = name;
    const fixes = new Map(program.fixes);
    const [rust, c] = [program.rust, program.c].map((one) => (one === null ? null : one.replace(/\n$/, "").replaceAll("\t", "    ").split("\n")));
    const head = make("tr", {}, make("th", { class: "number" }), ...(c ? [make("th", {}, "C")] : []), make("th", {}, "Rust"));
    const body = [];
    for (let line = 1; line <= Math.max(rust.length, c ? c.length : 0); line += 1) {
      const cells = [make("td", { class: "number" }, String(line))];
      if (c) cells.push(make("td", { class: "c" }, c[line - 1] ?? ""));
      const isFix = fixes.has(line);
      cells.push(make("td", { class: isFix ? "rust fixed" : "rust", ...(isFix && fixes.get(line) ? { title: `C: ${fixes.get(line)}` } : {}) }, rust[line - 1] ?? ""));
      body.push(make("tr", { "data-line": line }, ...cells));
    }
    source.replaceChildren(make("table", {}, make("thead", {}, head), make("tbody", {}, ...body)));
  }
  const last = mine.findLast((index) => index <= at);
  const here = last === undefined ? -1 : step(last)[STEP.line];
  // A call of C's may be one line earlier.
  const inC = program.late.includes(here - 1) ? here - 1 : here;
  const ran = new Set(mine.filter((index) => shown.includes(index)).map((index) => step(index)[STEP.line]));
  for (const row of source.querySelectorAll("tbody tr")) {
    const line = Number(row.dataset.line);
    row.classList.toggle("ran", ran.has(line));
    row.querySelector(".rust").classList.toggle("here", line === here);
    row.querySelector(".c")?.classList.toggle("here", line === inC);
    row.onclick = () => {
      const calls = mine.filter((index) => step(index)[STEP.line] === line && shown.includes(index));
      if (calls.length > 0) go(calls.find((index) => index > at) ?? calls[0]);
      else if (new Map(program.fixes).get(line)) id("path").replaceChildren(make("span", { class: "fix" }, `${line}: ${word("inC")}`, inline(new Map(program.fixes).get(line))));
    };
    if (line === here) keepInView(source, row.offsetTop, row.offsetTop + row.offsetHeight, 70);
  }
}

function showCalls() {
  const list = id("calls");
  const items = shown.filter((index) => step(index)[STEP.column] === column() && step(index)[STEP.kind] !== PERSON).map((index) => {
    const one = step(index);
    const kind = (index === at ? "here" : index > at ? "later" : "") + (one[STEP.kind] === LOADER ? " loader" : "") + (isFailed(one) ? " bad" : "");
    return make("li", { class: kind, "data-step": index, onclick: () => go(index) }, make("span", { class: "number" }, one[STEP.line] > 0 ? String(one[STEP.line]) : ""), text(one[STEP.text]));
  });
  list.replaceChildren(...items);
  const here = items.find((item) => Number(item.dataset.step) === at);
  if (here) keepInView(list, here.offsetTop - list.offsetTop, here.offsetTop - list.offsetTop + here.offsetHeight, 40);
}

function showSockets() {
  const past = scene.rests.filter(([before]) => before <= at + 1);
  const latest = Math.max(-1, ...past.map(([before]) => before));
  const there = past.filter(([before]) => before === latest).flatMap(([, column, sockets]) => sockets.map((socket) => [who(column), ...text(socket).split(" ")]));
  id("rest").textContent = latest < 0 ? "" : word("rest") + numberOf(latest) + (there.length === 0 ? `: ${word("none")}` : "");
  const heads = there.length === 0 ? [] : [make("tr", {}, ...["", "fd", "protocol", "local", "remote", "state"].map((head) => make("th", {}, head)))];
  id("sockets").replaceChildren(...heads, ...there.map((cells) => make("tr", {}, ...cells.map((cell) => make("td", {}, cell)))));
}

function move(by) {
  const row = shown.indexOf(at) + by;
  if (row < 0 || row >= shown.length) return false;
  go(shown[row]);
  return true;
}

function play(on = timer === null) {
  clearInterval(timer);
  timer = on ? setInterval(() => { if (!move(1)) play(false); }, 900) : null;
  id("play").textContent = on ? "❚❚" : "▶▶";
  id("play").title = word(on ? "pause" : "play");
}

function turn(by) {
  const index = scenes.indexOf(scene) + by;
  if (scenes[index]) open(scenes[index].name);
}

function setLanguage() {
  lang = lang === "zh" ? "en" : "zh";
  build();
}

function setLoader() {
  withLoader = !withLoader;
  build();
}

const KEYS = {
  ArrowRight: () => move(1), ArrowLeft: () => move(-1), Home: () => go(shown[0]), End: () => go(shown.at(-1)), " ": () => play(),
  "[": () => turn(-1), "]": () => turn(1), a: setLoader, l: setLanguage,
};
addEventListener("keydown", (event) => {
  if (!KEYS[event.key] || event.ctrlKey || event.altKey || event.metaKey || event.target.tagName === "SELECT") return;
  // Space also presses a button, and that is its own.
  if (event.key === " " && ["BUTTON", "SUMMARY", "INPUT"].includes(event.target.tagName)) return;
  event.preventDefault();
  KEYS[event.key]();
});
id("first").onclick = () => go(shown[0]);
id("back").onclick = () => move(-1);
id("play").onclick = () => play();
id("next").onclick = () => move(1);
id("last").onclick = () => go(shown.at(-1));
id("back-scene").onclick = () => turn(-1);
id("next-scene").onclick = () => turn(1);
id("lang").onclick = setLanguage;
id("all").onchange = setLoader;
id("slider").oninput = (event) => go(shown[event.target.value - 1]);
id("scenes").onchange = (event) => open(event.target.value);
const follow = () => {
  const [name, number] = decodeURIComponent(location.hash.slice(1)).split("/");
  open(name, Number(number));
};
addEventListener("hashchange", follow);
addEventListener("resize", () => { drawDiagram(); show(); });
addEventListener("beforeprint", () => { for (const node of document.querySelectorAll("details")) node.open = true; });
follow();
