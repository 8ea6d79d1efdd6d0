/**
 * `make docs`: writes the documentation as a static site.
 *
 *     node tools/site/main.ts FOLDER
 */
import { resolve } from "node:path";
import { writeSite } from "./site.ts";

const [folder = "build/docs"] = process.argv.slice(2);
const pages = writeSite(resolve(folder));
console.log(`${pages.length} pages: open ${resolve(folder)}/index.html`);
