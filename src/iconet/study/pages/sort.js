"use strict";
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const head = button.closest("th");
    const body = head.closest("table").tBodies[0];
    const up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const value = (row) => row.cells[head.cellIndex].dataset.value ?? "";
    const compare = (one, other) => {
      const [a, b] = [value(one), value(other)];
      if (!a || !b) return !a - !b; // what is not known comes last, both ways
      const order = a - b || (isNaN(a - b) ? a.localeCompare(b, undefined, { numeric: true }) : 0);
      return up ? order : -order;
    };
    body.append(...[...body.rows].sort(compare));
  });
}
