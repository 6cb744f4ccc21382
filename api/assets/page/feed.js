// What there is to see, live: one connection for a tab, and none for a tab that nobody sees.

// The server says something every five seconds.
const SILENCE = 15_000;
const POLL = 2_000;
// How often a tab that has to ask tries to listen again.
const RETRY = 15_000;

/**
 * Tells `seen` what there is to see, whenever it changes, and `state` how it is known:
 * 'live', 'polling' or 'lost'. Returns a function that ends it.
 */
export function follow(system, seen, state) {
  const path = `/page/feed/${system}`;
  let source, watchdog, poller, retry, over = false;

  function listen() {
    hush();
    source = new EventSource(path);
    source.onopen = source_is_well;
    source.addEventListener('beat', source_is_well);
    source.onmessage = (event) => {
      source_is_well();
      seen(JSON.parse(event.data));
    };
    // The browser connects again by itself, unless it was refused.
    source.onerror = poll;
    watchdog = setTimeout(poll, SILENCE);
    retry = undefined;
  }

  function source_is_well() {
    clearTimeout(watchdog);
    clearInterval(poller);
    clearTimeout(retry);
    poller = retry = undefined;
    watchdog = setTimeout(poll, SILENCE);
    state('live');
  }

  function poll() {
    if (over) return;
    if (!poller) poller = setInterval(ask, POLL);
    retry ??= setTimeout(listen, RETRY);
    ask();
  }

  async function ask() {
    try {
      const answer = await fetch(`${path}/now`, { signal: AbortSignal.timeout(POLL * 2) });
      if (!answer.ok) throw new Error(answer.statusText);
      const body = await answer.json();
      // It may be listening again by now.
      if (!poller || over) return;
      seen(body);
      state('polling');
    } catch {
      if (poller && !over) state('lost');
    }
  }

  function hush() {
    source?.close();
    clearTimeout(watchdog);
    clearInterval(poller);
    clearTimeout(retry);
    poller = retry = undefined;
  }

  // A browser has six connections to a server, and there may be more tabs than that.
  const look = () => (document.hidden ? hush() : listen());
  document.addEventListener('visibilitychange', look);
  look();
  return () => {
    over = true;
    document.removeEventListener('visibilitychange', look);
    hush();
  };
}
