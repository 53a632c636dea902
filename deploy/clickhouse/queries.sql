-- FINAL merges rows that arrived more than once; a plain SELECT is faster and may count a few twice for some minutes.

-- tokens and cost per provider and day
SELECT toDate(started_at) AS day, provider, count() AS requests, sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens, sum(cost) AS cost_usd
FROM tokenweir.exchanges FINAL
WHERE operation IS NOT NULL
GROUP BY day, provider ORDER BY day, provider;

-- who spent how much
SELECT caller, provider, coalesce(response_model, request_model) AS model, count() AS requests, sum(input_tokens + output_tokens) AS tokens, sum(cost) AS cost_usd
FROM tokenweir.exchanges FINAL
GROUP BY caller, provider, model ORDER BY cost_usd DESC NULLS LAST, requests DESC LIMIT 50;

-- answers without usage, by reason: the share is of all answers that should have had it
SELECT provider, request_model, usage_outcome, usage_reason, count() AS answers,
    answers / sum(answers) OVER (PARTITION BY provider, request_model) AS share
FROM tokenweir.exchanges FINAL
WHERE usage_outcome IS NOT NULL
GROUP BY provider, request_model, usage_outcome, usage_reason ORDER BY provider, request_model, answers DESC;

-- how long until the first chunk, and how much of the answers was cut
SELECT provider, quantile(0.5)(time_to_first_chunk_ms) AS p50_ms, quantile(0.95)(time_to_first_chunk_ms) AS p95_ms,
    quantile(0.99)(time_to_first_chunk_ms) AS p99_ms, countIf(end_reason = 'upstream-aborted') AS cut, countIf(end_reason = 'client-aborted') AS left_by_client
FROM tokenweir.exchanges FINAL
WHERE streamed = 1
GROUP BY provider ORDER BY provider;

-- rows that arrived more than once and are not merged yet
SELECT count() - uniqExact(id) AS repeated FROM tokenweir.exchanges;
