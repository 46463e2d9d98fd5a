// What a page is expected to do, and the terminal in it leaves undone.
"use strict";

// Keys go to the app as soon as it shows something, and not from the first click on.
window.addEventListener("load", () => {
  const shown = new MutationObserver(() => {
    if (document.body.classList.contains("-first-byte")) {
      shown.disconnect();
      document.querySelector(".xterm-helper-textarea").focus();
    }
  });
  shown.observe(document.body, { attributeFilter: ["class"] });
});

// Ctrl+V pastes what the browser holds; the terminal would send it on as a key.
window.addEventListener(
  "keydown",
  (event) => {
    if (event.ctrlKey && !event.altKey && !event.metaKey && event.key.toLowerCase() === "v") {
      event.stopImmediatePropagation();
    }
  },
  { capture: true },
);
