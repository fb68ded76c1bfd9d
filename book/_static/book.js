// The theme's sidebars are plain boxes; name them, so that a screen reader can jump to them.
document.addEventListener("DOMContentLoaded", () => {
  const landmarks = {
    ".bd-sidebar-primary": "Pages of the book",
    ".bd-sidebar-secondary": "On this page",
    ".bd-header-article": "Tools of this page",
  };
  for (const [selector, label] of Object.entries(landmarks)) {
    const box = document.querySelector(selector);
    if (box) {
      box.setAttribute("role", "region");
      box.setAttribute("aria-label", label);
    }
  }
});
