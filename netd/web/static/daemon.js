// What the server says: documents as JSON, changes as they happen.

export async function read(path, query = {}) {
  const answer = await fetch(`/api/${path}?${new URLSearchParams(query)}`);
  const document = await answer.json();
  if (document.error) throw new Error(document.error);
  return document;
}

// Calls `hear` with each event; the browser connects again by itself.
export function follow(hear) {
  const stream = new EventSource("/api/events");
  stream.onmessage = (message) => hear(JSON.parse(message.data));
  stream.onerror = () => hear({ type: "gone" });
}

// Calls `action` once after a burst, and at most once in `pause` milliseconds.
export function calmly(action, pause) {
  let timer = 0;
  let last = 0;
  return () => {
    if (timer) return;
    const wait = Math.max(0, last + pause - performance.now());
    timer = setTimeout(async () => {
      timer = 0;
      last = performance.now();
      await action();
    }, wait);
  };
}
