-- What the live page answers for one sidecar, for the fleet. Sums come from the rollups: usage_by_minute (kept 14 days, a minute or two late),
-- usage_by_hour (400 days) and usage_by_day (5 years, days of UTC; both up to ten minutes late). Put the one that fits your range into a query.
-- FINAL takes the newest sum of each group, and counts a row once that arrived twice. A sum of which nothing was reported is NULL, not 0.

-- totals of the last day, as on the page and in tokenweir report
SELECT sum(requests) AS all_requests, sum(errors) AS all_errors, sum(streams) AS all_streams, sum(zero_usage) AS without_usage,
    if(sum(input_reported) = 0, NULL, sum(input)) AS input_tokens, if(sum(output_reported) = 0, NULL, sum(output)) AS output_tokens,
    if(sum(cache_read_reported) = 0, NULL, sum(cache_read)) AS cache_read_tokens, sum(input_unreported) AS requests_without_input_tokens,
    if(sum(priced) = 0, NULL, sum(cost_usd)) AS usd, sum(unpriced) AS requests_without_price
FROM tokenweir.usage_by_minute FINAL
WHERE start >= now() - INTERVAL 1 DAY;

-- the last 30 days by provider and model (or caller, route, service), those with most tokens first
SELECT provider, model, sum(requests) AS all_requests, sum(errors) AS all_errors, sum(zero_usage) AS without_usage,
    if(sum(input_reported) = 0, NULL, sum(input)) AS input_tokens, if(sum(output_reported) = 0, NULL, sum(output)) AS output_tokens,
    if(sum(priced) = 0, NULL, sum(cost_usd)) AS usd
FROM tokenweir.usage_by_hour FINAL
WHERE start >= now() - INTERVAL 30 DAY
GROUP BY provider, model ORDER BY sum(input) + sum(output) DESC, all_requests DESC LIMIT 50;

-- the same beside the 30 days before, with the change of tokens and cost in %
SELECT caller, sumIf(input + output, start >= now() - INTERVAL 30 DAY) AS tokens, sumIf(input + output, start < now() - INTERVAL 30 DAY) AS tokens_before,
    sumIf(cost_usd, start >= now() - INTERVAL 30 DAY) AS usd, sumIf(cost_usd, start < now() - INTERVAL 30 DAY) AS usd_before,
    if(tokens_before = 0, NULL, round((tokens / tokens_before - 1) * 100, 1)) AS tokens_change_percent,
    if(usd_before = 0, NULL, round((usd / usd_before - 1) * 100, 1)) AS usd_change_percent
FROM tokenweir.usage_by_hour FINAL
WHERE start >= now() - INTERVAL 60 DAY
GROUP BY caller ORDER BY tokens DESC LIMIT 50;

-- tokens and cost by day of a time zone
SELECT toDate(start, 'Europe/Berlin') AS day, provider, sum(requests) AS all_requests, sum(input) AS input_tokens, sum(output) AS output_tokens,
    sum(cost_usd) AS usd
FROM tokenweir.usage_by_hour FINAL
WHERE start >= toStartOfDay(now(), 'Europe/Berlin') - INTERVAL 30 DAY
GROUP BY day, provider ORDER BY day, provider;

-- streams without usage by reason, and their share of all streams that came whole
SELECT provider, if(outcome = 'zero', 'zero', if(reason = '', 'upstream_omitted', reason)) AS why, sum(zero_usage) AS without_usage,
    without_usage / sum(sum(streams)) OVER (PARTITION BY provider) AS share
FROM tokenweir.usage_by_minute FINAL
WHERE start >= now() - INTERVAL 1 DAY
GROUP BY provider, why HAVING without_usage > 0 ORDER BY without_usage DESC;

-- how long answers took: 50th, 95th and 99th percentile in milliseconds
SELECT provider, arrayMap(x -> round(x, 1), quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(time_to_first_chunk)) AS first_chunk_ms,
    arrayMap(x -> round(x, 1), quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(duration)) AS duration_ms
FROM tokenweir.usage_by_minute FINAL
WHERE start >= now() - INTERVAL 1 DAY
GROUP BY provider ORDER BY provider;

-- requests, errors and tokens over time
SELECT toStartOfInterval(start, INTERVAL 10 MINUTE) AS time, provider, sum(requests) AS all_requests, sum(errors) AS all_errors, sum(input) + sum(output) AS tokens
FROM tokenweir.usage_by_minute FINAL
WHERE start >= now() - INTERVAL 1 DAY
GROUP BY time, provider ORDER BY time, provider;

-- when it is used: tokens by day of the week (1 is Monday) and hour of a time zone
SELECT toDayOfWeek(start, 0, 'Europe/Berlin') AS weekday, toHour(start, 'Europe/Berlin') AS hour, sum(input) + sum(output) AS tokens, sum(cost_usd) AS usd
FROM tokenweir.usage_by_hour FINAL
WHERE start >= now() - INTERVAL 30 DAY
GROUP BY weekday, hour ORDER BY weekday, hour;

-- what the rollups have no column for comes from the rows: labels ({"team":"search"}), single requests
SELECT JSONExtractString(ifNull(labels, '{}'), 'team') AS team, count() AS requests, sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens, sum(cost) AS usd
FROM tokenweir.exchanges FINAL
WHERE started_at >= now() - INTERVAL 7 DAY
GROUP BY team ORDER BY usd DESC NULLS LAST, requests DESC LIMIT 50;

-- the last requests that failed or came without usage
SELECT started_at, service, instance, caller, provider, request_model, status, error_type, usage_outcome, usage_reason, duration_ms, trace_id, id
FROM tokenweir.exchanges FINAL
WHERE started_at >= now() - INTERVAL 1 DAY AND (error_type IS NOT NULL OR usage_outcome IN ('zero', 'missing', 'undecodable', 'partial'))
ORDER BY started_at DESC LIMIT 100;

-- rows that arrived more than once and are not merged yet
SELECT count() - uniqExact(id) AS repeated FROM tokenweir.exchanges;

-- are the rollups refreshed? exception is empty when they are
SELECT view, status, last_success_time, exception FROM system.view_refreshes WHERE database = 'tokenweir' ORDER BY view;
