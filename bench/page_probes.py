"""Scripts that measure inside a page, from its first moment. They only look on."""

LOADING = """
window.loading = { largestPaintMs: 0, shift: 0, usableMs: 0 };
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.loading.largestPaintMs = entry.startTime;
}).observe({ type: "largest-contentful-paint", buffered: true });
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.loading.shift += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""
"""Web Vitals of the load. All layout shifts are added up, which is stricter than Lighthouse's worst five seconds."""

USABLE = """
(selector) => new Promise((resolve) => {
  const look = () => {
    const query = document.querySelector("[role=textbox], [role=combobox], textarea, input");
    if (query && document.querySelector(selector)) resolve(performance.now());
    else requestAnimationFrame(look);
  };
  look();
})
"""
"""When one can type a query and sees rows, in milliseconds since the navigation began."""

ENTER_TO_ROWS = """
({ selector, word }) => {
  window.enterToRows = new Promise((resolve) => {
    addEventListener("keydown", function pressed(event) {
      if (event.key !== "Enter") return;
      removeEventListener("keydown", pressed, true);
      const began = event.timeStamp;
      const look = () => {
        const row = document.querySelector(selector);
        // A frame later it is on the screen.
        if (row && row.textContent.includes(word)) requestAnimationFrame(() => resolve(performance.now() - began));
        else requestAnimationFrame(look);
      };
      look();
    }, true);
  });
}
"""
"""From the key's own time stamp to the frame behind the one in which the first row has the word."""

SCROLL = """
({ selector, rows, forMs }) => new Promise((resolve) => {
  let box = document.querySelector(selector);
  while (box && !(box.scrollHeight > box.clientHeight && /auto|scroll/.test(getComputedStyle(box).overflowY)))
    box = box.parentElement;
  const rowPx = document.querySelector(selector).getBoundingClientRect().height;
  const stepPx = (rows * rowPx) / (forMs / 1000 * 60);
  const frames = [];
  const began = performance.now();
  let last = began;
  let waitedMs = 0;
  const step = (now) => {
    frames.push(now - last);
    const room = box.scrollHeight - box.clientHeight - box.scrollTop;
    if (room < 1) waitedMs += now - last;
    last = now;
    box.scrollTop += stepPx;
    const seen = Math.floor((box.scrollTop + box.clientHeight) / rowPx);
    if (seen >= rows || now - began > 4 * forMs)
      resolve({ rows: seen, seconds: (now - began) / 1000, waitedMs, frames });
    else requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
})
"""
"""Moves the list down by the same step in each frame until so many rows went by; keeps the length of every frame."""

INPUT_DELAYS = """
window.inputDelaysMs = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.inputDelaysMs.push(entry.processingStart - entry.startTime);
}).observe({ type: "event", durationThreshold: 16, buffered: true });
"""
"""How long each key or click waited until the page looked at it. Events of less than 16 ms in all are left out."""

FRAME_RATE = """
(forMs) => new Promise((resolve) => {
  const began = performance.now();
  let frames = 0;
  const step = (now) => {
    if (now - began > forMs) resolve((1000 * frames) / (now - began));
    else requestAnimationFrame(step);
    frames += 1;
  };
  requestAnimationFrame(step);
})
"""
"""Frames a second, as they are now."""
