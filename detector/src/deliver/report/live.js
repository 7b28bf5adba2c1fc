
"use strict";
// Fetches the page anew and puts what has changed in its place. What was unfolded stays so.
(() => {
  const every = 5000;
  const swap = async () => {
    if (document.hidden) return;
    try {
      const answer = await fetch(location.href, { cache: "no-store" });
      if (!answer.ok) throw new Error(answer.statusText);
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const place of ["main", "footer"]) {
        const [now, then] = [fresh.querySelector(place), document.querySelector(place)];
        if (!now) continue;
        for (const open of then.querySelectorAll("details[open]")) {
          const same = open.id && now.querySelector("#" + open.id);
          if (same) same.open = true;
        }
        if (!now.isEqualNode(then) && !String(getSelection())) then.replaceWith(now);
      }
      document.title = fresh.title;
      document.body.classList.remove("stale");
    } catch {
      document.body.classList.add("stale");
    }
  };
  setInterval(swap, every);
  document.addEventListener("visibilitychange", swap);
})();
