/**
 * For tests: an API server over real HTTP on loopback, with pages, watches, versions and conflicts, and with the ways in which
 * a real one fails. It knows no schemas and no permissions.
 */
import http from "node:http";
import type { AddressInfo } from "node:net";
import { KubeConnection } from "../connection.ts";
import { collectionPath, type KubeObject, objectKey, type ResourceKind } from "../resources.ts";

interface Fault {
  /** Against `METHOD /path?query`. */
  match: RegExp;
  status: number;
  times: number;
  retryAfter?: number;
}

interface Watcher {
  /** Only what is later is sent. */
  from: number;
  collection: string;
  namespace: string | null;
  fieldSelector: string | null;
  /** As it was asked for: whole, or its metadata alone. */
  shape: (object: KubeObject) => KubeObject;
  response: http.ServerResponse;
}

interface StoredEvent {
  version: number;
  collection: string;
  type: "ADDED" | "MODIFIED" | "DELETED";
  object: KubeObject;
}

interface Reply {
  status: number;
  body: unknown;
}

interface Target {
  collection: string;
  namespace: string | null;
  name: string | null;
  part: string | null;
}

export class FakeApiServer {
  /** `METHOD /path?query`, in order. */
  readonly requests: string[] = [];
  /** Answers to POSTs that store nothing, such as token reviews, by collection. */
  readonly answers = new Map<string, (body: KubeObject) => unknown>();
  readonly #server: http.Server;
  readonly #collections = new Map<string, Map<string, KubeObject>>();
  readonly #watchers = new Set<Watcher>();
  #events: StoredEvent[] = [];
  #faults: Fault[] = [];
  #version = 1;
  /** Events up to this version are forgotten. */
  #compacted = 0;
  #port = 0;

  constructor() {
    this.#server = http.createServer((request, response) => {
      this.#handle(request, response).catch((error: unknown) => answer(response, refusal(500, String(error))));
    });
  }

  static async start(): Promise<FakeApiServer> {
    const server = new FakeApiServer();
    await server.listen();
    return server;
  }

  /** Begins to listen; after `close`, on the same port again, with what was stored. */
  async listen(): Promise<void> {
    await new Promise<void>((settle) => this.#server.listen(this.#port, "127.0.0.1", settle));
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    this.#watchers.clear();
    this.#server.closeAllConnections();
    await new Promise((settle) => this.#server.close(settle));
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  connection(): KubeConnection {
    return KubeConnection.plain(this.url);
  }

  /** Stores an object, as a user would with kubectl. */
  put(
    kind: ResourceKind,
    object: Omit<KubeObject, "metadata"> & { metadata: Partial<KubeObject["metadata"]> },
  ): KubeObject {
    return this.#record(collectionPath(kind), structuredClone(object) as KubeObject);
  }

  remove(kind: ResourceKind, key: string): void {
    this.#remove(collectionPath(kind), key);
  }

  get(kind: ResourceKind, key: string): KubeObject | undefined {
    return this.#collections.get(collectionPath(kind))?.get(key);
  }

  list(kind: ResourceKind): KubeObject[] {
    return [...(this.#collections.get(collectionPath(kind))?.values() ?? [])];
  }

  /** The next requests that match are answered with an error. */
  fail(match: RegExp, status: number, times = 1, retryAfter?: number): void {
    this.#faults.push({ match, status, times, ...(retryAfter === undefined ? {} : { retryAfter }) });
  }

  /** No request is answered with an error that was asked for any more. */
  heal(): void {
    this.#faults = [];
  }

  /** Breaks all watches off, in the middle of a line. */
  breakWatches(): void {
    for (const { response } of this.#watchers) {
      response.write('{"type":"MODIF');
      response.destroy();
    }
    this.#watchers.clear();
  }

  /** Ends all watches, as an API server does after a while. */
  endWatches(): void {
    for (const { response } of this.#watchers) response.end();
    this.#watchers.clear();
  }

  /** Forgets the past: who watches from an older version gets an error that it is gone. */
  compact(): void {
    this.#compacted = this.#version;
    this.#events = [];
  }

  /** Makes a backup; what is returned restores it, and breaks all watches unless they are to go on. */
  backup(): (options?: { breakWatches?: boolean }) => void {
    const version = this.#version;
    const collections = [...this.#collections].map(([name, objects]) => [name, new Map(objects)] as const);
    return ({ breakWatches = true } = {}) => {
      this.#version = version;
      this.#events = [];
      this.#compacted = 0;
      this.#collections.clear();
      for (const [name, objects] of collections) this.#collections.set(name, objects);
      if (breakWatches) this.breakWatches();
    };
  }

  get watches(): number {
    return this.#watchers.size;
  }

  async #handle(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", this.url);
    const line = `${request.method} ${url.pathname}${url.search}`;
    this.requests.push(line);
    let text = "";
    for await (const chunk of request) text += chunk;
    const fault = this.#faults.find(({ match, times }) => times > 0 && match.test(line));
    if (fault !== undefined) {
      fault.times -= 1;
      if (fault.retryAfter !== undefined) response.setHeader("retry-after", fault.retryAfter);
      answer(response, refusal(fault.status, "a fault was asked for"));
      return;
    }
    const target = parsePath(url.pathname);
    const body = text === "" ? null : (JSON.parse(text) as KubeObject);
    const isCollection = request.method === "GET" && target.name === null;
    const shape = shapeOf(request.headers.accept);
    if (isCollection && url.searchParams.get("watch") === "true") {
      this.#watch(url.searchParams, target, shape, response);
    } else if (isCollection) answer(response, this.#page(url.searchParams, target, shape));
    else {
      const reply = this.#object(request.method ?? "GET", target, body);
      const isObject = reply.status < 300 && (reply.body as KubeObject).metadata !== undefined;
      answer(response, isObject ? { ...reply, body: shape(reply.body as KubeObject) } : reply);
    }
  }

  #page(query: URLSearchParams, target: Target, shape: Watcher["shape"]): Reply {
    const keep = selected(target.namespace, query.get("fieldSelector"));
    const all = [...(this.#collections.get(target.collection)?.values() ?? [])].filter(keep);
    const start = Number(query.get("continue") ?? 0);
    const limit = Number(query.get("limit") ?? all.length) || all.length;
    const items = all.slice(start, start + limit).map(shape);
    const more = start + limit < all.length ? String(start + limit) : "";
    return good({ metadata: { resourceVersion: String(this.#version), continue: more }, items });
  }

  #watch(
    query: URLSearchParams,
    { collection, namespace }: Target,
    shape: Watcher["shape"],
    response: http.ServerResponse,
  ): void {
    const version = Number(query.get("resourceVersion") ?? 0);
    response.writeHead(200, { "content-type": "application/json" });
    response.flushHeaders();
    if (version < this.#compacted) {
      response.end(
        `${JSON.stringify({ type: "ERROR", object: { code: 410, reason: "Expired", message: "too old" } })}\n`,
      );
      return;
    }
    const watcher: Watcher = {
      from: version,
      collection,
      namespace,
      fieldSelector: query.get("fieldSelector"),
      shape,
      response,
    };
    this.#watchers.add(watcher);
    response.on("close", () => this.#watchers.delete(watcher));
    for (const event of this.#events) if (event.version > version) send(watcher, event);
  }

  #object(method: string, target: Target, body: KubeObject | null): Reply {
    const { collection, namespace, name, part } = target;
    if (method === "POST" && body !== null) return this.#create(collection, namespace, body);
    const key = objectKey({ namespace: namespace ?? "", name: name ?? "" });
    const stored = this.#collections.get(collection)?.get(key);
    if (stored === undefined) return refusal(404, `${key} not found`);
    if (method === "DELETE") this.#remove(collection, key);
    if (method === "GET" || method === "DELETE" || body === null) return good(stored);
    const version = body.metadata?.resourceVersion;
    if (version !== undefined && version !== stored.metadata.resourceVersion) {
      return refusal(409, "the object has been modified");
    }
    if (part === "status")
      return good(this.#record(collection, { ...stored, status: applied(stored.status, body.status) }));
    const next = method === "PATCH" ? { ...stored, ...body, metadata: stored.metadata } : body;
    return good(this.#record(collection, next));
  }

  #create(collection: string, namespace: string | null, body: KubeObject): Reply {
    const special = this.answers.get(collection);
    if (special !== undefined) return good(special(body), 201);
    const metadata = { ...body.metadata, ...(namespace === null ? {} : { namespace }) };
    if (this.#collections.get(collection)?.has(objectKey(metadata))) return refusal(409, "already exists");
    return good(this.#record(collection, { ...body, metadata }), 201);
  }

  #record(collection: string, object: KubeObject): KubeObject {
    this.#version += 1;
    const objects = this.#collections.get(collection) ?? new Map<string, KubeObject>();
    this.#collections.set(collection, objects);
    const key = objectKey(object.metadata);
    const before = objects.get(key);
    const metadata = {
      creationTimestamp: "2026-01-01T00:00:00Z",
      ...object.metadata,
      uid: object.metadata.uid ?? before?.metadata.uid ?? `uid-${key}-${this.#version}`,
      resourceVersion: String(this.#version),
    };
    const stored = { ...object, metadata };
    objects.set(key, stored);
    this.#publish(before === undefined ? "ADDED" : "MODIFIED", collection, stored);
    return stored;
  }

  #remove(collection: string, key: string): void {
    const stored = this.#collections.get(collection)?.get(key);
    if (stored === undefined) return;
    this.#version += 1;
    this.#collections.get(collection)?.delete(key);
    const metadata = { ...stored.metadata, resourceVersion: String(this.#version) };
    this.#publish("DELETED", collection, { ...stored, metadata });
  }

  #publish(type: StoredEvent["type"], collection: string, object: KubeObject): void {
    const event = { version: this.#version, collection, type, object };
    this.#events.push(event);
    for (const watcher of this.#watchers) send(watcher, event);
  }
}

/** An object that is not selected any more is gone, to who watches. */
function send({ from, collection, namespace, fieldSelector, shape, response }: Watcher, event: StoredEvent): void {
  if (event.version <= from) return;
  if (event.collection !== collection) return;
  const isSelected = selected(namespace, fieldSelector)(event.object);
  if (!isSelected && event.type !== "MODIFIED") return;
  response.write(`${JSON.stringify({ type: isSelected ? event.type : "DELETED", object: shape(event.object) })}\n`);
}

function shapeOf(accept = ""): Watcher["shape"] {
  if (!accept.includes("as=PartialObjectMetadata")) return (object) => object;
  return ({ apiVersion, kind, metadata }) => ({ ...(apiVersion && { apiVersion }), ...(kind && { kind }), metadata });
}

interface Status {
  conditions?: { type: string }[];
}

/** As server-side apply does with fields that are given; what is not given stays, whosever it was. */
function applied(before: unknown, given: unknown): Status {
  const [old, now] = [(before ?? {}) as Status, (given ?? {}) as Status];
  if (now.conditions === undefined) return { ...old, ...now };
  const conditions = new Map([...(old.conditions ?? []), ...now.conditions].map((item) => [item.type, item]));
  return { ...old, ...now, conditions: [...conditions.values()] };
}

function good(body: unknown, status = 200): Reply {
  return { status, body };
}

function refusal(status: number, message: string): Reply {
  const reason = http.STATUS_CODES[status]?.replaceAll(" ", "") ?? "";
  return { status, body: { kind: "Status", status: "Failure", code: status, reason, message } };
}

function answer(response: http.ServerResponse, { status, body }: Reply): void {
  if (!response.headersSent) response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}

/** `field=value` and `field!=value`, several with commas; fields by their path, as `spec.nodeName`. */
function selected(namespace: string | null, fieldSelector: string | null): (object: KubeObject) => boolean {
  const terms = (fieldSelector ?? "").split(",").filter((term) => term !== "");
  return (object) => {
    if (namespace !== null && object.metadata.namespace !== namespace) return false;
    return terms.every((term) => {
      const [, path = "", operator, value = ""] = /^(.*?)(!?=)(.*)$/.exec(term) ?? [];
      return (fieldOf(object, path) === value) === (operator === "=");
    });
  };
}

function fieldOf(object: KubeObject, path: string): string {
  const found = path
    .split(".")
    .reduce<unknown>((at, name) => (at as Record<string, unknown> | undefined)?.[name], object);
  return String(found ?? "");
}

function parsePath(path: string): Target {
  const parts = path
    .split("/")
    .filter((part) => part !== "")
    .map(decodeURIComponent);
  const rootLength = parts[0] === "api" ? 2 : 3;
  const rest = parts.slice(rootLength);
  const hasNamespace = rest[0] === "namespaces" && rest.length >= 3;
  const namespace = hasNamespace ? (rest[1] ?? null) : null;
  const [plural = "", name = null, part = null] = hasNamespace ? rest.slice(2) : rest;
  return { collection: `/${[...parts.slice(0, rootLength), plural].join("/")}`, namespace, name, part };
}
