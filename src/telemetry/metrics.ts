/**
 * Metrics as they are declared (operator-metrics.ts, agent-metrics.ts), turned into prom-client's. What is declared is all there is:
 * docs/metrics.md is generated from the same lists. Labels have few values each; names that users choose are none, except profiles'.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";

export interface MetricDefinition {
  type: "counter" | "gauge" | "histogram";
  /** With the prefix `portcullis_`; counters end in `_total`. */
  name: string;
  help: string;
  labels: readonly string[];
  /** Upper bounds of a histogram, in the metric's unit. */
  buckets?: readonly number[];
}

export type MetricCatalogue = Readonly<Record<string, MetricDefinition>>;

type LabelOf<Definition extends MetricDefinition> = Definition["labels"][number];

type MetricOf<Definition extends MetricDefinition> = Definition["type"] extends "counter"
  ? Counter<LabelOf<Definition>>
  : Definition["type"] extends "gauge"
    ? Gauge<LabelOf<Definition>>
    : Histogram<LabelOf<Definition>>;

export type MetricsOf<Catalogue extends MetricCatalogue> = { [Key in keyof Catalogue]: MetricOf<Catalogue[Key]> };

/** Metrics of a process, and their registry. */
export interface Metrics<Catalogue extends MetricCatalogue> {
  registry: Registry;
  metrics: MetricsOf<Catalogue>;
}

/** Makes all metrics of a catalogue, in a registry of its own together with those of the process. */
export function createMetrics<const Catalogue extends MetricCatalogue>(catalogue: Catalogue): Metrics<Catalogue> {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: "portcullis_" });
  const metrics = Object.fromEntries(
    Object.entries(catalogue).map(([key, definition]) => [key, createMetric(definition, registry)]),
  ) as unknown as MetricsOf<Catalogue>;
  return { registry, metrics };
}

function createMetric({ type, name, help, labels, buckets }: MetricDefinition, registry: Registry) {
  const configuration = { name, help, labelNames: [...labels], registers: [registry] };
  if (type === "counter") return new Counter(configuration);
  if (type === "gauge") return new Gauge(configuration);
  return new Histogram({ ...configuration, ...(buckets ? { buckets: [...buckets] } : {}) });
}
