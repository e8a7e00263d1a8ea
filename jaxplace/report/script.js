"use strict";
(() => {
  for (const table of document.querySelectorAll("table.data")) {
    const body = table.tBodies[0], rows = [...body.rows], heads = [...table.tHead.rows[0].cells];
    const key = (row, k) => {
      const cell = row.cells[k], v = cell.dataset.v;
      return v === undefined ? cell.textContent : Number(v);
    };
    heads.forEach((head, k) => head.querySelector("button").addEventListener("click", () => {
      const numeric = head.classList.contains("right"), now = head.getAttribute("aria-sort");
      // numbers start with the largest, names with the first
      const next = now === "none" ? (numeric ? "descending" : "ascending")
        : now === "ascending" ? "descending" : "ascending";
      heads.forEach(h => h.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", next);
      const sign = next === "ascending" ? 1 : -1;
      rows.sort((a, b) => {
        const x = key(a, k), y = key(b, k);
        if (!numeric) return sign * x.localeCompare(y, undefined, { numeric: true });
        // what is no number comes last either way
        return Number.isNaN(x) || Number.isNaN(y) ? Number.isNaN(x) - Number.isNaN(y) : sign * (x - y);
      });
      body.append(...rows);
    }));
    const filter = document.getElementById(`${table.id}-filter`);
    if (!filter) continue;
    const count = document.getElementById(`${table.id}-count`), all = count.textContent;
    const names = new Map(rows.map(r => [r,
      [...r.cells].filter(c => c.dataset.v === undefined).map(c => c.textContent).join(" ").toLowerCase()]));
    filter.addEventListener("input", () => {
      const wanted = filter.value.trim().toLowerCase();
      let shown = 0;
      for (const row of rows) {
        row.hidden = !names.get(row).includes(wanted);
        shown += !row.hidden;
      }
      count.textContent = wanted ? `${shown} of ${rows.length} ${count.dataset.things}` : all;
    });
  }
  const flows = document.getElementById("show-flows"), lines = document.querySelector(".flows");
  if (flows && lines) flows.addEventListener("change", () => {
    lines.setAttribute("visibility", flows.checked ? "visible" : "hidden");
  });
  const pick = document.getElementById("map-resource");
  if (pick) pick.addEventListener("change", () => {
    for (const layer of document.querySelectorAll("[data-resource]"))
      layer.setAttribute("visibility", layer.dataset.resource === pick.value ? "visible" : "hidden");
  });
})();
