/**
 * Node's HTTP, without what comes with `import http from "node:http"`: that reads each of its exports, WebSocket among them, for which Node
 * loads a whole client. A thread begins 40 ms of processor time sooner without it, and is 2 MiB smaller.
 */
export const http = process.getBuiltinModule("node:http");
