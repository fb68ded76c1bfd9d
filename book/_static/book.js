// Search results quote the pages that they find, which a browser does not let a page do that was opened as a file.
if (location.protocol === "file:") {
  DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
}

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
