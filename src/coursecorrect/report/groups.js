"use strict";
const query = document.getElementById("query"), kind = document.getElementById("kind");
const shown = document.getElementById("shown");
const rows = [...document.querySelectorAll("details.group")];
const texts = rows.map(row => row.textContent.toLowerCase());
function filter() {
  const wanted = query.value.toLowerCase();
  let count = 0;
  rows.forEach((row, i) => {
    row.hidden = !(texts[i].includes(wanted) && (!kind.value || row.classList.contains(kind.value)));
    count += !row.hidden;
  });
  shown.textContent = count + " of " + rows.length + " shown";
}
function open(state) { rows.forEach(row => { if (!row.hidden) row.open = state; }); }
query.addEventListener("input", filter);
kind.addEventListener("change", filter);
document.getElementById("open").addEventListener("click", () => open(true));
document.getElementById("close").addEventListener("click", () => open(false));
filter();
