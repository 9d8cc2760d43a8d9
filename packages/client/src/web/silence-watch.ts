/** Notices a stream that says nothing. A page that stood still (a frozen tab, a laptop that slept) reads what came meanwhile before it gives its stream up. */
export interface SilenceWatch {
  heard(): void;
  stop(): void;
}

/** What lies in the socket is read within this time. */
const readMs = 1_000;

/** Starts watching: `silent` is called once when nothing was heard for `silenceMsMax`. */
export function watchSilence(silenceMsMax: number, silent: () => void): SilenceWatch {
  let heardMs = performance.now();
  let hasWaited = false;
  let timer = setTimeout(look, silenceMsMax);

  /** One timer, set again for what is left: what is heard costs no timer of its own. */
  function look(): void {
    const leftMs = silenceMsMax - (performance.now() - heardMs);
    if (leftMs > 0) timer = setTimeout(look, leftMs);
    else if (hasWaited) silent();
    else {
      hasWaited = true;
      timer = setTimeout(look, readMs);
    }
  }

  return {
    heard() {
      heardMs = performance.now();
      hasWaited = false;
    },
    stop: () => clearTimeout(timer),
  };
}
