/**
 * Node takes the types out of this project's files by itself, but of none below node_modules, where npm installs the package:
 * with `--import` of this file it does so there, too.
 */
import { readFileSync } from "node:fs";
import { registerHooks, stripTypeScriptTypes } from "node:module";
import { dirname } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const SOURCES = `${pathToFileURL(dirname(import.meta.dirname)).href}/src/`;

registerHooks({
  load(url, context, next) {
    if (!url.startsWith(SOURCES) || !url.endsWith(".ts")) return next(url, context);
    const source = stripTypeScriptTypes(readFileSync(fileURLToPath(url), "utf8"));
    return { format: "module", source, shortCircuit: true };
  },
});
