/** What the collector's spanmetrics connector makes of the spans. Its names are the collector's, not the catalog's. */
const bucket = 'traces_span_metrics_duration_seconds_bucket'

export const spanDuration = {
  name: bucket,
  /** By span name, which is operation and model. Exemplars come with the buckets. */
  quantile: (share: number) =>
    `topk(15, histogram_quantile(${share}, sum by (le, span_name) (rate(${bucket}{service_name="tokenweir"}[$__rate_interval]))))`,
} as const
