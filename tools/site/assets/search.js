// Search in the pages' index (index.js), made by site.ts with the same fields.
const options = { fields: ["heading", "page", "text"], storeFields: ["heading", "page"] };
const index = MiniSearch.loadJS(searchIndex, options);
const field = document.getElementById("search");
const list = document.getElementById("results");
const MOST = 12;

field.addEventListener("input", () => {
  const found = index.search(field.value, { prefix: true, fuzzy: 0.2, boost: { heading: 4, page: 2 } }).slice(0, MOST);
  list.replaceChildren(...found.map(entry));
  list.hidden = found.length === 0;
});

function entry({ id, heading, page }) {
  const link = document.createElement("a");
  link.href = document.body.dataset.top + id;
  link.append(heading);
  const item = document.createElement("li");
  item.append(link);
  if (page !== heading) {
    const small = document.createElement("small");
    small.append(page);
    item.append(small);
  }
  return item;
}
